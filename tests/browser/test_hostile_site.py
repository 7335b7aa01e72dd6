"""Another web site, open in the same browser, can neither read nor change the sandbox.

It is served from another port of the same machine, and from a name that leads here (DNS rebinding). It tries what such
a site can try; a request that arrives is refused, and an answer that comes is not given to it.
"""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from sandbox.api.sandbox import Sandbox
from sandbox.web.app import create_app
from tests.browser.running import CHROMIUM, CHROMIUM_ARGS, PROGRAMS
from tests.web.hostile_names import addresses

pytestmark = pytest.mark.browser
REBOUND = "rebound.example"
SECRET = "kept-from-other-sites"

ATTACKS = (PROGRAMS / "hostile_site.js").read_text()


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>another site</title><body>hello"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[int]:
    """The port of the other site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as sandbox:
        sandbox.create_topic("orders", partitions=2)
        sandbox.append("orders", SECRET, key="k", partition=0)
        sandbox.commit("billing", "orders", 0, 0)
        sandbox.snapshots.take("before")
        sandbox.serve(kafka_port=0, web_port=0)
        yield sandbox


def state(box: Sandbox) -> object:
    """All that the site could have changed."""
    topics = [(one.topic, one.settings, len(one.partitions), one.events) for one in box.topics()]
    groups = [(one.group, [lag.committed for lag in one.partitions]) for one in box.groups()]
    brokers = [one.up for one in box.brokers.list()]
    kept = [(one.name, one.note) for one in box.snapshots.list()]
    return topics, groups, brokers, kept, box.faults.list(), box.generators.saved(), box.snapshots.forks()


def targets(box: Sandbox) -> tuple[list[str], list[str]]:
    """What a site would read, and every address that changes something."""
    app = create_app(box)
    gets = ["/", "/topics.json", "/topics/orders/messages.json", "/topics/orders/0/0/value", "/sql.json?q=SELECT+1"]
    assert set(gets[1:2]) <= set(addresses(app))
    posts = []
    for rule in app.url_map.iter_rules():
        if "POST" in (rule.methods or ()):
            path = re.sub(r"<any\((\w+)[^>]*>", r"\1", re.sub(r"<int:[^>]*>", "1", rule.rule))
            path = path.replace("<topic>", "orders").replace("<group>", "billing").replace("<do>", "empty")
            posts.append(path.replace("/scenarios/<name>", "/scenarios/why-twice").replace("<name>", "before"))
    return gets, posts


def attack(page: Page, from_url: str, web: str, box: Sandbox) -> list[str]:
    gets, posts = targets(box)
    page.goto(from_url)
    kafka = f"http://{box.kafka_address}"
    found: list[str] = page.evaluate(ATTACKS, [web, kafka, gets, posts])
    return found


def test_a_site_on_another_port_can_do_nothing(chromium: Browser, box: Sandbox, site: int) -> None:
    before = state(box)
    web = box.web_address or ""
    context = chromium.new_context()
    for host in ("127.0.0.1", "localhost"):
        assert attack(context.new_page(), f"http://{host}:{site}/", web, box) == [], host
    context.close()
    assert json.dumps(state(box), default=str) == json.dumps(before, default=str)


def test_a_name_that_leads_here_opens_nothing(chromium: Browser, box: Sandbox) -> None:
    """DNS rebinding: to the browser it is one site, the attacker's, whose name now means this machine."""
    port = (box.web_address or "").rpartition(":")[2]
    before = state(box)
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM if CHROMIUM.exists() else None,
        args=[*CHROMIUM_ARGS, f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"],
    )
    # Its page came from its own server, before the name meant this machine: without our policy.
    page = browser.new_context(bypass_csp=True).new_page()
    web = f"http://{REBOUND}:{port}"
    answer = page.goto(f"{web}/")
    assert answer is not None
    assert answer.status == 403
    assert SECRET not in page.content()
    assert attack(page, f"{web}/", web, box) == []
    browser.close()
    assert json.dumps(state(box), default=str) == json.dumps(before, default=str)


def test_the_attacks_are_real(chromium: Browser, box: Sandbox) -> None:
    """From the page itself most of them succeed, so that their failure elsewhere means something."""
    web = box.web_address or ""
    context = chromium.new_context(bypass_csp=True)
    found = attack(context.new_page(), f"{web}/", web, box)
    context.close()
    assert {"fetch /topics.json", "xhr", "own script", "img", "css", "websocket", "download of a snapshot"} <= set(
        found
    )
    assert "stolen" in [one.topic for one in box.topics()]
