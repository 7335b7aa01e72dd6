"""Every table, menu and the map work with the keyboard alone: Tab reaches them, the focus shows, Enter opens them."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Browser, Page, expect

from sandbox.snapshots.folder import SnapshotFolder
from tests.browser.running import Running, program, running

pytestmark = pytest.mark.browser

PAGES = {
    "/topics": ("table.topics a.row", "/topics/orders"),
    "/groups": ("table.group-list a.row", "/groups/"),
    "/topics/orders": ("#read-by + .scroll a", "/groups/billing"),
    "/topics/orders/produce": ("nav.tabs a", "/topics/orders"),
    "/topics/orders/settings": ("nav.tabs a[href$=messages]", "/topics/orders/messages"),
    "/topics/orders/messages": ("table.messages thead th.time a", "/topics/orders/messages?order="),
    "/topics/orders/0/3": (".event-do a.button", "/topics/orders/produce?copy=orders/0/3"),
    "/activity": ("table.activity a.row[href='/topics/orders']", "/topics/orders"),
    "/cluster": ("#leaders-table a.row", "/topics/orders"),
    "/schemas": ("#live table a", "/schemas/orders-value"),
    "/schemas/orders-value": ("table.uses a", "/topics/orders/messages"),
    "/snapshots": ("#kept-table a", "/snapshots/before"),
    "/groups/billing": ("#lag-table a.row", "/topics/orders"),
    "/groups/workers": ("main .crumb a", "/groups"),
    "/map": (".map .node[data-kind=group]", "/groups/"),
    "/playground": ("#live a[href='/playground/1']", "/playground/1"),
}
"""Each page's address, a link in its table, and the beginning of the address that Enter opens there."""

TABS_AT_ONCE = 10
TABS_MAX = 400

# Notes what receives the focus, and whether its look differs from before.
NOTE_FOCUS = """(part) => {
    const looks = new Map();
    const STYLES = ["outlineStyle", "outlineColor", "boxShadow", "backgroundColor", "borderColor", "strokeWidth"];
    const parts = (node) => [node, node.nextElementSibling, node.querySelector("rect"), node.closest("label")];
    const styles = (node) => STYLES.map((name) => getComputedStyle(node)[name]);
    const look = (node) => JSON.stringify(parts(node).map((one) => one && styles(one)));
    const FIELDS = "input:enabled:not([type=hidden]), select:enabled, textarea";
    const STOPS = `a[href], button:enabled, summary, [tabindex='0'], ${FIELDS}`;
    const isShown = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest("dialog:not([open])");
    // Of the radio buttons of one name, only the chosen one is a stop.
    const isStop = (node) => isShown(node) && !(node.type === "radio" && !node.checked);
    const named = (node) => `${node.localName} ${node.id} ${node.className} ${node.textContent.trim().slice(0, 30)}`;
    window.stops = () => [...document.querySelectorAll(STOPS)].filter((node) => isStop(node) && node.closest(part));
    for (const node of window.stops()) looks.set(node, look(node));
    window.visited = new Set();
    window.wrong = [];
    addEventListener("focusin", ({ target }) => {
        if (window.visited.has(target)) return;
        window.visited.add(target);
        const isSame = looks.has(target) && looks.get(target) === look(target);
        if (isSame) window.wrong.push(`focus does not show: ${named(target)}`);
    });
    window.report = () => {
        const missed = window.stops().filter((node) => !window.visited.has(node));
        // What looks clickable has a link or a button in it, above it or for it.
        const isHand = (node) => getComputedStyle(node).cursor === "pointer";
        const isMouse = (node) => !node.closest(`${STOPS}, label`) && !node.querySelector(STOPS);
        const mouse = [...document.querySelectorAll("main *")].filter(
            (node) => isShown(node) && isHand(node) && !isHand(node.parentElement) && isMouse(node));
        return [
            ...window.wrong,
            ...missed.map((node) => `Tab misses: ${named(node)}`),
            ...mouse.map((node) => `for a pointer only: ${named(node)}`),
        ];
    };
}"""


# Whether what has the focus is on the screen, and the page's sticky header does not cover it.
IN_SIGHT = """() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => {
    const node = document.activeElement;
    const header = document.querySelector("header.top");
    const box = node.getBoundingClientRect();
    const top = Math.max(box.top, 0);
    const over = document.elementFromPoint(box.left + box.width / 2, top + 1);
    const shown = box.bottom > 0 && box.top < innerHeight && (header.contains(node) || !header.contains(over));
    resolve(node === document.body || shown ? "" : `${node.localName} ${node.className} ${node.textContent.trim()}`);
})))"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("keyboard") / "dev.db") as box:
        kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        body = json.dumps({"schema": json.dumps("string")}).encode()
        with urlopen(Request(f"{box.web}/registry/subjects/orders-value/versions", body, kind), timeout=30):
            pass
        for topic in ("orders", "payments", "returns"):
            program("produce", box.kafka, topic, 30, 0, "user-42")
        SnapshotFolder(box.file).take("before", "a note")
        producer = Producer({"bootstrap.servers": box.kafka})
        producer.produce("orders", b"\0\0\0\0\1\x02a")
        assert producer.flush(10) == 0
        program("commit", box.kafka, "orders", "billing", 20, 0)
        member = {"group": "workers", "topic": "returns", "protocol": "share", "acknowledge": "expire", "count": "1"}
        with urlopen(f"{box.web}/playground/start", urlencode(member).encode(), timeout=30):
            yield box


def _open(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#pill")).to_have_attribute("data-state", "live")


def _tab_through(page: Page) -> None:
    """Press Tab until everything has had the focus."""
    for _ in range(TABS_MAX // TABS_AT_ONCE):
        for _ in range(TABS_AT_ONCE):
            page.keyboard.press("Tab")
        if page.evaluate("window.stops().every((node) => window.visited.has(node))"):
            return


def _tab_to(page: Page, wanted: str) -> None:
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
    raise AssertionError(f"Tab does not reach {wanted}")


def test_tab_reaches_everything_and_enter_opens_what_has_the_focus(chromium: Browser, filled: Running) -> None:
    context = chromium.new_context(base_url=filled.web, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(5_000)
    page = context.new_page()
    found: list[str] = []
    for address, (link, opens) in PAGES.items():
        _open(page, address)
        # The header is the same on every page.
        page.evaluate(NOTE_FOCUS, "body" if address == "/topics" else "main, footer")
        if address != "/topics":
            page.locator("#main").focus()
        _tab_through(page)
        found += [f"{address}: {one}" for one in page.evaluate("window.report()")]
        page.locator(link).first.focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(re.escape(f"{filled.web}{opens}")))
    context.close()
    assert found == []


def test_a_heading_that_sorts_keeps_the_focus(chromium: Browser, filled: Running) -> None:
    page = chromium.new_page(base_url=filled.web)
    page.set_default_timeout(5_000)
    _open(page, "/topics")
    _tab_to(page, "thead th a[href*='sort=events']")
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort] a")).to_contain_text("Events")
    expect(page.locator("th[aria-sort] a")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("th[aria-sort=ascending] a")).to_be_focused()
    # Only a heading that was pressed gets it.
    page.reload()
    expect(page.locator("body")).to_be_focused()
    page.close()


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_the_header_covers_nothing_that_gets_the_focus(chromium: Browser, filled: Running, key: str) -> None:
    page = chromium.new_page(base_url=filled.web, viewport={"width": 1280, "height": 400})
    _open(page, "/topics/orders/messages")
    page.locator("#filters summary, main input" if key == "Tab" else "#keys-button").first.focus()
    hidden = []
    for _ in range(40):
        page.keyboard.press(key)
        hidden.append(page.evaluate(IN_SIGHT))
    assert [one for one in hidden if one] == []
    page.close()


def test_menus_tabs_and_settings_open_with_enter_and_arrows(chromium: Browser, filled: Running) -> None:
    page = chromium.new_page(base_url=filled.web)
    page.set_default_timeout(5_000)
    _open(page, "/topics/orders/messages")
    _tab_to(page, "details.code > summary")
    page.keyboard.press("Enter")
    _tab_to(page, ".tabset input")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tabset input").nth(1)).to_be_checked()
    expect(page.locator(".tabset .code-body").nth(1)).to_be_visible()

    page.goto("/topics/orders/settings")
    _tab_to(page, "#s-retention\\.ms summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("12h")
    page.keyboard.press("Enter")
    expect(page.locator("#s-retention\\.ms")).to_contain_text("changed")
    page.close()


def test_the_lines_of_the_lag_chart_are_switched_with_the_keyboard(chromium: Browser, filled: Running) -> None:
    page = chromium.new_page(base_url=filled.web)
    _open(page, "/groups/billing")
    line = page.locator("#lag-series button")
    expect(line).to_have_attribute("aria-pressed", "true")
    _tab_to(page, "#lag-series button")
    page.keyboard.press("Space")
    expect(line).to_have_attribute("aria-pressed", "false")
    # The choice outlives a new drawing of the chart.
    page.evaluate("document.dispatchEvent(new CustomEvent('sandbox:theme'))")
    expect(line).to_have_attribute("aria-pressed", "false")
    page.close()


def test_every_node_of_the_map_is_a_stop(chromium: Browser, filled: Running) -> None:
    page = chromium.new_page(base_url=filled.web)
    page.set_default_timeout(5_000)
    _open(page, "/map")
    nodes = page.locator(".map .node")
    _tab_to(page, ".map .node")
    for index in range(nodes.count()):
        expect(nodes.nth(index)).to_be_focused()
        expect(nodes.nth(index)).to_have_class("node on")
        page.keyboard.press("Tab")
    page.close()


def test_search_results_are_chosen_by_arrows(chromium: Browser, filled: Running) -> None:
    page = chromium.new_page(base_url=filled.web)
    page.set_default_timeout(5_000)
    _open(page, "/groups")
    page.keyboard.press("/")
    page.keyboard.type("r")
    found = page.locator("#found a")
    expect(found.nth(1)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(found.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(found.nth(0)).to_be_focused()
    page.keyboard.press("Escape")
    expect(found).to_have_count(0)
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("etur")
    expect(found).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(found.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/topics/returns"))
    page.close()
