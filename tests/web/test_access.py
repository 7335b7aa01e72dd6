"""If other machines can reach the page, all of it requires the token; if the file is read-only, no page changes it."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from sandbox.api.sandbox import Sandbox
from sandbox.storage.file.lock import lock_path, read_owner
from sandbox.web import guard
from sandbox.web.app import create_app

TOKEN = "correct-horse-battery"
WITHIN_S = 10


@pytest.fixture
def locked(box: Sandbox) -> FlaskClient:
    box.create_topic("orders", partitions=1)
    return create_app(box, token=TOKEN).test_client()


def test_every_address_refuses_without_the_token(box: Sandbox) -> None:
    app = create_app(box, token=TOKEN)
    page = app.test_client()
    asked = 0
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", re.sub(r"<int:[^>]*>", "1", rule.rule))
        path = re.sub(r"<[^>]*>", "orders", path)
        for method in (rule.methods or set()) & {"GET", "POST", "HEAD", "OPTIONS"}:
            answer = page.open(path, method=method, headers={guard.PROGRAM_HEADER: "test"})
            assert answer.status_code == 401, (method, path)
            assert "Content-Security-Policy" in answer.headers
            asked += 1
    assert asked > 150
    assert page.get("/static/app.js").status_code == 401
    assert page.get("/nowhere").status_code == 401


def test_the_refusal_says_why_and_what_to_do(locked: FlaskClient) -> None:
    answer = locked.get("/")
    assert "other machines can reach it" in answer.text
    assert "?token=" in answer.text
    assert answer.mimetype == "text/plain"
    data = locked.get("/topics.json")
    assert data.get_json()["error"] == "UNAUTHORIZED"
    assert data.headers["WWW-Authenticate"] == "Bearer"


def test_the_token_in_an_address_becomes_a_cookie_and_leaves_the_address(locked: FlaskClient) -> None:
    answer = locked.get(f"/topics/orders?in=time&token={TOKEN}&q=a%26b")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/topics/orders?in=time&q=a%26b"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert locked.get("/topics/orders").status_code == 200
    assert locked.get("/topics.json").status_code == 200


def test_a_link_from_elsewhere_opens_the_page_too(locked: FlaskClient) -> None:
    answer = locked.get(f"/?token={TOKEN}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert answer.headers["Refresh"] == "0; url=/"


def test_a_program_sends_the_token_as_a_bearer(locked: FlaskClient) -> None:
    assert locked.get("/topics.json", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in ("", TOKEN, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        assert locked.get("/topics.json", headers={"Authorization": wrong}).status_code == 401, wrong


@pytest.mark.parametrize("address", ["/?token=", "/?token=wrong", "/?token=%ff%00", f"/?token={TOKEN}%20"])
def test_a_wrong_token_gets_no_cookie(locked: FlaskClient, address: str) -> None:
    answer = locked.get(address)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["//evil.example/a", "/\r\nX-Evil:1", "/\\evil.example", "/a\nb"])
def test_the_clean_address_stays_here(locked: FlaskClient, path: str) -> None:
    for site in ("none", "cross-site"):
        headers = {"Sec-Fetch-Site": site}
        answer = locked.get(f"/?token={TOKEN}", headers=headers, environ_overrides={"PATH_INFO": path})
        where = answer.headers.get("Location") or answer.headers.get("Refresh", "").partition("url=")[2]
        assert re.match(r"/[^/\\]", where), where
        assert "X-Evil" not in answer.headers


def test_a_cookie_of_another_port_does_not_count(box: Sandbox) -> None:
    locked = create_app(box, token=TOKEN).test_client(use_cookies=False)
    headers = {"Host": "localhost:8080", "Cookie": f"sandbox-token-8081={TOKEN}"}
    assert locked.get("/", headers=headers).status_code == 401
    headers = {"Host": "localhost:8080", "Cookie": f"sandbox-token-8080={TOKEN}"}
    assert locked.get("/", headers=headers).status_code == 200


def test_the_token_is_no_way_around_the_other_checks(locked: FlaskClient, box: Sandbox) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert locked.get("/", headers={**bearer, "Host": "evil.example"}).status_code == 403
    answer = locked.post("/topics", data={"topic": "stolen"}, headers={**bearer, "Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert [one.topic for one in box.topics()] == ["orders"]


def test_what_a_refusal_repeats_is_no_markup(page: FlaskClient) -> None:
    for headers in ({"Host": "<script>alert(1)</script>"}, {"Host": "evil.example:1<b>"}):
        answer = page.get("/", headers=headers)
        assert answer.status_code in (400, 403)
        assert answer.mimetype == "text/plain" or "<script>alert" not in answer.text


def test_a_websocket_needs_the_token_and_live_views_have_it(box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.serve(kafka_port=None, web_port=0, web_token=TOKEN)
    address = (box.web_address or "").removeprefix("http://")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{address}/live?view=/topics/t/messages")
    assert refused.value.response.status_code == 403
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with connect(f"ws://{address}/live?view=/topics/t/messages", additional_headers=headers) as tab:
        assert "No events yet" in str(tab.recv(WITHIN_S))
        tab.send("ok")
        box.append("t", "hello")
        assert 'id="m-0-0"' in str(tab.recv(WITHIN_S))


def test_an_address_that_others_can_reach_has_a_token_without_being_asked(box: Sandbox) -> None:
    box.serve(host="0.0.0.0", kafka_port=None, web_port=0)
    assert box.web_token is not None
    assert len(box.web_token) >= 32
    port = int((box.web_address or "").rpartition(":")[2])
    statuses = []
    for headers in ({}, {"Authorization": f"Bearer {box.web_token}"}):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)) as connection:
            connection.request("GET", "/topics.json", headers=headers)
            statuses.append(connection.getresponse().status)
    assert statuses == [401, 200]


def test_the_token_lies_beside_the_file_for_its_owner_alone(box: Sandbox) -> None:
    file = Path(box.overview().file)
    box.serve(host="0.0.0.0", kafka_port=None, web_port=0)
    owner = read_owner(file)
    assert owner is not None
    assert owner["token"] == box.web_token
    assert lock_path(file).stat().st_mode & 0o777 == 0o600


def test_the_loopback_asks_for_nothing(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0)
    assert box.web_token is None


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "read.db") as sandbox:
        sandbox.create_topic("orders", partitions=2)
        sandbox.append("orders", "x", key="k")
        sandbox.commit("billing", "orders", 0, 0)
        sandbox.snapshots.take("before")
    with Sandbox(tmp_path / "read.db", read_only=True) as sandbox:
        yield sandbox


def changing(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or hasattr(app.view_functions[rule.endpoint], "_changes_nothing"):
            continue
        path = re.sub(r"<any\((\w+)[^>]*>", r"\1", re.sub(r"<int:[^>]*>", "1", rule.rule))
        path = path.replace("<topic>", "orders").replace("<group>", "billing")
        yield path.replace("/snapshots/<name>", "/snapshots/before").replace("<name>", "any")


def test_every_change_through_the_page_of_a_read_only_sandbox_is_refused(looking: Sandbox) -> None:
    app = create_app(looking)
    page = app.test_client()
    addresses = set(changing(app))
    assert len(addresses) > 40
    for address in addresses:
        answer = page.post(address, headers={guard.PROGRAM_HEADER: "test"})
        assert answer.status_code == 403, address
        assert "read-only" in answer.text, address


def test_the_pages_of_a_read_only_sandbox_are_all_there(looking: Sandbox) -> None:
    page = create_app(looking).test_client()
    for address in (
        "/",
        "/topics/orders",
        "/topics/orders/messages",
        "/groups/billing",
        "/cluster",
        "/snapshots",
        "/sql",
    ):
        assert page.get(address).status_code == 200, address
    assert "opened read-only" in page.get("/topics/orders/produce").text
    assert 'class="off" disabled' in page.get("/topics/~new").text
    assert len(page.get("/topics.json").get_json()["topics"]) == 1
