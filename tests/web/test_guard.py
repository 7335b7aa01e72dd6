"""Another web site in the same browser cannot read or change the sandbox."""

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.proxy import NO_PROXY, Proxy, PublicUrl
from sandbox.web.app import create_app
from sandbox.web.guard import host_refused, origin_refused, stranger
from sandbox.web.proxied import is_https

PUBLIC = Proxy(PublicUrl.parse("https://kafka.example.org/sandbox"))
FORWARDED = Proxy(forwarded=True)


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


@pytest.mark.parametrize(
    "origin",
    [
        "ftp://127.0.0.1:8080",
        "chrome-extension://127.0.0.1:8080",
        "moz-extension://127.0.0.1:8080",
        "file://127.0.0.1:8080",
        "ws://127.0.0.1:8080",
        "https://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://127.0.0.1:8081",
        "http://127.0.0.1:080",
        "http://localhost:8080",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080 ",
        "http://a@127.0.0.1:8080",
        "http://127.0.0.1:8080.evil.example",
        "http://127.0.0.1:8080, http://evil.example",
        "://127.0.0.1:8080",
        "127.0.0.1:8080",
        "null",
        "",
    ],
)
def test_scheme_host_and_port_of_an_origin_are_compared(page: FlaskClient, box: Sandbox, origin: str) -> None:
    headers = {"host": "127.0.0.1:8080", "origin": origin}
    assert origin_refused(headers) is not None
    answer = page.post("/topics", data={"topic": "stolen"}, headers={"Host": "127.0.0.1:8080", "Origin": origin})
    assert answer.status_code == 403
    assert box.topics() == ()


@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080", "http"),
        ("localhost", "http://localhost:80", "http"),
        ("localhost:80", "http://localhost", "http"),
        ("LocalHost:8080", "http://localhost:8080", "http"),
        ("[::1]:8080", "http://[::1]:8080", "http"),
        ("localhost:443", "https://localhost", "https"),
    ],
)
def test_an_origin_is_the_same_however_its_port_is_written(host: str, origin: str, scheme: str) -> None:
    assert origin_refused({"host": host, "origin": origin}, scheme) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "kafka.example.org", "kafka.example.org:443", "KAFKA.example.org"])
def test_the_public_address_is_let_in_whether_the_proxy_keeps_the_host_or_not(host: str) -> None:
    headers = {"host": host, "origin": "https://kafka.example.org", "sec-fetch-site": "same-origin"}
    assert stranger(headers, (), PUBLIC) is None
    assert origin_refused(headers, "http", PUBLIC) is None
    assert is_https(headers, PUBLIC)
    assert origin_refused(headers, "http", NO_PROXY) is not None
    for other in ("http://kafka.example.org", "https://kafka.example.org:8443", "https://evil.example", "null"):
        assert origin_refused(headers | {"origin": other}, "http", PUBLIC) is not None, other
    assert stranger({"host": "evil.example"}, (), PUBLIC) is not None


def test_forwarded_headers_are_ignored_unless_they_are_asked_for() -> None:
    headers = {
        "host": "127.0.0.1:8080",
        "origin": "https://localhost:9000",
        "x-forwarded-host": "localhost:9000",
        "x-forwarded-proto": "https",
    }
    assert origin_refused(headers, "http", NO_PROXY) is not None
    assert not is_https(headers, NO_PROXY)
    assert origin_refused(headers, "http", FORWARDED) is None
    assert is_https(headers, FORWARDED)
    assert origin_refused(headers | {"origin": "http://localhost:9000"}, "http", FORWARDED) is not None


def test_a_forwarded_host_is_no_way_around_the_check_of_the_host() -> None:
    """A page of a rebound name may set any header: both names must be known."""
    assert stranger({"host": "evil.example", "x-forwarded-host": "localhost"}, (), FORWARDED) is not None
    assert stranger({"host": "localhost", "x-forwarded-host": "evil.example"}, (), FORWARDED) is not None
    assert stranger({"host": "localhost", "x-forwarded-host": "evil.example, localhost"}, (), FORWARDED) is None
    assert stranger({"host": "localhost", "x-forwarded-host": "evil.example"}, (), NO_PROXY) is None


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
