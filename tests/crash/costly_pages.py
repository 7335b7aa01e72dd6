"""Page clients that send slow requests, and often disconnect before the answer."""

import http.client
import random
import threading
from urllib.parse import quote

from tests.crash.endings import still_at_work
from tests.crash.history import TOPIC
from tests.crash.owner import Owner

CLIENTS = 8
END_S = 60.0
LEAVES_AFTER_S = 2.0
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
PATHS = (
    f"/topics/{TOPIC}/messages?count=1&value=absent",
    f"/topics/{TOPIC}/messages.jsonl?value=e",
    f"/topics/{TOPIC}/messages/volume.json?value=absent",
    "/sql.json?limit_s=30&q=" + quote(ENDLESS + "SELECT count(*) FROM n"),
    "/sql.json?limit_s=30&q=" + quote(ENDLESS + "SELECT count(*) FROM (SELECT x FROM n ORDER BY random())"),
    "/sql.csv?q=" + quote("SELECT * FROM messages"),
    "/snapshots",
)
STATUSES = (200, 400, 404, 503)
"""400: a query took too long. 404: a topic doesn't exist yet. 503: too many requests, or the server is stopping."""


class CostlyPages:
    """Clients that each send one request after the other.

    Args:
        owner: the owner, which may end at any moment.
        seed: of all random choices.

    Attributes:
        failures: answers that must never happen.
        asked: number of requests that were sent.
        answered: number of requests that were answered in time.
    """

    def __init__(self, owner: Owner, seed: int) -> None:
        self._owner = owner
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(random.Random(seed + number),), daemon=True)
            for number in range(CLIENTS)
        ]
        self.failures: list[str] = []
        self.asked = self.answered = 0

    def __enter__(self) -> "CostlyPages":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.failures += still_at_work(self._threads, END_S)

    def _guarded(self, dice: random.Random) -> None:
        try:
            while not self._ended.wait(dice.uniform(0, 0.05)):
                if dice.random() < 0.1:
                    self._begin_to_post(dice)
                else:
                    self._ask(dice)
        except BaseException as error:
            self.failures.append(repr(error))

    def _ask(self, dice: random.Random) -> None:
        path = dice.choice(PATHS)
        connection = http.client.HTTPConnection(self._owner.page, timeout=dice.uniform(0.01, LEAVES_AFTER_S))
        try:
            self.asked += 1
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            self.answered += 1
            if answer.status not in STATUSES:
                self.failures.append(f"{path} was answered {answer.status}")
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def _begin_to_post(self, dice: random.Random) -> None:
        """Send a request whose body is never completed."""
        connection = http.client.HTTPConnection(self._owner.page, timeout=LEAVES_AFTER_S)
        try:
            self.asked += 1
            connection.putrequest("POST", dice.choice(("/topics", "/snapshots/upload")))
            connection.putheader("Content-Length", "100000")
            connection.endheaders(b"begun")
            self._ended.wait(dice.uniform(0, LEAVES_AFTER_S))
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
