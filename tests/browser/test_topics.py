"""Topics in a browser: rows stay where they are, a topic is emptied by keyboard and undone, settings are in words."""

import json
import re
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from zipfile import ZipFile

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def names(page: Page) -> list[str]:
    return [row or "" for row in page.locator("table.topics tbody th a").all_inner_texts()]


def test_rows_sorted_by_events_stay_where_they_are_while_figures_change(window: Page, box: Running) -> None:
    program("produce", box.kafka, "first", 5, 0, "k")
    program("produce", box.kafka, "second", 3, 0, "k")
    window.goto("/topics?sort=events")
    expect(window.locator("#pill")).to_have_text("Live")
    assert names(window) == ["first", "second"]
    program("produce", box.kafka, "second", 20, 0, "k")
    expect(window.locator("#t-second td.num").nth(1)).to_have_text("23")
    assert names(window) == ["first", "second"]
    expect(window.locator("#t-second .rate-now")).not_to_have_text("idle")
    window.get_by_role("link", name="Sort again").click()
    expect(window.locator("table.topics tbody tr").first).to_have_attribute("data-topic", "second")


def test_a_topic_is_emptied_with_the_keyboard_and_undone(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 12, 0, "k")
    program("commit", box.kafka, "orders", "billing", 4, 0)
    window.goto("/topics/orders")
    window.get_by_role("link", name="Empty…").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text("12 events of 12")).to_be_visible()
    expect(window.get_by_text("has not read 8 of them")).to_be_visible()
    window.get_by_role("button", name="Empty the topic").focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text("12 events are gone")).to_be_visible()
    expect(window.get_by_role("heading", name="No events yet")).to_be_visible()
    window.locator("#undo").focus()
    window.keyboard.press("Enter")
    expect(window.locator("#undo-notice, .said").first).to_be_visible()
    window.goto("/topics/orders")
    expect(window.locator("#p-0 .num").nth(3)).to_have_text("12")


def test_a_setting_written_in_words_goes_back_to_its_default(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 3, 0, "k")
    window.goto("/topics/orders")
    window.get_by_role("link", name="Settings", exact=True).click()
    window.locator("#s-retention\\.bytes summary").click()
    field = window.get_by_role("textbox", name="A partition keeps at most, retention.bytes")
    field.fill("10 MB")
    field.press("Enter")
    row = window.locator("tr.own", has_text="retention.bytes")
    expect(row.locator(".value-now")).to_have_text("10.0 MB")
    expect(window.locator("tbody tr").first).to_have_attribute("id", "s-retention.bytes")
    row.locator("summary").click()
    row.get_by_role("button", name="Back to default: retention.bytes").click()
    expect(window.locator("tr.own")).to_have_count(0)


def test_the_list_is_filtered_while_it_is_typed_and_stays_live(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 1, 0, "k")
    program("produce", box.kafka, "clicks", 1, 0, "k")
    window.goto("/")
    wanted = window.get_by_label("Topics whose name contains")
    wanted.press_sequentially("ord")
    expect(window.locator("#t-clicks")).to_have_count(0)
    expect(window).to_have_url(re.compile(r"/topics\?q=ord$"))
    expect(wanted).to_be_focused()
    expect(window.locator("#socket")).to_have_attribute("ws-connect", re.compile("q%3Dord$"))
    program("produce", box.kafka, "orders", 4, 0, "k")
    expect(window.locator("#t-orders td.num").nth(1)).to_have_text("5")
    expect(window.locator("#t-clicks")).to_have_count(0)
    expect(window.locator("#pill")).to_have_text("Live")
    wanted.fill("")
    expect(window.locator("#t-clicks")).to_be_visible()
    expect(window).to_have_url(re.compile(r"/topics$"))


def test_the_keys_of_the_page_are_shown_beside_those_of_a_topic(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 3, 0, "user-1")
    window.goto("/topics/orders")
    expect(window.get_by_role("heading", name="Frequent keys")).to_be_visible()
    window.locator("#keys-button").click()
    expect(window.locator("dialog")).to_be_visible()
    ids = window.locator("[id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_a_long_list_is_sorted_filtered_ticked_and_emptied_with_undo(window: Page, box: Running) -> None:
    for name, count in (("orders", 12), ("orders-archive", 7), ("clicks", 3), ("_schemas", 1)):
        program("produce", box.kafka, name, count, 0, "k")
    window.goto("/")
    assert names(window) == ["clicks", "orders", "orders-archive"]
    window.get_by_role("link", name="show 1 internal").click()
    expect(window.locator("#t-_schemas")).to_be_visible()
    window.get_by_role("link", name="Events", exact=True).click()
    assert names(window) == ["orders", "orders-archive", "clicks", "_schemas"]
    window.get_by_role("link", name="Events", exact=True).click()
    expect(window).to_have_url(re.compile("order=asc"))
    assert names(window) == ["_schemas", "clicks", "orders-archive", "orders"]
    expect(window.locator("thead th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    empty = window.get_by_role("button", name="Empty…")
    expect(empty).to_be_disabled()
    window.get_by_label("Select orders", exact=True).check()
    # Neither an update nor a filter that hides the row takes the tick away.
    program("produce", box.kafka, "orders", 1, 0, "k")
    expect(window.locator("#t-orders td.num").nth(1)).to_have_text("13")
    window.get_by_label("Topics whose name contains").press_sequentially("click")
    expect(window.locator("#t-orders")).to_have_count(0)
    window.get_by_label("Select clicks").check()
    expect(window.locator("#picked")).to_have_text("2 selected, 1 not shown:")
    empty.click()
    expect(window.get_by_text("16 events", exact=True)).to_be_visible()
    window.get_by_role("button", name="Empty 2 topics").click()
    expect(window.locator("#undo-notice")).to_contain_text("2 topics with 16 events are emptied")
    expect(window.locator("#t-orders td.num").nth(1)).to_have_text("0")
    window.locator("#undo").click()
    window.goto("/")
    expect(window.locator("#t-orders td.num").nth(1)).to_have_text("13")


def test_selected_topics_are_exported_in_one_archive(window: Page, box: Running) -> None:
    program("produce", box.kafka, "orders", 12, 0, "k")
    program("produce", box.kafka, "clicks", 3, 0, "k")
    window.goto("/")
    window.get_by_label("Select all topics on this page").check()
    with window.expect_download() as download:
        window.get_by_role("button", name="Export").click()
    with ZipFile(download.value.path()) as archive:
        lines = {name: archive.read(name).decode().splitlines() for name in archive.namelist()}
    assert {name: len(found) for name, found in lines.items()} == {"clicks.jsonl": 3, "orders.jsonl": 12}
    assert json.loads(lines["orders.jsonl"][0])["topic"] == "orders"


def test_the_heading_of_a_long_list_stays_and_a_long_name_is_shown_whole_on_focus(window: Page, box: Running) -> None:
    long = "customer-order-fulfilment.events." + "x" * 190
    for name in (long, *(f"topic-{n:02}" for n in range(40))):
        with urlopen(Request(f"{box.web}/topics", urlencode({"topic": name}).encode()), timeout=30):
            pass
    window.goto("/")
    link = window.locator(f'a[data-name="{long}"]')
    link.focus()
    # Its beginning is cut, and its end stays visible.
    drawn = link.evaluate(
        """one => [one.firstChild.scrollWidth > one.firstChild.clientWidth, getComputedStyle(one, '::after').content]"""
    )
    assert drawn[0]
    assert long in drawn[1]
    window.mouse.wheel(0, 800)
    header = window.locator("header.top").bounding_box()
    heading = window.locator("table.topics thead th").nth(1)
    expect(heading).to_be_in_viewport()
    box_of = heading.bounding_box()
    assert header is not None
    assert box_of is not None
    assert abs(box_of["y"] - header["y"] - header["height"]) <= 1


LONG = "com.example.payments.settlement.order-events-enriched"


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_and_unsure_lags_are_not_cut_and_no_page_is_wider_than_the_screen(
    window: Page, box: Running, width: int
) -> None:
    topics = [f"{LONG}-v001", f"{LONG}-v002"]
    admin, producer = AdminClient({"bootstrap.servers": box.kafka}), Producer({"bootstrap.servers": box.kafka})
    for done in admin.create_topics([NewTopic(name, 2) for name in topics]).values():
        done.result(10)
    for n in range(6000):
        producer.produce(topics[n % 2], b"v", partition=n // 2 % 2)
    assert producer.flush(30) == 0
    for name in topics:
        offsets = [TopicPartition(name, 0, 10)]
        request = [ConsumerGroupTopicPartitions(f"{name}-workers", offsets)]
        for done in admin.alter_consumer_group_offsets(request).values():
            done.result(10)
    window.set_viewport_size({"width": width, "height": 800})
    for path in ("/topics", "/groups", f"/groups/{LONG}-v001-workers", f"/topics/{LONG}-v001", "/map"):
        window.goto(path)
        window.wait_for_load_state("networkidle")
        assert window.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    window.goto("/topics")
    readers = window.locator("td.readers").first
    expect(readers).to_contain_text("+ up to 1,")
    assert readers.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    if width == 1280:
        tails = window.locator("table.topics .tail")
        assert tails.all_inner_texts() == ["-enriched-v001", "-enriched-v002"]
        assert tails.first.evaluate("tail => tail.offsetParent.clientWidth > tail.offsetLeft + tail.offsetWidth")
