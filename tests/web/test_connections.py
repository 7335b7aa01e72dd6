"""Connections that wait for their client are closed in time, and never keep the page away."""

import http.client
import math
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.web import connections, lanes, live
from tests.waiting import eventually

WITHIN_S = 20.0


@pytest.fixture
def address(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)
    box.create_topic("t", partitions=1)
    box.serve(kafka_port=None, web_port=0)
    assert box.web_address is not None
    return box.web_address.removeprefix("http://")


@pytest.fixture
def opened(address: str) -> Iterator["Opened"]:
    with ExitStack() as stack:
        yield Opened(address, stack)


class Opened:
    """Opens connections that are closed at the end."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self._address = address
        self._stack = stack

    def send(self, text: str) -> socket.socket:
        host, _, port = self._address.rpartition(":")
        found = self._stack.enter_context(socket.create_connection((host, int(port)), WITHIN_S))
        found.sendall(text.replace("\n", "\r\n").replace("HOST", self._address).encode())
        return found


def _ask(address: str) -> int:
    with closing(http.client.HTTPConnection(address, timeout=WITHIN_S)) as connection:
        connection.request("GET", "/topics.json")
        answer = connection.getresponse()
        answer.read()
        return answer.status


def _connections(box: Sandbox) -> set[Any]:
    server = box._runtime._web
    assert server is not None
    assert server._server is not None
    found: set[Any] = server._server.connections
    return found


def _is_closed(connection: socket.socket, within_s: float = WITHIN_S) -> bool:
    connection.settimeout(within_s)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_a_client_that_speaks_kafka_to_the_page_is_reported_once(
    opened: Opened, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections._not_http, "_reported_s", -math.inf)
    for _ in range(20):
        assert _is_closed(opened.send("\0\0\0\x0a\0\x12\0\0"))
    assert [one.getMessage() for one in caplog.records] == [
        "A client sent something other than HTTP to the page's port. Kafka clients need the Kafka address."
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GET / HT",
        "GET / HTTP/1.1\nHost: HOST\nX-Slow: ",
        # After an answer: the idle time of uvicorn ends with the first byte that comes.
        "GET /topics.json HTTP/1.1\nHost: HOST\n\nGET /top",
        # What is answered before its body was read.
        "POST /nowhere HTTP/1.1\nHost: HOST\nContent-Length: 99999999\n\nbegun",
        "GET /topics.json HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\nConnection: keep-alive\n\n0\n\n",
    ],
)
def test_a_head_that_does_not_come_is_given_up(
    address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.2)
    assert _is_closed(opened.send(text))
    assert _ask(address) == 200


def test_a_head_that_comes_byte_by_byte_has_no_more_time(
    address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)
    slow = opened.send("GET / HTTP/1.1\nHost: HOST\nX-Slow: ")

    def refused() -> bool:
        try:
            slow.sendall(b"x")
        except ConnectionError:
            return True
        return False

    eventually(refused, WITHIN_S)


def test_an_answer_that_is_not_read_is_given_up(
    box: Sandbox, address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_WITHIN_S", 0.2)
    for _ in range(20):
        box.append("t", b"x" * 900_000)
    unread = opened.send("GET /topics/t/messages.jsonl HTTP/1.1\nHost: HOST\n\n")
    kept = _connections(box)
    eventually(lambda: any(one.unread_since_s is not None for one in kept), WITHIN_S)
    eventually(lambda: not kept, WITHIN_S)
    assert _is_closed(unread)


def test_requests_that_follow_on_a_connection_do_not_end_with_the_one_before(opened: Opened) -> None:
    """The second one is handled in the context of the first, whose work is over."""
    request = "GET /topics.json HTTP/1.1\nHost: HOST\n\n"
    last = "GET /topics.json HTTP/1.1\nHost: HOST\nConnection: close\n\n"
    connection = opened.send(request * 3 + last)
    answers = b""
    while piece := connection.recv(65536):
        answers += piece
    assert answers.count(b"HTTP/1.1 200 OK") == 4, answers


def test_slow_connections_make_room_for_a_page(address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 20)
    heads = [opened.send("GET / HTTP/1.1\nHost: HOST\nX-Slow: ") for _ in range(40)]
    bodies = [opened.send("POST / HTTP/1.1\nHost: HOST\nContent-Length: 9\n\nbegun") for _ in range(30)]
    for _ in range(3):
        assert _ask(address) == 200
    # The oldest were closed.
    assert all(_is_closed(one) for one in [*heads, *bodies[:5]])


def test_what_is_being_served_makes_no_room(
    box: Sandbox, address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = quote("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")
    served = [opened.send(f"GET /sql.json?limit_s=30&q={query} HTTP/1.1\nHost: HOST\n\n") for _ in range(5)]
    assert _ask(address) == 200
    # Until the server has read all five requests, and the connection of the sixth is gone.
    eventually(lambda: [one.waits_since_s for one in _connections(box)] == [None] * 5, WITHIN_S)
    eventually(lambda: len(_connections(box)) == len(served), WITHIN_S)
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", len(served))
    answer = opened.send("GET / HTTP/1.1\nHost: HOST\n\n").recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 2\r\n" in answer
    served.pop().close()
    eventually(lambda: _ask_or_refused(address) == 200, WITHIN_S)


def _ask_or_refused(address: str) -> int:
    try:
        return _ask(address)
    except (OSError, http.client.HTTPException):
        return 0


def test_answers_that_nobody_reads_have_a_budget(
    box: Sandbox, address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "UNREAD_MAX_BYTES", 10_000_000)
    for _ in range(20):
        box.append("t", b"x" * 900_000)
    unread = opened.send("GET /topics/t/messages.jsonl HTTP/1.1\nHost: HOST\n\n")
    eventually(lambda: _ask(address) == 503, WITHIN_S)
    unread.close()
    eventually(lambda: _ask(address) == 200, WITHIN_S)


UPGRADE = """GET /live?view=/topics HTTP/1.1
Host: HOST
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==

"""
PING = b"\x89\x80mask"
NO_END = b"\x01\x80mask"
MORE = b"\x00\x80mask"
TAB_WITHIN_S = 8.0
"""uvicorn itself closes a tab after 10 s that it was asked to close, and after 40 s one that does not answer."""


def _accepted(connection: socket.socket) -> bool:
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1)
    return found.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("frames", [PING * 4_000, NO_END + MORE * 4_000], ids=["pings", "fragments"])
def test_a_tab_that_sends_much_is_closed(address: str, opened: Opened, frames: bytes) -> None:
    tab = opened.send(UPGRADE)
    assert _accepted(tab)
    try:
        tab.sendall(frames)
    except ConnectionError:
        pass
    assert _is_closed(tab, TAB_WITHIN_S)
    assert _ask(address) == 200


def test_a_tab_may_send_a_little_again_and_again(address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SENT_WITHIN_S", 0.0)
    tab = opened.send(UPGRADE)
    assert _accepted(tab)
    found = b""
    for round in range(20):
        tab.sendall(PING * 500)
        while found.count(b"\x8a\x00") < 500 * (round + 1):
            found += tab.recv(65536)


def test_tabs_that_were_refused_make_room_for_a_page(
    address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 20)
    monkeypatch.setattr(live, "TABS_MAX", 5)
    tabs = [opened.send(UPGRADE) for _ in range(20)]
    assert all(_accepted(tab) for tab in tabs)
    for _ in range(3):
        assert _ask(address) == 200


def test_a_tab_that_was_closed_and_is_not_ended_is_given_up(
    address: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_WITHIN_S", 0.2)
    monkeypatch.setattr(live, "TABS_MAX", 0)
    tab = opened.send(UPGRADE)
    assert _accepted(tab)
    assert _is_closed(tab, TAB_WITHIN_S)
