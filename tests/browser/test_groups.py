"""Groups in Chromium: the live chart, and a reset that waits for the members to leave."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


@contextmanager
def member(box: Running, group: str, client_id: str) -> Iterator[None]:
    """A consumer in the group, which leaves it with the block."""
    consumer = Consumer(
        {
            "bootstrap.servers": box.kafka,
            "group.id": group,
            "client.id": client_id,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    assigned, stop = threading.Event(), threading.Event()

    def work() -> None:
        consumer.subscribe(["orders"], on_assign=lambda consumer, partitions: assigned.set())
        while not stop.is_set():
            consumer.poll(0.05)
        consumer.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert assigned.wait(20), "no assignment"
        yield
    finally:
        stop.set()
        thread.join()


def test_a_reset_waits_for_the_members_to_leave_and_is_taken_back_later(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 20, 0, "a")
    program("commit", box.kafka, "orders", "billing", 15, 0)
    with member(box, "billing", "worker"):
        window.goto("/groups/billing?to=earliest")
        expect(window.locator("#pill")).to_have_text("Live")
        expect(window.locator("#apply-reset")).to_be_disabled()
        expect(window.locator("#reset-why")).to_contain_text("Stop worker (127.0.0.1)")
        expect(window.locator("[data-member] .chip")).to_have_text("0")
    expect(window.locator("#apply-reset")).to_be_enabled()
    expect(window.locator("#reset-why")).to_have_count(0)
    expect(window.locator(".rebalances > li").first).to_contain_text("orders-0 worker → unassigned")
    window.locator("#apply-reset").click()
    expect(window.locator("#l-orders-0")).to_have_attribute("data-committed", "0")

    window.goto("/groups/billing")
    window.get_by_role("link", name="Reset back to what it was").click()
    expect(window.locator("#preview-table tbody tr")).to_have_attribute("data-after", "15")
    window.locator("#apply-reset").click()
    expect(window.locator("#l-orders-0")).to_have_attribute("data-committed", "15")


def test_the_chart_has_its_ranges_in_the_address_and_goes_on_by_itself(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 20, 0, "a")
    program("commit", box.kafka, "orders", "billing", 5, 0)
    window.goto("/groups/billing")
    expect(window.locator("#lag-chart canvas")).to_be_visible()
    ranges = window.get_by_role("navigation", name="Range")
    ranges.get_by_role("link", name="24 h").click()
    expect(ranges.get_by_role("link", name="24 h")).to_have_attribute("aria-current", "true")
    window.get_by_role("navigation", name="Lag in").get_by_role("link", name="time").click()
    expect(window).to_have_url(re.compile(r"\?range=24h&in=time#chart$"))
    expect(window.locator("#lag-chart")).to_have_attribute("data-unit", "time")
    with window.expect_response(re.compile(r"/history\.json\?range=24h")) as answer:
        program("commit", box.kafka, "orders", "billing", 12, 0)
    # A rebalance came with it: the chart asks for its mark.
    assert [mark["kind"] for mark in answer.value.json()["marks"]].count("rebalance") >= 2
    expect(window.locator("#l-orders-0")).to_have_attribute("data-lag", "8")
    window.get_by_text("As a table").click()
    expect(window.locator("#history-table tbody tr").first).to_be_visible()


def test_the_list_draws_the_lag_of_each_group(box: Running, window: Page) -> None:
    program("produce", box.kafka, "orders", 20, 0, "a")
    program("commit", box.kafka, "orders", "billing", 5, 0)
    window.goto("/groups")
    expect(window.get_by_role("img", name=re.compile(r"lag over the last .*now 15"))).to_be_visible()


def test_groups_are_sorted_filtered_and_an_alert_reaches_the_title_of_an_open_tab(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 20, 0, "k")
    program("produce", box.kafka, "clicks", 5, 0, "k")
    program("commit", box.kafka, "orders", "billing", 18, 0)
    program("commit", box.kafka, "clicks", "audit", 1, 0)
    window.goto("/groups")
    rows = window.locator("table.group-list tbody th a.row")
    expect(rows).to_have_text(["audit", "billing"])
    window.get_by_role("link", name="Lag", exact=True).click()
    expect(window.locator("th[aria-sort=descending]")).to_contain_text("Lag")
    expect(rows).to_have_text(["audit", "billing"])
    window.get_by_role("link", name="Lag", exact=True).click()
    expect(rows).to_have_text(["billing", "audit"])
    window.get_by_label("Groups that read a topic whose name contains").press_sequentially("click")
    expect(rows).to_have_text(["audit"])
    expect(window).to_have_url(re.compile("topic=click"))
    window.get_by_label("State").select_option("Empty")
    expect(window).to_have_url(re.compile("state=Empty"))
    window.goto("/groups/billing#alert")
    window.get_by_label("Lag above").fill("5")
    window.get_by_role("button", name="Set the alert").click()
    expect(window.get_by_text("billing has an alert: lag above 5")).to_be_visible()
    expect(window).to_have_title("billing · Kafka Sandbox")
    window.goto("/produce")
    program("produce", box.kafka, "orders", 9, 0, "k")
    expect(window).to_have_title(re.compile(r"^\(1\) Produce"))
    window.locator("#where a.alerting").click()
    expect(rows).to_have_text(["billing"])
    expect(window.locator("#g-billing")).to_contain_text("lag 11 > 5")
    program("commit", box.kafka, "orders", "billing", 29, 0)
    expect(window).to_have_title(re.compile("^Groups"))
    expect(window.get_by_role("heading", name="No alert fires")).to_be_visible()
