"""No request, however odd, makes a page fail: each answer says what was wrong with it."""

import os
import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask

from sandbox.sandbox import Sandbox
from sandbox.web import guard
from sandbox.web.app import create_app
from tests.web.wild import TEXTS, wild_request

ROUNDS = int(os.environ.get("SANDBOX_WILD_ROUNDS", "4"))
"""How often each address is asked; `make torture` asks more often."""
SEED = int(os.environ.get("SANDBOX_WILD_SEED", "6"))
ANSWER_WITHIN_S = 15
INTEGERS = ("0", "1", "7", str(2**31), str(2**63), "9" * 40)
NAMES = (
    "orders",
    "billing",
    "before",
    "compact",
    "empty",
    "why-twice",
    "none.json",
    "%00",
    "%ff%fe",
    "..%2f..",
    "%0d%0a",
    "x" * 3000,
)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with Sandbox(tmp_path / "wild.db") as box:
        box.create_topic("orders", partitions=2)
        for n in range(20):
            box.append("orders", f'{{"a": {n}}}', key=f"k{n}", headers={"h": "v"})
        box.commit("billing", "orders", 0, 0)
        box.snapshots.take("before")
        yield create_app(box)


def address(rule: str, source: random.Random) -> str:
    """A path of a rule."""

    def fill(part: re.Match[str]) -> str:
        chosen = re.match(r"<any\(([^)]*)\)", part[0])
        if chosen:
            return str(source.choice(chosen[1].split(", ")))
        return source.choice(INTEGERS if part[0].startswith("<int:") else NAMES)

    path = re.sub(r"<[^>]*>", fill, rule)
    # A copy that is opened beside is a process: too slow to start hundreds of them.
    return path.replace("/before/fork", "/none/fork")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_field_of_any_address_makes_it_fail(app: Flask, method: str) -> None:
    source = random.Random(SEED)
    app.request_class = wild_request(source)
    page = app.test_client()
    failed: list[str] = []
    slowest = (0.0, "")
    for _ in range(ROUNDS):
        for rule in app.url_map.iter_rules():
            if method not in (rule.methods or ()):
                continue
            path = address(rule.rule, source)
            begun_s = time.perf_counter()
            answer = page.open(path, method=method, headers={guard.PROGRAM_HEADER: "test"})
            slowest = max(slowest, (time.perf_counter() - begun_s, path))
            if answer.status_code >= 500:
                told = {kind: fields.told for kind, fields in answer.request.environ.get("wild", {}).items()}
                failed.append(f"{method} {path[:200]} {answer.status_code} {str(told)[:600]}\n{answer.text[-300:]}")
            answer.close()
    print(f"{method}: the slowest took {slowest[0]:.2f} s: {slowest[1][:80]}")
    assert failed == []
    assert slowest[0] < ANSWER_WITHIN_S


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
