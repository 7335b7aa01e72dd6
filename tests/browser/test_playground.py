"""The playground in a browser: consumers live on the page, by keyboard, and a scenario that ticks itself off."""

import re

import pytest
from confluent_kafka import Producer
from playwright.sync_api import Page, expect

from tests.browser.running import Running

pytestmark = pytest.mark.browser

SHOWN_MS = 30_000


def send(box: Running, topic: str, events: int) -> None:
    producer = Producer({"bootstrap.servers": box.kafka})
    for number in range(events):
        producer.produce(topic, f'{{"number": {number}}}', key=f"k{number}", partition=0)
    assert producer.flush(20) == 0


def press(page: Page, button: str) -> None:
    page.locator(button).focus()
    page.keyboard.press("Enter")


def test_a_consumer_is_started_watched_and_crashed_with_the_keyboard_alone(box: Running, window: Page) -> None:
    send(box, "orders", 4)
    send(box, "aaa", 1)
    window.goto("/playground")
    expect(window.locator("#live")).to_contain_text("No consumer yet")
    topic = window.locator("#play-form select[name=topic]")
    topic.select_option("orders")
    group = window.locator("input[name=group]")
    group.fill("billin")
    expect(window.locator("#play-code")).to_contain_text("'billin'", use_inner_text=False)
    expect(window.locator("#play-code")).to_contain_text("['orders']", use_inner_text=False)
    group.press_sequentially("g")
    expect(window.locator("#play-code")).to_contain_text("'billing'", use_inner_text=False)
    window.keyboard.press("Enter")
    card = window.locator("#c1")
    expect(topic).to_have_value("orders")
    expect(card).to_have_attribute("data-handled", "4", timeout=SHOWN_MS)
    expect(card.locator("tr[data-offset]")).to_have_count(4)

    # What comes now is there without a reload, and so is what another program sends.
    window.evaluate("window.here = true")
    send(box, "orders", 1)
    expect(card).to_have_attribute("data-handled", "5", timeout=SHOWN_MS)
    press(window, "#c1-run")
    expect(card).to_have_attribute("data-state", "paused", timeout=SHOWN_MS)
    expect(window.locator("#play-said")).to_contain_text("playground-1 pauses")
    expect(window.locator("#c1-run")).to_be_focused()
    window.keyboard.press("Enter")
    expect(card).to_have_attribute("data-state", "running", timeout=SHOWN_MS)

    press(window, "#c1-end")
    expect(card).to_have_attribute("data-state", "crashed", timeout=SHOWN_MS)
    expect(window.locator("#c1-end")).to_have_text("Start another like it")
    expect(window.locator("#c1-end")).to_be_focused()
    window.keyboard.press("Enter")
    expect(window.locator("#c2")).to_be_visible(timeout=SHOWN_MS)
    assert window.evaluate("window.here") is True


def test_events_that_come_again_are_marked_live(box: Running, window: Page) -> None:
    send(box, "orders", 3)
    window.goto("/playground")
    window.locator("#play-go").click()
    window.locator("#c1 a.row").first.click()
    expect(window.locator("tr[data-offset]")).to_have_count(3, timeout=SHOWN_MS)
    window.get_by_role("button", name="Seek").click()
    expect(window.locator('tr[data-again="true"]')).to_have_count(3, timeout=SHOWN_MS)
    expect(window.locator(".log")).to_contain_text("seek: orders 0 to earliest")


def test_the_steps_of_a_scenario_tick_themselves_off(box: Running, window: Page) -> None:
    window.goto("/playground")
    window.get_by_role("link", name="More consumers than partitions").click()
    window.locator("#set-up").click()
    steps = window.locator('.play-steps li[data-done="true"]')
    expect(steps).to_have_count(1, timeout=SHOWN_MS)
    for button, done in (("#do-another", 2), ("#do-close", 3)):
        window.locator(button).click()
        expect(steps).to_have_count(done, timeout=SHOWN_MS)
    window.locator("#do-another").click()
    window.locator("#do-partition").click()
    expect(window.locator(".play-lesson")).to_contain_text("Goal reached", timeout=SHOWN_MS)
    window.get_by_text("Remove what it made").click()
    window.locator("#remove").click()
    expect(window.locator(".said").first).to_contain_text("removed topic playground-idle-members")


def test_the_registry_refuses_a_change_and_an_old_consumer_reads_the_corrected_one(box: Running, window: Page) -> None:
    window.goto("/playground")
    window.get_by_role("link", name="Evolve a schema").click()
    window.locator("#set-up").click()
    steps = window.locator('.play-steps li[data-done="true"]')
    expect(steps).to_have_count(1, timeout=SHOWN_MS)
    window.locator("#do-without-default").click()
    expect(window.locator(".play-now")).to_contain_text("READER_FIELD_MISSING_DEFAULT_VALUE", timeout=SHOWN_MS)
    window.locator("#do-with-default").click()
    expect(window.locator(".play-lesson")).to_contain_text("Goal reached", timeout=SHOWN_MS)
    expect(window.locator(".play-events td.value").first).to_have_text(
        re.compile(r'^\{"number":\d+,"amount":[0-9.]+\}')
    )


def test_members_of_a_share_group_are_started_and_their_window_is_drawn_live(box: Running, window: Page) -> None:
    send(box, "orders", 2)
    window.goto("/playground?protocol=share&group=workers&topic=orders")
    window.locator("#play-go").click()
    card = window.locator("#c1")
    expect(card).to_have_attribute("data-handled", "2", timeout=SHOWN_MS)
    window.goto("/playground/1")
    window.locator("#change select[name=acknowledge]").select_option("expire")
    window.get_by_role("button", name="Change", exact=True).click()
    expect(window.locator("#play-said")).to_contain_text("was changed")
    window.goto("/playground")
    group = window.locator('section[data-group="workers"]')
    expect(group).to_contain_text("Share group workers")
    window.evaluate("window.here = true")
    send(box, "orders", 1)
    expect(group.locator('.cells .cell[data-state="acquired"][data-offset="2"]')).to_have_count(1, timeout=SHOWN_MS)

    # A record that is stuck is archived by hand, on the group's page.
    window.goto("/groups/workers")
    window.get_by_label("Action").select_option("archive")
    window.get_by_label("First offset").fill("2")
    window.locator("#by-hand").get_by_role("button", name="Preview").click()
    expect(window.locator("#hand-preview")).to_contain_text("1 record of orders 0 will be archived")
    window.get_by_role("button", name="Archive 1 record").click()
    expect(window.locator("#live-windows")).to_contain_text("start offset 3", timeout=SHOWN_MS)
