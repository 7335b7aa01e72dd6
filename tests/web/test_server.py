"""The web server on a real socket: the WebSocket's rules, and that it stops."""

import gc
import http.client
import socket
from contextlib import closing

import pytest
from flask import Flask, has_request_context, request
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from sandbox.api.sandbox import Sandbox
from sandbox.model.proxy import NO_PROXY
from sandbox.web import server
from sandbox.web.assets import Assets, asset_folder

WITHIN_S = 10


@pytest.fixture
def serving(box: Sandbox) -> Sandbox:
    box.create_topic("t", partitions=1)
    box.serve(kafka_port=None, web_port=0)
    return box


def _address(box: Sandbox) -> str:
    assert box.web_address is not None
    return box.web_address.removeprefix("http://")


def _open(box: Sandbox, view: str, origin: str | None = None) -> ClientConnection:
    return connect(f"ws://{_address(box)}/live?view={view}", origin=origin, max_size=None)  # type: ignore[arg-type]


def test_a_page_on_a_socket_counts_what_is_stored(serving: Sandbox) -> None:
    with closing(http.client.HTTPConnection(_address(serving), timeout=WITHIN_S)) as http_connection:
        http_connection.request("GET", "/topics/t.json")
        answer = http_connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        answer.read()
        http_connection.request("POST", "/topics/t/delete", headers={"Origin": "http://evil.example"})
        assert http_connection.getresponse().status == 403


def test_small_answers_go_at_once_over_a_connection_that_is_kept(serving: Sandbox) -> None:
    with closing(http.client.HTTPConnection(_address(serving), timeout=WITHIN_S)) as http_connection:
        http_connection.request("GET", "/topics/t.json")
        http_connection.getresponse().read()
        mine = http_connection.sock.getsockname()
        sockets = [one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() >= 0]
        accepted = [
            one for one in sockets if one.getsockname() == http_connection.sock.getpeername() and _peer(one) == mine
        ]
        assert [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0 for one in accepted] == [True]


def _peer(one: socket.socket) -> object:
    try:
        return one.getpeername()
    except OSError:
        return None


def test_a_tab_gets_its_view_whole_and_then_what_changed(serving: Sandbox) -> None:
    with _open(serving, "/topics/t/messages") as tab:
        assert "No events yet" in tab.recv(WITHIN_S)
        tab.send("ok")
        serving.append("t", "hello")
        assert 'id="m-0-0"' in tab.recv(WITHIN_S)


def test_a_tab_that_does_not_answer_gets_no_more_and_then_what_is_true(serving: Sandbox) -> None:
    with _open(serving, "/topics/t/messages") as tab:
        tab.recv(WITHIN_S)
        for n in range(30):
            serving.append("t", f"v{n}")
        with pytest.raises(TimeoutError):
            tab.recv(0.6)
        tab.send("ok")
        assert 'id="m-0-29"' in tab.recv(WITHIN_S)
        tab.send("ok")
        with pytest.raises(TimeoutError):
            tab.recv(0.6)


def test_a_tab_can_ask_for_its_view_again(serving: Sandbox) -> None:
    with _open(serving, "/") as tab:
        first = tab.recv(WITHIN_S)
        tab.send("ok")
        tab.send("whole")
        again = tab.recv(WITHIN_S)
        assert str(first).partition("<!--as-of-->")[0] == str(again).partition("<!--as-of-->")[0]


def test_another_site_gets_no_websocket(serving: Sandbox) -> None:
    with pytest.raises(InvalidStatus) as refused, _open(serving, "/", origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with _open(serving, "/", origin=f"http://{_address(serving)}") as tab:
        assert "hx-swap-oob" in tab.recv(WITHIN_S)


@pytest.mark.parametrize("view", ["", "http://evil.example/", "//evil.example/", "/" + "x" * 7000])
def test_a_view_that_is_no_path_is_refused(serving: Sandbox, view: str) -> None:
    with pytest.raises(InvalidStatus), _open(serving, view):
        pass


def test_a_message_that_is_too_long_closes_that_tab_only(serving: Sandbox) -> None:
    with _open(serving, "/") as tab, _open(serving, "/") as other:
        tab.recv(WITHIN_S)
        tab.send("x" * 10_000)
        with pytest.raises(ConnectionClosed):
            tab.recv(WITHIN_S)
        assert "hx-swap-oob" in other.recv(WITHIN_S)


def test_an_open_tab_does_not_keep_the_sandbox_from_closing(serving: Sandbox) -> None:
    with _open(serving, "/") as tab:
        tab.recv(WITHIN_S)
        serving.close()
        with pytest.raises(ConnectionClosed) as closed:
            tab.recv(WITHIN_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_what_a_page_complains_of_goes_to_standard_error_alone(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    app = Flask("complaining")
    app.extensions.update(token=None, assets=Assets(asset_folder("static"), (), None, NO_PROXY))

    @app.get("/")
    def complain() -> str:
        request.environ["wsgi.errors"].write("something went wrong\n")
        return "done"

    monkeypatch.setattr(server, "create_app", lambda *_, **__: app)
    box.serve(kafka_port=None, web_port=0)
    with closing(http.client.HTTPConnection(_address(box), timeout=WITHIN_S)) as http_connection:
        http_connection.request("GET", "/")
        assert http_connection.getresponse().read() == b"done"
    assert tuple(capfd.readouterr()) == ("", "something went wrong\n")


def test_what_the_loop_does_for_a_page_does_not_keep_the_request_of_the_page(serving: Sandbox) -> None:
    kept: list[bool] = []

    async def look() -> None:
        kept.append(has_request_context())

    with Flask("asking").test_request_context("/"):
        serving._runtime.call(lambda now_ms: kept.append(has_request_context()))
        serving.brokers._run(look())
        assert has_request_context()
    assert kept == [False, False]
