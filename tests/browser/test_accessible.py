"""axe-core finds nothing on any page, light and dark, wide and narrow; nothing runs over the edge."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox.snapshots.folder import SnapshotFolder
from tests.browser.axe import OF_COLOUR, findings
from tests.browser.running import Running, program, running

pytestmark = pytest.mark.browser

PAGES = {
    "topics": "/",
    "new topic": "/topics/~new",
    "topic": "/topics/orders",
    "delete": "/topics/orders/delete",
    "deserializers": "/topics/orders/deserializers",
    "sorted topics": "/topics?sort=events",
    "empty a topic": "/topics/orders/clean/empty",
    "delete records": "/topics/orders/clean/delete-records?partition=all&offset=3",
    "compact": "/topics/orders/clean/compact",
    "apply retention": "/topics/orders/clean/retention",
    "more partitions": "/topics/orders/partitions?count=4",
    "change a setting": "/topics/orders/settings?name=retention.bytes&value=100",
    "messages": "/topics/orders/messages",
    "no match": "/topics/orders/messages?key=nothing",
    "bad filter": "/topics/orders/messages?from=x",
    "filtered messages": "/topics/orders/messages?where=%24.n+%3E%3D+3&header=&col=%24.n",
    "send": "/topics/orders/messages/send?events=0:1-3&to=orders",
    "sent": "/topics/orders/messages/sent?to=orders&at=0:1-3",
    "message": "/topics/orders/0/3",
    "produce": "/topics/orders/produce",
    "produce with a schema": "/topics/orders/produce?value_kind=schema&key_kind=schema",
    "produce a copy": "/topics/orders/produce?copy=orders/0/3",
    "produce many": "/topics/orders/produce/many",
    "generators": "/topics/orders/produce/generators",
    "settings of a topic": "/topics/orders/settings?edit=retention.ms",
    "a missing offset": "/topics/orders/0/999999999999",
    "groups": "/groups",
    "sorted groups": "/groups?sort=lag&topic=ord",
    "alerts": "/groups/~alerts",
    "group": "/groups/billing",
    "preview": "/groups/billing?to=earliest",
    "group in time": "/groups/billing?in=time&range=1h",
    "delete group": "/groups/billing/delete",
    "share group": "/groups/workers",
    "archive records": "/groups/workers?do=archive&which=orders:0&first=0&last=5",
    "reset a share group": "/groups/workers?to=earliest",
    "map": "/map",
    "schemas": "/schemas",
    "schema": "/schemas/orders-value",
    "new schema": "/schemas/~new?subject=orders-value",
    "snapshots": "/snapshots",
    "snapshot": "/snapshots/before",
    "restore": "/snapshots/before/restore",
    "compare": "/snapshots/~compare?left=before",
    "search": "/search?q=ord",
    "help": "/help",
    "differences": "/help/differences",
    "protocol": "/help/protocol",
    "settings": "/help/settings",
    "sql": "/sql",
    "sql rows": "/sql?q=SELECT+*+FROM+orders+ORDER+BY+offset+DESC+LIMIT+9",
    "sql chart": "/sql?q=SELECT+key,+count(*)+FROM+orders+GROUP+BY+key&as=chart",
    "sql mistake": "/sql?q=SELECT+1+FORM+orders",
    "sql fields": "/sql?q=SELECT+:a",
    "activity": "/activity",
    "no activity": "/activity?topic=nothing",
    "playground": "/playground",
    "member of a share group": "/playground/1",
    "scenario": "/playground/scenarios/why-twice",
    "error": "/nowhere",
}
HEADER_MAX = 100
TARGET_MIN = 24
SMALL = """least => [...document.querySelectorAll('a[href], button, summary, input:not([type=hidden]), select')]
  .map((one) => one.closest('label') || one)
  .filter((one) => one.offsetParent && getComputedStyle(one).display !== 'inline')
  .filter((one) => !one.closest('.visually-hidden, .skip'))
  .filter((one) => one.getBoundingClientRect().height < least - 0.5)
  .map((one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 20)}`)"""
"""Targets that are lower than a finger needs. Links within sentences are as high as their lines."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("axe") / "dev.db") as box:
        program("produce", box.kafka, "orders", 70, 0, "user-42")
        SnapshotFolder(box.file).take("before", "a note")
        program("commit", box.kafka, "orders", "billing", 20, 0)
        _register(box)
        member = {"group": "workers", "topic": "orders", "protocol": "share", "acknowledge": "expire", "count": "2"}
        with urlopen(f"{box.web}/playground/start", urlencode(member).encode(), timeout=30):
            yield box


def _register(box: Running) -> None:
    """Register a schema, so that the pages of schemas have something to show."""
    kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    body = json.dumps({"schema": json.dumps("string")}).encode()
    with urlopen(Request(f"{box.web}/registry/subjects/orders-value/versions", body, kind), timeout=30) as answer:
        assert answer.status == 200


def _open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    row = page.locator("tbody.event a.open").first
    if row.count():
        row.click()
        expect(page.locator(".value-body")).to_be_visible()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_found_on_any_page_light_or_dark(chromium: Browser, filled: Running, width: int) -> None:
    context = chromium.new_context(base_url=filled.web, viewport={"width": width, "height": 844})
    page = context.new_page()
    found: list[str] = []
    for name, address in PAGES.items():
        page.emulate_media(color_scheme="light")
        page.goto(address)
        expect(page.locator("#pill")).to_have_text("Live")
        if page.evaluate("document.querySelector('.top').offsetHeight") > HEADER_MAX:
            found.append(f"{name}: the header takes more than {HEADER_MAX} px")
        _open_everything(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            found.append(f"{name}: {overflow} px over the edge")
        if width < 720:
            found += [f"{name}: a target below {TARGET_MIN} px: {one}" for one in page.evaluate(SMALL, TARGET_MIN)]
        found += [f"{name}, light: {one}" for one in findings(page)]
        page.emulate_media(color_scheme="dark")
        found += [f"{name}, dark: {one}" for one in findings(page, OF_COLOUR)]
    context.close()
    assert found == []


def test_on_a_phone_a_table_that_is_wider_than_the_page_has_shaded_edges(chromium: Browser, filled: Running) -> None:
    context = chromium.new_context(base_url=filled.web, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto("/help/settings")
    table = page.locator(".scroll").first
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    # Two layers scroll with the table, and at its ends cover the two shades, which stay at the edges.
    assert table.evaluate("one => getComputedStyle(one).backgroundAttachment") == "local, local, scroll, scroll"
    assert "gradient" in table.evaluate("one => getComputedStyle(one).backgroundImage")
    context.close()


def test_a_page_that_hides_its_words_is_found_light_and_dark(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content(
        "<html lang=en><title>t</title><style>body { background: white } p { color: black }"
        "@media (prefers-color-scheme: dark) { p { color: #eee } }</style><main><h1>Heading</h1><p>words</p></main>"
    )
    page.emulate_media(color_scheme="light")
    assert findings(page) == []
    page.emulate_media(color_scheme="dark")
    assert [one.split()[0] for one in findings(page, OF_COLOUR)] == ["color-contrast"]
    page.close()


def test_an_empty_sandbox_is_accessible_too(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "dev.db") as box:
        page = chromium.new_page(base_url=box.web)
        for address in ("/", "/groups", "/produce"):
            page.goto(address)
            expect(page.locator("#pill")).to_have_text("Live")
            assert findings(page) == []
        page.close()
