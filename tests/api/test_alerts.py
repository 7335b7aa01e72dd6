"""Alerts of groups: thresholds in the file, what fires, and the webhook."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from sandbox.api import alerts
from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.model.alerts import checked_alert
from sandbox.runtime import webhook
from sandbox.runtime.webhook import WebhookPoster, checked_url
from sandbox.storage.file import ofd_locks
from tests.clock import START_MS, Clock
from tests.waiting import eventually


class Receiver:
    """A webhook's receiver.

    Attributes:
        url: its URL.
        got: the posted objects.
        statuses: the answers to the next posts; 204 when it is empty.
    """

    def __init__(self) -> None:
        self.got: Queue[dict[str, Any]] = Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.got.put(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?a=1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def _lagging(path: Path, **more: Any) -> Sandbox:
    box = Sandbox(path, **more)
    if not box.topics():
        box.create_topic("orders", partitions=1)
        for n in range(10):
            box.append("orders", f"v{n}")
        box.commit("billing", "orders", 0, 4)
    return box


def test_an_alert_fires_above_its_threshold_and_survives_a_restart(tmp_path: Path) -> None:
    with _lagging(tmp_path / "dev.db") as box:
        box.alerts.set("billing", lag=6)
        assert box.alerts.firing() == ()
        box.append("orders", "one more")
        (one,) = box.alerts.firing()
        assert (one.group, one.figure, one.value, one.threshold, one.text) == ("billing", "lag", 7, 6, "lag 7 > 6")
    with Sandbox(tmp_path / "dev.db") as box:
        assert [(one.group, one.lag, one.age_ms) for one in box.alerts.list()] == [("billing", 6, None)]
        assert len(box.alerts.firing()) == 1
        assert box.alerts.remove("billing")
        assert not box.alerts.remove("billing")
        assert box.alerts.firing() == ()


def test_an_alert_on_age_fires_with_time_alone(tmp_path: Path) -> None:
    clock = Clock(START_MS)
    with _lagging(tmp_path / "dev.db", clock=clock) as box:
        box.alerts.set("billing", age_ms=60_000)
        assert box.alerts.firing() == ()
        clock.now_ms = START_MS + 61_000
        assert [one.text for one in box.alerts.firing()] == ["oldest unread event 1 min 1 s > 1 min"]


def test_thresholds_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with _lagging(tmp_path / "dev.db") as box:
        for lag, age_ms in ((None, None), (-1, None), (None, -1), (2**63, None)):
            with pytest.raises(BrokerError):
                box.alerts.set("billing", lag=lag, age_ms=age_ms)
    with _lagging(tmp_path / "dev.db", read_only=True) as box, pytest.raises(BrokerError):
        box.alerts.set_webhook("http://127.0.0.1:1/")


def test_the_begin_and_the_end_of_an_alert_are_posted(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "POST_AGAIN_S", 0.1)
    with _lagging(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None, registry_port=None)
        box.alerts.set_webhook(receiver.url)
        box.alerts.set("billing", lag=3)
        begin = receiver.got.get(timeout=20)
        assert {name: begin[name] for name in ("state", "group", "figure", "value", "threshold")} == {
            "state": "firing",
            "group": "billing",
            "figure": "lag",
            "value": 6,
            "threshold": 3,
        }
        assert begin["text"] == "Group billing: lag 6 > 3"
        # Seen by the thread that watches, without a call.
        box.commit("billing", "orders", 0, 10)
        assert receiver.got.get(timeout=20)["state"] == "resolved"


def test_a_failed_post_is_tried_three_times_and_a_redirect_is_not_followed(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "WAITS_S", (0.01, 0.01))
    monkeypatch.setattr(alerts, "POST_AGAIN_S", 0.1)
    receiver.statuses = [500, 429, 503, 302]
    with _lagging(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None, registry_port=None)
        box.alerts.set_webhook(receiver.url)
        box.alerts.set("billing", lag=3)
        for _ in range(3):
            assert receiver.got.get(timeout=20)["state"] == "firing"
        eventually(lambda: box.alerts.webhook_error == "it answered 503")
        box.alerts.set("billing", lag=100)
        assert receiver.got.get(timeout=20)["state"] == "resolved"
        eventually(lambda: box.alerts.webhook_error == "it answered 302")
        assert receiver.got.empty()


def test_a_copy_of_the_file_posts_nothing(tmp_path: Path, receiver: Receiver) -> None:
    with _lagging(tmp_path / "dev.db") as box:
        box.alerts.set_webhook(receiver.url)
        assert box.alerts.webhook == receiver.url
    shutil.copy(tmp_path / "dev.db", tmp_path / "copy.db")
    with Sandbox(tmp_path / "copy.db") as copy:
        assert copy.alerts.webhook is None
    with Sandbox(tmp_path / "dev.db") as box:
        assert box.alerts.webhook == receiver.url
        box.alerts.set_webhook(None)
        assert box.alerts.webhook is None


def test_no_row_snapshot_or_fork_has_the_webhook(tmp_path: Path) -> None:
    path = tmp_path / "dev.db"
    with _lagging(path) as box:
        box.alerts.set_webhook("https://hooks.example.com/T0/SECRET")
        box.alerts.set("billing", lag=3)
        box.snapshots.take("with")
        box.snapshots.copy()
        assert "SECRET" not in str(box.sql("SELECT * FROM settings").rows)
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert [one.name for one in files if b"SECRET" in one.read_bytes()] == ["dev.db.webhook"]
    if os.name == "posix":
        assert (tmp_path / "dev.db.webhook").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("way", ["log", "pages"])
def test_a_restore_keeps_the_alerts_and_the_webhook(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "pages":
        monkeypatch.setattr(ofd_locks, "AVAILABLE", False)
    with _lagging(tmp_path / "dev.db") as box:
        box.alerts.set("old", lag=1)
        box.snapshots.take("s")
        box.alerts.remove("old")
        box.alerts.set("billing", lag=3)
        box.alerts.set_webhook(receiver.url)
        box.snapshots.restore("s")
        assert box.alerts.webhook == receiver.url
        assert [(one.group, one.lag) for one in box.alerts.list()] == [("billing", 3)]
        assert [one.group for one in box.alerts.firing()] == ["billing"]


def test_another_file_at_the_same_place_posts_nothing(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "dev.db"
    with _lagging(path) as box:
        box.alerts.set_webhook(receiver.url)
    path.unlink()
    with _lagging(path) as box:
        assert box.alerts.webhook is None


@pytest.mark.parametrize("text", ["[1]", "{", "1", '{"g": 1}', '{"g": {"lag": 1.5}}', "[" * 100_000])
def test_settings_that_another_program_has_spoilt_count_as_absent(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dev.db"
    with _lagging(path) as box:
        for name in ("group.alerts", "message.filters", "kafka.port"):
            box.set_setting(name, text)
        (tmp_path / "dev.db.webhook").write_text(text)
        assert (box.alerts.list(), box.alerts.firing(), box.alerts.webhook) == ((), (), None)
        assert box.filters.list("g") == {}
    with Sandbox(path) as box:
        box.serve(kafka_port=0, web_port=None, registry_port=None)
        box.filters.save("g", "large", "a=1")
        box.alerts.set("billing", lag=3)
        assert [one.group for one in box.alerts.firing()] == ["billing"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "https://user:secret@example.com/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://hooks..example.com/x",
        f"http://{'h' * 64}.example.com/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.1.1]/",
        "http://0.0.0.0:80/",
        "http://example.com/a b",
        "http://example.com/a\r\nHost: x",
        "http://example.com:99999/",
    ],
)
def test_a_url_that_no_webhook_has_is_refused(url: str) -> None:
    with pytest.raises(BrokerError) as refused:
        checked_url(url)
    assert refused.value.error.name == "INVALID_REQUEST"


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_a_name_is_refused_if_one_of_its_addresses_is(
    address: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **more: int) -> list[Any]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*stream, ("127.0.0.1", port)), (*stream, (address, port))]

    url = receiver.url.replace("127.0.0.1", "hooks.example.com")
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(BrokerError, match="no address for a webhook"):
            webhook.post(url, {})
    assert receiver.got.empty()


def test_a_receiver_that_sends_a_byte_now_and_then_does_not_hold_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                # Each byte is earlier than the limit of one read.
                for byte in b"HTTP/1.1 204 No Content":
                    connection.send(bytes([byte]))
                    ended.wait(0.2)

        ended = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        begun_s = time.monotonic()
        with pytest.raises(TimeoutError, match="no complete answer within"):
            webhook.post(f"http://127.0.0.1:{server.getsockname()[1]}/", {})
        assert time.monotonic() - begun_s < 3
        ended.set()
        thread.join()


def test_a_post_that_fails_does_not_end_the_later_ones(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = webhook.post

    def post(url: str, body: Mapping[str, Any]) -> int:
        if url == "bad":
            raise UnicodeError("label empty or too long")
        return posts(url, body)

    monkeypatch.setattr(webhook, "post", post)
    poster = WebhookPoster(threading.Event().wait)
    poster.send("bad", {})
    eventually(lambda: poster.last_error == "it failed (label empty or too long)")
    poster.send(receiver.url, {"n": 1})
    assert receiver.got.get(timeout=20) == {"n": 1}


class Moment:
    """Alerts of one group whose lag and time a test sets, and what is posted of them."""

    def __init__(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        self.posted: list[str] = []
        self._box = box
        monkeypatch.setattr(alerts, "running_s", lambda: self.now_s)
        monkeypatch.setattr(WebhookPoster, "send", lambda poster, url, body: self.posted.append(body["state"]))
        box.alerts.set_webhook("http://127.0.0.1:1/")
        box.alerts.set("billing", lag=3)

    def after_s(self, wait_s: float, lag: int) -> list[str]:
        """Return all posts so far, after a look at a lag some seconds later."""
        self.now_s += wait_s
        self._box.commit("billing", "orders", 0, 10 - lag)
        self._box.alerts.look()
        return self.posted


def test_the_last_state_of_an_alert_that_changes_often_is_posted_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _lagging(tmp_path / "dev.db") as box:
        moment = Moment(box, monkeypatch)
        assert moment.posted == ["firing"]
        assert moment.after_s(20, lag=0) == ["firing"]
        assert moment.after_s(20, lag=6) == ["firing"]
        assert moment.after_s(19, lag=0) == ["firing"]
        assert moment.after_s(1, lag=0) == ["firing", "resolved"]
        assert moment.after_s(20, lag=6) == ["firing", "resolved"]
        assert moment.after_s(39, lag=6) == ["firing", "resolved"]
        assert moment.after_s(1, lag=6) == ["firing", "resolved", "firing"]
        assert moment.after_s(600, lag=6) == ["firing", "resolved", "firing"]
        box.alerts.set_webhook("http://127.0.0.1:2/")
        assert moment.after_s(1, lag=6)[3:] == ["firing"]


@pytest.mark.parametrize("group", ["caf\udce9", "g" * 256])
def test_a_name_that_no_group_can_have_gets_no_alert(group: str) -> None:
    with pytest.raises(BrokerError, match="valid Unicode of at most 255 characters"):
        checked_alert(group, 1, None)
