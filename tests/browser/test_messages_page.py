"""Actions on the Messages page: zooming, selecting, copying, resending."""

import re
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Browser, Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def _create(box: Running, *topics: str) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    for done in admin.create_topics([NewTopic(topic, 1) for topic in topics]).values():
        done.result(10)


def _live(page: Page) -> None:
    expect(page.locator("#pill")).to_have_text("Live")


def test_dead_letters_are_ticked_while_events_arrive_and_sent_to_their_topic(box: Running, window: Page) -> None:
    _create(box, "orders", "dead")
    program("produce", box.kafka, "dead", 3, 0, "user-1")
    window.goto("/topics/dead/messages?limit=50")
    _live(window)
    send = window.get_by_role("button", name="Send to another topic")
    expect(send).to_be_disabled()
    window.locator('#m-0-0 input[name="event"]').check()
    window.locator('#m-0-2 input[name="event"]').check()
    expect(window.locator("#picked")).to_have_text("2 ticked")
    program("produce", box.kafka, "dead", 60, 2, "user-2")
    expect(window.locator("#held")).to_have_text("60 new events ↑")
    expect(window.locator("tbody.event")).to_have_count(3)
    window.locator("#held").click()
    expect(window.locator("#m-0-62")).to_be_visible()
    expect(window.locator('#m-0-2 input[name="event"]')).to_be_checked()
    expect(window.locator("#picked")).to_have_text("2 ticked")
    offsets = window.locator("tbody.event").evaluate_all("rows => rows.map(row => Number(row.dataset.offset))")
    assert offsets == sorted(offsets, reverse=True)
    with window.expect_download() as download:
        window.get_by_role("button", name="Export as JSONL").click()
    assert download.value.path().read_text().count("\n") == 2
    send.click()
    expect(window.locator("h2.first")).to_have_text("Send 2 events once more")
    window.locator("#to").select_option("orders")
    window.get_by_role("button", name="Preview").click()
    window.get_by_role("button", name="Send 2 events to orders").click()
    expect(window.locator("#sent")).to_have_text("2 events sent to orders.")
    window.get_by_role("link", name="See orders").click()
    expect(window.locator("tbody.event")).to_have_count(2)


def test_a_drag_over_the_bars_looks_closer_and_the_bars_move_by_themselves(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 40, 20, "user-1")
    window.goto("/topics/orders/messages")
    _live(window)
    before = window.locator("#volume").get_attribute("data-until")
    program("produce", box.kafka, "orders", 2, 0, "user-1")
    expect(window.locator("#tally")).to_contain_text("42 of 42 events")
    expect(window.locator("#volume")).not_to_have_attribute("data-until", before or "")
    area = window.locator("#volume .bars").bounding_box()
    assert area is not None
    middle = area["y"] + area["height"] / 2
    window.mouse.move(area["x"] + 1, middle)
    window.mouse.down()
    window.mouse.move(area["x"] + area["width"] / 3, middle, steps=4)
    window.mouse.up()
    window.wait_for_url(re.compile("since="))
    query = parse_qs(urlsplit(window.url).query)
    assert query["since"] < query["until"]
    matched = re.match(r"(\d+) of 42 matched", window.locator("#tally").inner_text())
    assert matched is not None
    assert 0 < int(matched[1]) < 42
    window.get_by_role("link", name="All times").click()
    expect(window.locator("#tally")).to_contain_text("42 of 42 events")


def test_a_row_is_sent_again_by_the_keyboard_and_fields_become_columns(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 2, 0, "user-1")
    window.goto("/topics/orders/messages")
    _live(window)
    window.locator("#m-0-1 a.open").focus()
    window.keyboard.press("Enter")
    window.locator("#m-0-1").get_by_role("button", name="Send again").focus()
    window.keyboard.press("Enter")
    answer = window.locator("#m-0-1 .sent-answer a")
    expect(answer).to_have_text("partition 0 · offset 2")
    # The focus is in a row, so the list holds still.
    expect(window.locator("#held")).to_have_text("1 new event ↑")
    window.locator("#held").click()
    expect(window.locator("#m-0-2")).to_be_visible()
    window.locator("#columns summary").click()
    window.get_by_role("link", name="Show $.n as a column").click()
    expect(window.locator("#m-0-2 td.jfield")).to_have_text("1")
    expect(window.locator("#m-0-0 td.jfield")).to_have_text("0")
    expect(window.locator("#columns")).to_have_attribute("open", "")


def test_the_tail_says_what_went_by_between_two_updates(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 1, 0, "user-1")
    window.goto("/topics/orders/messages?limit=1")
    _live(window)
    program("produce", box.kafka, "orders", 60, 0, "user-1")
    expect(window.locator("#m-0-60")).to_be_visible()
    expect(window.locator("#skipped")).to_contain_text("went by between two updates")


def test_on_a_phone_each_event_shows_its_time_and_headings_stand_over_their_columns(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 2, 0, "a-rather-long-key-of-one-customer")
    window.set_viewport_size({"width": 390, "height": 844})
    window.goto("/topics/orders/messages")
    _live(window)
    row = window.locator("#m-0-1")
    time, offset = row.locator("td.time time"), row.locator("a.open")
    expect(time).to_be_visible()
    expect(time).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))
    shown, above, whole = time.bounding_box(), offset.bounding_box(), row.bounding_box()
    assert shown
    assert above
    assert whole
    assert above["y"] + above["height"] <= shown["y"] + 2
    assert shown["x"] >= 0
    assert shown["x"] + shown["width"] <= 390
    assert whole["y"] <= shown["y"]
    assert shown["y"] + shown["height"] <= whole["y"] + whole["height"]
    heading = window.get_by_role("columnheader", name="Offset").bounding_box()
    cell = row.locator("td:has(> a.open)").bounding_box()
    assert heading
    assert cell
    assert (heading["x"], heading["width"]) == (cell["x"], cell["width"])
    assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_changed_while_a_row_was_open_is_there_once_it_is_shut(box: Running, window: Page) -> None:
    _create(box, "orders")
    producer = Producer({"bootstrap.servers": box.kafka, "transactional.id": "payments"})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("orders", b"one", b"k")
    producer.flush(10)
    window.goto("/topics/orders/messages")
    _live(window)
    row = window.locator("#m-0-0")
    expect(row).to_contain_text("open transaction")
    row.locator("a.open").click()
    expect(row.locator(".value-body")).to_have_text("one")
    producer.abort_transaction(10)
    program("produce", box.kafka, "orders", 1, 0, "user-1")
    expect(window.locator("#held")).to_be_visible()
    expect(row).to_contain_text("open transaction")
    row.locator("a.open").click()
    expect(row.locator("tr.detail")).to_have_count(0)
    expect(row).to_contain_text("aborted")


def test_a_ticked_row_that_is_opened_stays_ticked_and_is_counted_once(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 3, 0, "user-1")
    window.goto("/topics/orders/messages")
    _live(window)
    window.locator("#m-0-1 a.open").click()
    expect(window.locator("#m-0-1 .value-body")).to_be_visible()
    window.locator("#m-0-1 .pick input").check()
    expect(window.locator("#picked")).to_have_text("1 ticked")
    expect(window.locator("#m-0-1")).to_have_class(re.compile("is-picked"))
    window.locator("#pick-all").check()
    expect(window.locator("#picked")).to_have_text("3 ticked")


def test_rows_that_leave_the_log_wait_for_the_focus_to_leave_the_list(box: Running, window: Page) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 12, 0, "user-1")
    window.goto("/topics/orders/messages?order=oldest")
    _live(window)
    window.locator("#m-0-2 a.open").click()
    expect(window.locator("#m-0-2 .value-body")).to_be_visible()
    window.locator("#m-0-9 a.open").focus()
    admin = AdminClient({"bootstrap.servers": box.kafka})
    for done in admin.delete_records([TopicPartition("orders", 0, 6)]).values():
        done.result(10)
    expect(window.locator("#held")).to_have_text("Updates held ↑")
    assert window.evaluate("document.activeElement.closest('tbody').id") == "m-0-9"
    window.locator("#held").click()
    expect(window.locator("#m-0-5")).to_have_count(0)
    expect(window.locator("#m-0-2 .value-body")).to_be_visible()


def test_an_event_that_cannot_be_had_leaves_its_row_shut(box: Running, chromium: Browser) -> None:
    _create(box, "orders")
    program("produce", box.kafka, "orders", 1, 0, "user-1")
    # Not `window`, which takes what htmx logs of a lost connection for a failure.
    with closing(chromium.new_context(base_url=box.web)) as context:
        page = context.new_page()
        page.goto("/topics/orders/messages")
        _live(page)
        page.route("**/topics/orders/0/0?inline=1", lambda route: route.abort())
        page.locator("#m-0-0 a.open").click()
        expect(page.locator("#m-0-0 tr.detail")).to_have_count(0)
        expect(page.locator("#m-0-0 a.open")).to_have_attribute("aria-expanded", "false")
        page.unroute("**/topics/orders/0/0?inline=1")
        page.locator("#m-0-0 a.open").click()
        expect(page.locator("#m-0-0 .value-body")).to_be_visible()
