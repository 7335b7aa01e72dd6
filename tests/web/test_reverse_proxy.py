"""The page behind nginx and Caddy, with the lines of docs/proxy.md."""

import http.client
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from sandbox.api.sandbox import Sandbox
from sandbox.model.proxy import PAGE_PATHS, Proxy, PublicUrl
from sandbox.web.app import create_app
from sandbox.web.live import render_view
from tests.ports import free_port
from tests.waiting import eventually
from tests.web.hostile_names import SNAPSHOT, TOPIC, addresses

DOCUMENT = (Path(__file__).parents[2] / "docs" / "proxy.md").read_text()
NAME = "kafka.example.org"
TOKEN = "correct-horse-battery"
WITHIN_S = 20
PLACES = ("href", "action", "src", "formaction", "hx-get", "hx-post", "ws-connect", "data-history")


def documented(language: str) -> list[str]:
    """The blocks of a language in the document."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def program(name: str) -> str | None:
    """Where a proxy is installed; None if it is not. Not every user has /usr/sbin in PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def nginx_conf(folder: Path, port: int, upstream: str, change: Callable[[str], str]) -> list[str]:
    before, location = documented("nginx")
    lines = change(location.replace("127.0.0.1:8080", upstream))
    user = "user root;" if os.geteuid() == 0 else ""
    kept = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi", "client_body")
    )
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {kept} {before}\n"
        f"server {{ listen 127.0.0.1:{port}; server_name {NAME}; {lines} }} }}\n"
    )
    return [program("nginx") or "nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy_conf(folder: Path, port: int, upstream: str, change: Callable[[str], str]) -> list[str]:
    (site,) = documented("caddy")
    site = site.replace("127.0.0.1:8080", upstream).replace(
        f"{NAME} {{", f"http://{NAME}:{port} {{\n    bind 127.0.0.1"
    )
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https off\n}\n" + change(site))
    return [program("caddy") or "caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def as_written(lines: str) -> str:
    return lines


WAYS: dict[str, tuple[Callable[[Path, int, str, Callable[[str], str]], list[str]], Callable[[str], str]]] = {
    "nginx": (nginx_conf, as_written),
    "nginx, which replaces the host": (nginx_conf, lambda text: text.replace("proxy_set_header Host $http_host;", "")),
    "nginx, which removes the path": (nginx_conf, lambda text: re.sub(r"(proxy_pass [^;]*);", r"\1/;", text)),
    "nginx, which does both": (
        nginx_conf,
        lambda text: re.sub(r"(proxy_pass [^;]*);", r"\1/;", text).replace("proxy_set_header Host $http_host;", ""),
    ),
    "caddy": (caddy_conf, as_written),
    "caddy, which removes the path": (
        caddy_conf,
        lambda text: re.sub(
            r"reverse_proxy /sandbox\* (\S+)", r"handle_path /sandbox/* {\n reverse_proxy \1\n }", text
        ),
    ),
}


@dataclass
class Browser:
    """Speaks to a proxy as a browser does: with its name, its origin and the cookies that it was given."""

    port: int
    origin: str
    cookies: dict[str, str]

    def ask(self, path: str, form: str | None = None, **more: str) -> tuple[int, dict[str, str], str]:
        headers = {
            "Host": self.origin.partition("://")[2],
            "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items()),
        }
        if form is not None:
            headers |= {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN_S)) as connection:
            connection.request("GET" if form is None else "POST", path, form, headers | more)
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace")
            for cookie in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
                assert "Path=/sandbox/" in cookie
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(answers, WITHIN_S)
        yield
    finally:
        process.terminate()
        process.wait(WITHIN_S)


@pytest.fixture(params=list(WAYS))
def proxied(request: pytest.FixtureRequest, box: Sandbox, tmp_path: Path) -> Iterator[Browser]:
    make, change = WAYS[request.param]
    name = request.param.partition(",")[0]
    if program(name) is None:
        pytest.skip(f"{name} is not installed: .ci/tools installs it")
    port = free_port()
    box.create_topic("orders", partitions=2)
    box.append("orders", "hello", partition=0)
    box.commit("billing", "orders", 0, 0)
    box.serve(kafka_port=None, web_port=0, public_url=f"http://{NAME}:{port}/sandbox", web_token=TOKEN)
    upstream = (box.web_address or "").removeprefix("http://")
    with running(make(tmp_path, port, upstream, change), port, tmp_path):
        yield Browser(port, f"http://{NAME}:{port}", {})


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in PLACES and value and value.startswith("/")]


def addresses_in(html: str) -> list[str]:
    parser = Addresses()
    parser.feed(html)
    return parser.found


def test_pages_forms_files_and_the_websocket_work_through_a_proxy(proxied: Browser, box: Sandbox) -> None:
    assert proxied.ask("/sandbox/")[0] == 401
    status, headers, _ = proxied.ask(f"/sandbox/topics/orders?token={TOKEN}&q=1")
    assert (status, headers["location"]) == (303, "/sandbox/topics/orders?q=1")
    status, _, html = proxied.ask("/sandbox/topics/orders")
    assert status == 200, html
    found = addresses_in(html)
    assert len(found) > 30
    assert all(one.startswith("/sandbox/") for one in found), found
    assert 'data-base="/sandbox"' in html
    for asset in (one for one in found if "/static/" in one):
        assert proxied.ask(asset)[0] == 200, asset
    status, headers, _ = proxied.ask("/sandbox/topics/orders/partitions", "count=4")
    assert (status, headers["location"]) == (303, "/sandbox/topics/orders")
    assert "the topic has 4 partitions now" in proxied.ask(headers["location"])[2]
    assert proxied.ask("/sandbox/topics", "topic=stolen", Origin="http://evil.example")[0] == 403
    assert proxied.ask("/sandbox/topics", "topic=stolen", Origin=f"https://{NAME}:{proxied.port}")[0] == 403
    assert [one.topic for one in box.topics()] == ["orders"]
    assert proxied.ask("/sandbox/topics/orders.json")[0] == 200
    live(proxied, box)


def live(proxied: Browser, box: Sandbox) -> None:
    address = f"ws://{NAME}:{proxied.port}/sandbox/live?view=/topics/orders/messages"
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in proxied.cookies.items())}

    def opened(origin: str) -> ClientConnection:
        return connect(
            address,
            sock=socket.create_connection(("127.0.0.1", proxied.port), WITHIN_S),
            origin=Origin(origin),
            additional_headers=cookies,
            open_timeout=WITHIN_S,
        )

    with opened(proxied.origin) as tab:
        first = str(tab.recv(WITHIN_S))
        assert 'href="/sandbox/topics/orders/0/0"' in first
        tab.send("ok")
        box.append("orders", "again", partition=1)
        second = str(tab.recv(WITHIN_S))
        assert 'id="m-1-0"' in second
        assert "data-same" in second, "rows that are there already are not sent again"
    for origin in ("http://evil.example", "null", f"https://{NAME}:{proxied.port}"):
        with pytest.raises(InvalidStatus) as refused:
            opened(origin)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://kafka.example.org/sandbox", "https://kafka.example.org/sandbox"),
        ("https://KAFKA.example.org:443/", "https://kafka.example.org"),
        ("http://10.0.0.7:8443/a/b_c/", "http://10.0.0.7:8443/a/b_c"),
        ("http://[::1]:80/~sam", "http://[::1]/~sam"),
    ],
)
def test_a_public_address_is_read_as_browsers_compare_it(address: str, shown: str) -> None:
    assert str(PublicUrl.parse(address)) == shown


@pytest.mark.parametrize(
    "address",
    [
        "", "kafka.example.org", "ftp://kafka.example.org", "//kafka.example.org", "https://", "https://a:b@host/", "https://host/?a=1",
        "https://host/#a", "https://host:x/", "https://host/a//b", "https://host/../b", "https://host/a b", 'https://host/"',
        "https://host/topics", "https://host/static/x", "https://ho st/",
    ],
)  # fmt: skip
def test_what_is_no_public_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"path|address|page"):
        PublicUrl.parse(address)


def test_no_page_has_a_path_that_a_proxy_could_have(box: Sandbox) -> None:
    first = {re.split(r"[/.]", rule.rule)[1] for rule in create_app(box).url_map.iter_rules()} | {"live"}
    assert first - {""} == set(PAGE_PATHS)


def test_every_page_has_the_path_of_the_proxy_in_all_its_addresses(box: Sandbox) -> None:
    box.create_topic(TOPIC, partitions=2)
    box.append(TOPIC, '{"href": "=\\"/x\\" href=\\"/topics\\""}', key='" href="/topics', partition=0)
    box.commit("billing", TOPIC, 0, 0)
    box.snapshots.take(SNAPSHOT)
    app = create_app(box, proxy=Proxy(PublicUrl.parse("https://kafka.example.org/sandbox")))
    page, seen = app.test_client(), 0
    for address in addresses(app):
        path = address.replace("<group>", "billing").replace("<name>", SNAPSHOT)
        answer = page.get(path, query_string={"id": "billing"} if path.startswith("/group") else {})
        if answer.mimetype == "text/html" and answer.status_code == 200:
            for one in addresses_in(answer.text):
                seen += 1
                assert one.startswith("/sandbox/"), (path, one)
                assert not one.startswith("/sandbox/sandbox"), (path, one)
        if answer.status_code in (302, 303):
            assert answer.location.startswith("/sandbox/"), path
        answer.close()
    assert seen > 1000
    assert 'href="/sandbox/topics/orders/0/0"' in render_view(app, "/topics/orders/messages").html
    assert page.get("/search.json?q=orders").get_json()["found"][0]["address"] == "/sandbox/topics/orders"
    assert '"https://kafka.example.org/sandbox"' in page.get(f"/snapshots/{SNAPSHOT}").text.replace("&#39;", '"')


def test_a_page_that_a_proxy_makes_public_asks_for_a_token(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0, public_url="https://kafka.example.org")
    assert box.web_token is not None
    assert box.public_url == "https://kafka.example.org"


def test_a_page_behind_a_proxy_of_this_machine_asks_for_none(box: Sandbox) -> None:
    box.serve(kafka_port=None, web_port=0, public_url="http://localhost:9000/sandbox")
    assert box.web_token is None
