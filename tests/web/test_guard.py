"""Another web site in the same browser cannot read or change the sandbox."""

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from sandbox.web.guard import host_refused, origin_refused


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_the_loopback_is_let_in_by_every_name(page: FlaskClient, host: str) -> None:
    assert page.get("/topics.json", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8080", "10.0.0.7", "[::2]"])
def test_a_host_that_is_not_this_server_is_refused(page: FlaskClient, host: str) -> None:
    answer = page.get("/topics.json", headers={"Host": host})
    assert answer.status_code == 403
    assert "Open it by its address" in answer.text


def test_an_address_that_was_bound_is_let_in(box: Sandbox) -> None:
    page = create_app(box, hosts=("10.0.0.7",)).test_client()
    assert page.get("/topics.json", headers={"Host": "10.0.0.7:8080"}).status_code == 200


def test_a_wildcard_lets_addresses_in_and_no_foreign_name() -> None:
    assert host_refused("192.168.1.5:8080", ("0.0.0.0",)) is None
    assert host_refused("rebind.evil.example:8080", ("0.0.0.0",)) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    ],
)
def test_a_form_of_another_site_changes_nothing(page: FlaskClient, box: Sandbox, headers: dict[str, str]) -> None:
    answer = page.post("/topics", data={"topic": "stolen"}, headers=headers)
    assert answer.status_code == 403
    assert box.topics() == ()


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "navigate", "document", 200),
        ("same-site", "navigate", "document", 200),
        ("none", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "image", 403),
        ("cross-site", "no-cors", "script", 403),
        ("same-site", "cors", "empty", 403),
    ],
)
def test_another_site_may_link_to_a_page_and_make_it_work_for_nothing(
    page: FlaskClient, site: str, mode: str, dest: str, status: int
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert page.get("/sql.json?q=SELECT+1", headers=headers).status_code == status
    assert page.get("/", headers=headers).status_code == status


def test_a_form_of_the_page_itself_and_a_program_without_headers_are_let_in(page: FlaskClient, box: Sandbox) -> None:
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert page.post("/topics", data={"topic": "one"}, headers=own).status_code == 303
    assert page.post("/topics", data={"topic": "two"}).status_code == 303
    assert [topic.topic for topic in box.topics()] == ["one", "two"]


def test_a_websocket_of_another_site_is_refused() -> None:
    assert origin_refused({"origin": "http://evil.example", "host": "127.0.0.1:8080"}) is not None
    assert origin_refused({"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}) is None


def test_every_answer_forbids_foreign_and_inline_scripts(page: FlaskClient) -> None:
    for address in ("/", "/topics.json", "/static/app.js", "/nowhere"):
        with page.get(address) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_page_has_an_inline_script_or_style(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=2)
    box.append("orders", "{}", key="a", partition=1)
    box.commit("g", "orders", 0, 0)
    for address in ("/", "/topics/orders", "/topics/orders/messages", "/topics/orders/1/0", "/groups/g", "/help"):
        html = page.get(address).text
        assert " style=" not in html, address
        assert " onclick=" not in html, address
        assert "<script>" not in html, address
