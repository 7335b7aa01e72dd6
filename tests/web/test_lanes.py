"""Bounded queues of requests: clients that leave them, bodies that stop, and threads that stay free."""

import http.client
import json
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from flask import Flask, Response, request

from sandbox.api.sandbox import Sandbox
from sandbox.model import cancellation
from sandbox.model.cancellation import Cancelled
from sandbox.model.proxy import NO_PROXY
from sandbox.web import lanes, server
from sandbox.web.assets import Assets, asset_folder
from tests.waiting import eventually

WITHIN_S = 20.0


class Work:
    """What the pages of the application below do: hold their thread until they are released or cancelled."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.bodies: list[int] = []

    def hold(self, name: str) -> str:
        self.started.append(name)
        pause = threading.Event()
        try:
            while not self.released.is_set():
                cancellation.check()
                pause.wait(0.005)
        except Cancelled:
            self.cancelled.append(name)
            raise
        return "held"


@pytest.fixture
def work() -> Iterator[Work]:
    held = Work()
    yield held
    held.released.set()


@pytest.fixture
def address(box: Sandbox, work: Work, monkeypatch: pytest.MonkeyPatch) -> str:
    app = Flask("lanes")
    app.extensions.update(token=None, assets=Assets(asset_folder("static"), (), None, NO_PROXY))
    app.register_error_handler(Cancelled, lambda error: (str(error), 503, {"Connection": "close"}))

    @app.get("/")
    def quick() -> str:
        return "quick"

    @app.route("/sql", methods=["GET", "POST"])
    def costly() -> str:
        return work.hold(request.args.get("n", ""))

    @app.get("/sql/stuck")
    def stuck() -> str:
        work.started.append("stuck")
        work.released.wait(2 * WITHIN_S)
        return "stuck"

    @app.post("/")
    @app.post("/snapshots/upload")
    def take() -> str:
        work.bodies.append(len(request.get_data()))
        return "taken"

    @app.get("/large")
    def large() -> Response:
        def parts() -> Iterator[bytes]:
            while True:
                yield b"x" * 65536

        return Response(parts())

    monkeypatch.setattr(server, "create_app", lambda *_, **__: app)
    box.serve(kafka_port=None, web_port=0)
    assert box.web_address is not None
    return box.web_address.removeprefix("http://")


def _ask(address: str, path: str = "/", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(address, timeout=WITHIN_S)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def _send(address: str, text: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), WITHIN_S)
    connection.sendall(text.replace("\n", "\r\n").encode())
    return connection


def _get(address: str, path: str, method: str = "GET") -> socket.socket:
    return _send(address, f"{method} {path} HTTP/1.1\nHost: {address}\n\n")


def _reads(connection: socket.socket) -> bytes:
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def test_costly_pages_leave_threads_for_the_others(address: str, work: Work) -> None:
    with ExitStack() as open_ones:
        for n in range(20):
            open_ones.enter_context(_get(address, f"/sql?n={n}"))
        eventually(lambda: len(work.started) == lanes.THREADS["costly"])
        for _ in range(5):
            assert _ask(address) == (200, b"quick")
        assert len(work.started) == lanes.THREADS["costly"]


def test_a_request_whose_client_has_gone_leaves_the_queue_or_is_cancelled(address: str, work: Work) -> None:
    with ExitStack() as gone:
        for n in range(20):
            gone.enter_context(_get(address, f"/sql?n={n}"))
        eventually(lambda: len(work.started) == lanes.THREADS["costly"])
    eventually(lambda: len(work.cancelled) == lanes.THREADS["costly"])
    # A request that comes now is run at once, and none of the 17 that waited is.
    with _get(address, "/sql?n=next"):
        eventually(lambda: "next" in work.started)
        assert len(work.started) == lanes.THREADS["costly"] + 1


def test_a_change_runs_to_its_end_though_its_client_has_gone(address: str, work: Work) -> None:
    with _get(address, "/sql?n=change", "POST"):
        eventually(lambda: work.started)
    with _get(address, "/sql?n=question"):
        eventually(lambda: len(work.started) == 2)
    eventually(lambda: work.cancelled == ["question"])
    assert _ask(address) == (200, b"quick")
    assert work.cancelled == ["question"]


@pytest.mark.parametrize(("path", "kind"), [("/sql", "text/plain"), ("/sql.json", "application/json")])
def test_above_its_limit_a_queue_answers_503_and_when_to_try_again(
    address: str, work: Work, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    with ExitStack() as open_ones:
        waiting = lanes.THREADS["costly"] + lanes.QUEUE_MAX["costly"]
        for n in range(waiting):
            open_ones.enter_context(_get(address, f"/sql?n={n}"))

        def refused() -> bool:
            with closing(http.client.HTTPConnection(address, timeout=WITHIN_S)) as connection:
                connection.request("GET", path)
                # Until all others have arrived this one waits too.
                connection.sock.settimeout(0.2)
                try:
                    answers.append(connection.getresponse())
                except TimeoutError:
                    return False
                bodies.append(answers[-1].read())
            return True

        answers: list[http.client.HTTPResponse] = []
        bodies: list[bytes] = []
        eventually(refused, WITHIN_S)
        assert answers[0].status == 503
        assert answers[0].headers["Retry-After"] == "2"
        assert answers[0].headers["Content-Type"].startswith(kind)
        text = bodies[0].decode()
        message = json.loads(text)["message"] if kind == "application/json" else text.strip()
        assert message == "Too many requests are waiting. Try again in 2 seconds."
        assert _ask(address) == (200, b"quick")


def test_requests_whose_bodies_end_together_are_bounded_too(address: str, work: Work) -> None:
    served, refused = lanes.THREADS["costly"] + lanes.QUEUE_MAX["costly"], 7
    with ExitStack() as open_ones:
        head = f"POST /sql HTTP/1.1\nHost: {address}\nConnection: close\nContent-Length: 10\n\nbegun"
        connections = [open_ones.enter_context(_send(address, head)) for _ in range(served + refused)]
        assert _ask(address) == (200, b"quick")
        for connection in connections:
            connection.sendall(b"whole")
        eventually(lambda: len(select.select(connections, [], [], 0)[0]) == refused, WITHIN_S)
        work.released.set()
        statuses = Counter(_reads(connection).split()[1] for connection in connections)
    assert statuses == {b"200": served, b"503": refused}


def test_unfinished_bodies_hold_no_thread(address: str, work: Work) -> None:
    with ExitStack() as open_ones:
        for _ in range(20):
            head = f"POST / HTTP/1.1\nHost: {address}\nContent-Length: 100\n\nbegun"
            open_ones.enter_context(_send(address, head))
        assert _ask(address) == (200, b"quick")
        assert _ask(address, "/", "POST", b"whole") == (200, b"taken")
    assert work.bodies == [5]


@pytest.mark.parametrize("path", ["/", "/snapshots/upload"])
def test_a_body_that_stops_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(lanes, "BODY_WITHIN_S", 0.2)
    with _send(address, f"POST {path} HTTP/1.1\nHost: {address}\nContent-Length: 100\n\nbegun") as connection:
        status = _reads(connection).split()[1]
    assert status == (b"408" if path == "/" else b"503")
    assert _ask(address) == (200, b"quick")


@pytest.mark.parametrize("path", ["/", "/snapshots/upload"])
def test_a_body_that_goes_on_arriving_may_take_longer(
    address: str, work: Work, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(lanes, "BODY_WITHIN_S", 1.0)
    monkeypatch.setattr(lanes, "BODY_PROGRESS_BYTES", 10)
    pause = threading.Event()
    with _send(address, f"POST {path} HTTP/1.1\nHost: {address}\nContent-Length: 150\n\n") as connection:
        for _ in range(15):
            pause.wait(0.1)
            connection.sendall(b"x" * 10)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert work.bodies == [150]


def test_bodies_have_a_budget_over_all_connections(address: str, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BODIES_MAX_BYTES", 1000)
    head = f"POST / HTTP/1.1\nHost: {address}\nContent-Length: 900\n\n"
    with _send(address, head + "x" * 800) as first:
        eventually(lambda: _ask(address, "/", "POST", b"x" * 300)[0] == 503)
        first.sendall(b"x" * 100)
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
    eventually(lambda: _ask(address, "/", "POST", b"x" * 300) == (200, b"taken"))


def test_a_client_that_reads_nothing_and_goes_frees_its_thread(address: str, work: Work) -> None:
    names = [f"page-quick-{n}" for n in range(1, lanes.THREADS["quick"] + 1)]
    with ExitStack() as open_ones:
        for _ in names:
            open_ones.enter_context(_get(address, "/large"))
        eventually(lambda: {one.name for one in threading.enumerate()} >= set(names))
    assert _ask(address) == (200, b"quick")


def test_closing_drops_what_waits_and_cancels_what_runs(box: Sandbox, address: str, work: Work) -> None:
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(_get(address, f"/sql?n={n}")) for n in range(10)]
        connections.append(open_ones.enter_context(_get(address, "/sql?n=change", "POST")))
        body = f"POST / HTTP/1.1\nHost: {address}\nContent-Length: 100\n\nbegun"
        connections.append(open_ones.enter_context(_send(address, body)))
        eventually(lambda: len(work.started) == lanes.THREADS["costly"])
        box.close()
        statuses = [_reads(one).split()[1] for one in connections]
    assert statuses == [b"503"] * len(connections)
    assert len(work.started) == len(work.cancelled) == lanes.THREADS["costly"]


def test_threads_end_with_the_server(box: Sandbox, address: str, work: Work) -> None:
    work.released.set()
    assert _ask(address, "/sql") == (200, b"held")
    assert _pages()
    box.close()
    eventually(lambda: not _pages())


def _pages() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(("page-", "live"))]


def test_a_page_that_cannot_be_interrupted_is_abandoned(box: Sandbox, address: str, work: Work) -> None:
    with _get(address, "/sql/stuck"):
        eventually(lambda: work.started)
        closing_it = threading.Thread(target=box.close, daemon=True)
        closing_it.start()
        closing_it.join(WITHIN_S)
        assert not closing_it.is_alive()
    # Its late result reaches no client, and breaks nothing.
    work.released.set()
    eventually(lambda: not _pages())
