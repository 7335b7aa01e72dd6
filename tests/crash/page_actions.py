"""A page user: creates and deletes topics, sends and imports events, and takes snapshots over HTTP."""

import http.client
import json
import random
import re
import threading
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.crash.endings import still_at_work
from tests.crash.history import PARTITIONS, TOPIC, History, value_of
from tests.crash.owner import Owner

IMPORT_EVENTS = 300
SNAPSHOTS_KEPT = 2
END_S = 60.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class PageActions:
    """One thread that performs one action after the other on an owner's page.

    Args:
        owner: the owner, which may be killed at any moment.
        history: records the answers.
        seed: of all random choices.

    Attributes:
        failures: answers that must never happen.
        counts: action to number of times.
    """

    def __init__(self, owner: Owner, history: History, seed: int) -> None:
        self._owner = owner
        self._history = history
        self._dice = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._guarded, daemon=True)
        self.failures: list[str] = []
        self.counts: dict[str, int] = {}

    def __enter__(self) -> "PageActions":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.failures += still_at_work([self._thread], END_S)

    def _guarded(self) -> None:
        try:
            actions = (self._send, self._send, self._import, self._create, self._delete, self._snapshot)
            number = 0
            while not self._ended.wait(0.03):
                action = self._dice.choice(actions)
                if action(number):
                    name = action.__name__.strip("_")
                    self.counts[name] = self.counts.get(name, 0) + 1
                number += 1
        except BaseException as error:
            self.failures.append(repr(error))

    def _post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Return status, redirect location and body; status 0 if there was no answer."""
        connection = http.client.HTTPConnection(self._owner.page, timeout=20)
        try:
            connection.request("POST", path, urlencode(form or {}), {**FORM, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read()
        except (OSError, http.client.HTTPException):
            return 0, "", b""
        finally:
            connection.close()

    def _sent(self, location: str) -> str:
        return parse_qs(urlsplit(location).query).get("sent", [""])[0]

    def _send(self, number: int) -> bool:
        value = value_of("page", number)
        partition = self._dice.randrange(PARTITIONS)
        form = {"key_kind": "none", "value_kind": "text", "value": value.decode(), "mode": "fixed"}
        status, location, _ = self._post(f"/topics/{TOPIC}/produce", {**form, "partition": str(partition)})
        place = re.fullmatch(r"(\d+)-(\d+)", self._sent(location))
        if status == 303 and place:
            self._history.acknowledged(int(place[1]), int(place[2]), value)
        return status == 303

    def _import(self, number: int) -> bool:
        lines = "\n".join(value_of("import", number, index).decode() for index in range(IMPORT_EVENTS))
        with self._history.lock:
            self._history.imports[number] = (IMPORT_EVENTS, False)
        form = {"format": "lines", "key_kind": "none", "lines": lines, "partitioner": "murmur2", "times": "1"}
        status, location, _ = self._post(f"/topics/{TOPIC}/produce/many", form)
        if status == 303 and self._sent(location):
            with self._history.lock:
                self._history.imports[number] = (IMPORT_EVENTS, True)
        return status == 303

    def _create(self, number: int) -> bool:
        name = f"made-{number}"
        self._history.topics[name] = None
        status, _, _ = self._post("/topics", {"topic": name, "partitions": "2"})
        if status == 303:
            self._history.topics[name] = True
        return status == 303

    def _delete(self, _number: int) -> bool:
        there = [name for name, known in self._history.topics.items() if known]
        if not there:
            return False
        name = self._dice.choice(there)
        self._history.topics[name] = None
        status, _, _ = self._post(f"/topics/{name}/delete")
        if status == 303:
            self._history.topics[name] = False
        return status == 303

    def _snapshot(self, number: int) -> bool:
        if number % 3:
            return False
        name, offsets = f"s{number}", self._history.last_offsets()
        body = json.dumps({"name": name})
        connection = http.client.HTTPConnection(self._owner.page, timeout=20)
        try:
            headers = {"Content-Type": "application/json", "X-Sandbox": "crash"}
            connection.request("POST", "/snapshots.json", body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if status == 200:
            self._history.snapshots[name] = offsets
            while len(self._history.snapshots) > SNAPSHOTS_KEPT:
                oldest = next(iter(self._history.snapshots))
                # From here on the snapshot is not promised any more, with or without an answer.
                del self._history.snapshots[oldest]
                self._post(f"/snapshots/{oldest}/delete")
        return status == 200
