"""The Cluster page: a broker is stopped and leaders move, a fault is injected and its hits are seen."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import findings
from tests.browser.running import Running, running

pytestmark = pytest.mark.browser

WAIT_S = 30.0
ROWS = """rows => rows.map(row => [Number(row.dataset.partition), Number(row.dataset.leader),
    Number(row.dataset.epoch), row.dataset.isr])"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Running]:
    """Three brokers, with a topic of six partitions and three replicas."""
    with running(tmp_path / "dev.db", brokers=3) as started:
        admin = AdminClient({"bootstrap.servers": started.kafka})
        for done in admin.create_topics([NewTopic("orders", 6, 3)]).values():
            done.result(WAIT_S)
        yield started


def live(page: Page) -> None:
    expect(page.locator("#pill")).to_have_text("Live")


def leaders(page: Page) -> dict[int, tuple[int, int, str]]:
    """Partition to leader, leader epoch and in-sync set, as the page shows them."""
    rows: list[Any] = page.locator("#leaders-table tbody tr").evaluate_all(ROWS)
    return {partition: (leader, epoch, isr) for partition, leader, epoch, isr in rows}


def outcome(kafka: str) -> int | None:
    codes: list[int | None] = []
    producer = Producer({"bootstrap.servers": kafka, "log_level": 0, "client.id": "shop"})
    producer.produce("orders", b"x", on_delivery=lambda error, _: codes.append(error.code() if error else None))
    assert producer.flush(WAIT_S) == 0
    return codes[0]


def test_a_broker_is_stopped_leaders_move_epochs_rise_and_it_starts_again(
    chromium: Browser, box: Running, window: Page
) -> None:
    watcher = chromium.new_page(base_url=box.web)
    watcher.goto("/cluster")
    live(watcher)
    before = leaders(watcher)
    led = [partition for partition, (leader, _, _) in before.items() if leader == 2]
    assert len(led) == 2

    window.goto("/topics")
    live(window)
    window.keyboard.press("g")
    window.keyboard.press("c")
    expect(window).to_have_title("Cluster · Kafka Sandbox")
    window.get_by_role("link", name="Stop… broker 2").click()
    expect(window.locator("#moves-table tbody tr")).to_have_count(2)
    expect(watcher.locator("#b-2")).to_have_attribute("data-up", "true")
    window.get_by_role("button", name="Stop broker 2").click()
    expect(window.get_by_role("status")).to_contain_text("2 partitions got another leader")

    # The other window was not touched: what it shows came over its WebSocket.
    expect(watcher.locator("#b-2")).to_have_attribute("data-up", "false")
    expect(watcher.locator("#b-2")).to_have_attribute("data-leads", "0")
    after = leaders(watcher)
    for partition, (leader, epoch, isr) in after.items():
        assert leader != 2
        assert "2" not in isr.split(",")
        assert epoch == before[partition][1] + (1 if partition in led else 0)

    window.get_by_role("link", name="Start… broker 2").click()
    window.get_by_role("button", name="Start broker 2").click()
    expect(watcher.locator("#b-2")).to_have_attribute("data-up", "true")
    expect(watcher.locator("#b-2")).to_have_attribute("data-out-of-sync", "0")
    assert {leader for leader, _, _ in leaders(watcher).values()} == {1, 3}
    window.get_by_role("button", name="Elect preferred leaders").click()
    expect(watcher.locator("#b-2")).to_have_attribute("data-leads", "2")
    partition = led[0]
    window.get_by_role("button", name=f"Make broker 1 the leader of orders {partition}").click()
    row = watcher.locator(f"#c-orders-{partition}")
    expect(row).to_have_attribute("data-leader", "1")
    expect(row).to_have_attribute("data-epoch", str(before[partition][1] + 3))
    watcher.close()


def test_a_fault_is_injected_its_hits_are_seen_and_every_page_says_so(
    chromium: Browser, box: Running, window: Page
) -> None:
    other = chromium.new_page(base_url=box.web)
    other.goto("/groups")
    live(other)
    expect(other.locator(".injected")).to_have_count(0)

    window.goto("/cluster")
    live(window)
    window.locator('#fault-form [name="api"]').select_option("Produce")
    window.locator('#fault-form [name="error"]').select_option("INVALID_RECORD")
    window.locator('#fault-form [name="times"]').fill("2")
    window.get_by_role("button", name="Inject", exact=True).click()
    expect(window.get_by_role("status")).to_contain_text("injected fault 1: Produce: answered INVALID_RECORD")
    expect(other.locator(".injected")).to_have_text(re.compile("1 fault injected"))

    assert outcome(box.kafka) == KafkaError.INVALID_RECORD
    expect(window.locator("#f-1")).to_have_attribute("data-hits", "1")
    expect(window.locator("#hits li").first).to_contain_text("Produce of shop")
    assert outcome(box.kafka) == KafkaError.INVALID_RECORD
    expect(window.locator("#f-1")).to_contain_text("used up")
    expect(window.locator(".injected")).to_have_count(0)
    window.get_by_role("button", name="Remove fault 1").click()
    expect(window.locator("#no-faults")).to_be_visible()

    window.locator('#fault-form [name="latency_ms"]').fill("100")
    window.locator('#fault-form [name="client_id"]').fill("nobody")
    window.get_by_role("button", name="Inject", exact=True).click()
    other.locator(".injected").click()
    expect(other.locator("#f-2")).to_contain_text("every API, client nobody: 100 ms later")
    other.close()


def test_connected_clients_are_shown_with_what_they_ask_for(box: Running, window: Page) -> None:
    window.goto("/cluster")
    live(window)
    producer = Producer({"bootstrap.servers": box.kafka, "client.id": "till"})
    producer.produce("orders", b"x")
    assert producer.flush(WAIT_S) == 0
    mine = window.locator('#clients-table tr[data-client="till"]')
    expect(mine.locator('[data-api="Produce"]').first).to_contain_text("Produce 1")
    expect(mine.first).to_contain_text("rdkafka")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_on_the_cluster_pages(
    chromium: Browser, box: Running, scheme: str, width: int
) -> None:
    dark = scheme == "dark"
    context = chromium.new_context(
        base_url=box.web, viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto("/cluster/brokers/3/stop")
    page.locator("#apply").click()
    page.locator('#fault-form [name="error"]').select_option("NOT_ENOUGH_REPLICAS")
    page.get_by_role("button", name="Inject", exact=True).click()
    found: list[str] = []
    for address in ("/cluster", "/cluster/brokers/1/stop", "/cluster/brokers/3/start", "/cluster?q=zzz", "/help"):
        page.goto(address)
        live(page)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            found.append(f"{address}: {overflow} px over the edge")
        found += [f"{address}: {one}" for one in findings(page)]
    context.close()
    assert found == []


def test_without_scripts_a_broker_is_stopped_and_a_fault_injected(chromium: Browser, box: Running) -> None:
    context = chromium.new_context(base_url=box.web, java_script_enabled=False)
    page = context.new_page()
    page.goto("/cluster")
    page.get_by_role("link", name="Stop… broker 1").click()
    page.get_by_role("button", name="Stop broker 1").click()
    expect(page.locator("#b-1")).to_have_attribute("data-up", "false")
    page.get_by_label("drop the connection").check()
    page.get_by_role("button", name="Inject", exact=True).click()
    expect(page.locator(".injected")).to_contain_text("1 fault injected")
    context.close()
