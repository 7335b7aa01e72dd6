"""Daily work on Messages, an event, snapshots and Produce, in a real browser."""

import json
import re

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Browser, Page, expect

from tests.browser.running import Running

pytestmark = pytest.mark.browser


def fill(box: Running, topic: str, count: int, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    admin.create_topics([NewTopic(topic, partitions)])[topic].result(10)
    producer = Producer({"bootstrap.servers": box.kafka})
    for n in range(count):
        value = {"mag": n * 7 % count, "place": f"place {n % 5}", "user": {"name": f"u{n}", "tags": [1, 2]}}
        producer.produce(topic, json.dumps(value), f"k{n % 3}", timestamp=1_700_000_000_000 + n * 1000)
    assert producer.flush(10) == 0


def test_the_largest_value_of_a_field_is_three_clicks_away(box: Running, window: Page) -> None:
    fill(box, "quakes", 100)
    window.goto("/")
    window.get_by_role("link", name="Messages of quakes").click()
    window.locator("#columns summary").click()
    window.get_by_role("link", name="Sort by $.mag, the largest first").click()
    expect(window.locator("tbody.event").first.locator(".jfield")).to_have_text("99")
    expect(window.locator('th[aria-sort="descending"]')).to_have_text("mag")
    window.locator("th.jfield a").click()
    expect(window.locator("tbody.event").first.locator(".jfield")).to_have_text("0")
    window.locator("tbody.event").nth(3).locator(".jfield button").click()
    expect(window.locator("tbody.event")).to_have_count(1)
    expect(window.locator(".chips")).to_contain_text("$.mag = 3")
    window.locator("#in-sql").click()
    expect(window.locator("#result tbody tr")).to_have_count(1)


def test_an_invalid_filter_marks_its_field_and_keeps_the_list(box: Running, window: Page) -> None:
    fill(box, "quakes", 5)
    # The answer's status is 400, which Chromium logs.
    window.goto("/topics/quakes/messages")
    window.evaluate("document.querySelector('.filters details').open = true")
    window.locator('[name="path"]').fill("mag")
    window.locator('[name="op"]').select_option(">=")
    window.locator('[name="operand"]').fill("3")
    window.get_by_role("button", name="Apply").click()
    expect(window.locator(".chips")).to_contain_text("$.mag >= 3")
    expect(window.locator("tbody.event")).to_have_count(2)


def test_one_switch_shows_local_times_on_every_page_and_live(box: Running, chromium: Browser) -> None:
    fill(box, "quakes", 3)
    context = chromium.new_context(base_url=box.web, timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto("/topics/quakes/messages")
    expect(page.locator("#m-0-0 td.time")).to_have_text("2023-11-14 22:13:20")
    page.locator("#zone").click()
    expect(page.locator("#m-0-0 td.time")).to_have_text("2023-11-15 07:13:20")
    expect(page.locator("#zone")).to_have_text("local")
    expect(page.locator("#pill")).to_have_text("Live")
    producer = Producer({"bootstrap.servers": box.kafka})
    producer.produce("quakes", "late", "k", timestamp=1_700_000_100_000)
    producer.flush(10)
    expect(page.locator("#m-0-3 td.time")).to_have_text("2023-11-15 07:15:00")
    expect(page.locator("#m-0-0 td.time")).to_have_text("2023-11-15 07:13:20")
    page.goto("/activity")
    expect(page.locator("#zone")).to_have_text("local")
    page.locator("#zone").click()
    expect(page.locator("#zone")).to_have_text("UTC")
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_an_event_folds_and_its_key_is_in_sight(box: Running, window: Page, width: int) -> None:
    fill(box, "quakes", 1)
    window.set_viewport_size({"width": width, "height": 860})
    window.goto("/topics/quakes/0/0")
    expect(window.locator(".facts")).to_be_in_viewport()
    expect(window.locator(".value-body")).to_contain_text('"name": "u0"')
    window.get_by_role("button", name="Fold all").click()
    expect(window.get_by_text('"name"')).to_be_hidden()
    window.locator(".folding summary").first.focus()
    window.keyboard.press("Enter")
    expect(window.get_by_text('"name"')).to_be_visible()
    assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")
    copies = window.locator(".event-copies button").all_inner_texts()
    assert {"value", "key", "Python", "kcat", "curl", "JSONL", "link"} <= set(copies)


def test_a_language_is_chosen_once_for_all_programs(box: Running, window: Page) -> None:
    fill(box, "quakes", 1)
    window.goto("/topics/quakes/messages")
    window.get_by_text("Show me the code").click()
    expect(window.locator("#consume-code")).to_be_visible()
    window.locator(".tabset label", has_text="Go").click()
    expect(window.locator("#consume-code-go")).to_contain_text("kgo.NewClient")
    expect(window.locator("#consume-code")).to_be_hidden()
    window.goto("/topics/quakes/produce")
    window.get_by_text("Show me the code").click()
    expect(window.locator("#produce-code-go")).to_be_visible()
    window.locator("#value").fill('{"typed": 1}')
    expect(window.locator("#produce-code-go")).to_contain_text("typed")


def test_an_edited_key_changes_the_field_with_the_same_template(box: Running, window: Page) -> None:
    fill(box, "quakes", 1)
    window.goto("/topics/quakes/produce/generators?template=orders")
    window.locator("#key").click()
    window.locator("#key").fill("user-{{pool}}")
    expect(window.locator("#value")).to_have_value(re.compile(r'"customer": "user-\{\{pool\}\}"'))
    expect(window.locator("#planned")).to_contain_text("1,000 events will be sent to quakes")


def test_a_topic_is_restored_alone_from_a_snapshots_page(box: Running, window: Page) -> None:
    fill(box, "quakes", 3)
    window.goto("/snapshots")
    window.locator('[name="name"]').first.fill("before")
    window.get_by_role("button", name="Take a snapshot").click()
    producer = Producer({"bootstrap.servers": box.kafka})
    producer.produce("quakes", "written since", "k")
    producer.flush(10)
    window.goto("/snapshots/before")
    added = window.locator('#events-table tr[data-change="added"]')
    expect(added).to_contain_text("written since")
    window.get_by_role("button", name="Restore the topic quakes").click()
    expect(window.locator(".said")).to_contain_text("restored quakes of before: 3 events")
    window.goto("/topics/quakes/messages")
    expect(window.locator("tbody.event")).to_have_count(3)
