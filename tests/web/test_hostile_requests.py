"""No request, however odd, makes a page fail: each answer says what was wrong with it."""

import random
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web import guard
from sandbox.web.app import create_app
from tests.web.wild import TEXTS, address, ask_all, fill

ROUNDS = 4
"""How often each address is asked; `make torture` asks more often, see `tests.torture.wild`."""
SEED = 6
ANSWER_WITHIN_S = 15


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with Sandbox(tmp_path / "wild.db") as box:
        fill(box)
        yield create_app(box)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_field_of_any_address_makes_it_fail(app: Flask, method: str) -> None:
    failed, slowest_s = ask_all(app, method, ROUNDS, random.Random(SEED))
    assert failed == []
    assert slowest_s < ANSWER_WITHIN_S


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "text/plain",
        "\u00e9/;;=",
        "",
    ],
)
def test_no_body_makes_an_address_fail(app: Flask, content_type: str) -> None:
    source = random.Random(SEED)
    page = app.test_client()
    bodies = (
        b"",
        b"\x00\xff\xfe",
        b"{",
        b"[" * 50_000,
        b'{"a": "\\ud800"}',
        b'"x"',
        b"null",
        b"a=%ff%00&a=%",
        b"--x\r\n\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a"\r\n\r\nx\r\n--x--\r\n',
        b"&" * 5000,
    )
    failed = []
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()):
            continue
        path = address(rule.rule, source)
        body = source.choice(bodies)
        headers = {guard.PROGRAM_HEADER: "test", "Content-Type": content_type}
        answer = page.post(path, data=body, headers=headers)
        if answer.status_code >= 500:
            failed.append(f"{path} {body[:40]!r}: {answer.text[-300:]}")
    assert failed == []


def test_a_query_string_may_be_anything(app: Flask) -> None:
    page = app.test_client()
    for query in (
        "%ff%fe=%00",
        "a=%ed%a0%80",
        "&&&=&=",
        "q=" + "%F0%9F%92%A9" * 3000,
        "+",
        "a" * 60_000,
        "q[]=1&q[]=2",
        ";",
    ):
        for path in (
            "/",
            "/topics/orders",
            "/topics/orders/messages",
            "/search",
            "/sql",
            "/activity",
            "/groups",
            "/group",
            "/produce/preview",
        ):
            assert page.get(path, query_string=query).status_code < 500, (path, query[:50])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST /topics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /topics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /topics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /topics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x10\x00\x12\x00\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_are_refused_and_the_page_goes_on(box: Sandbox, sent: bytes) -> None:
    box.serve(kafka_port=None, web_port=0)
    host, port = (box.web_address or "").removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        with suppress(OSError):  # it may have hung up already
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := _received(connection):
            answer += piece
    assert not answer or re.match(rb"HTTP/1\.1 [34]\d\d ", answer), answer[:100]
    assert [one.topic for one in box.topics()] == []
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /topics.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_the_wild_values_are_many() -> None:
    assert len(set(TEXTS)) == len(TEXTS) > 70


@pytest.mark.parametrize(
    ("path", "sent"),
    [("/groups/~alerts.json", '{"group": "g\\ud800", "lag": 1}'), ("/snapshots.json", '{"note": "\\uD800"}')],
)
def test_half_of_a_surrogate_pair_in_json_is_refused(page: FlaskClient, path: str, sent: str) -> None:
    answer = page.post(path, data=sent, content_type="application/json", headers={"X-Sandbox": "test"})
    assert (answer.status_code, answer.get_json()["error"]) == (400, "INVALID_REQUEST")
