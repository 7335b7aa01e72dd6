"""Values that other tools get wrong, in a real browser: produced by the page, and shown by it."""

import json
import random
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running
from tests.web.hostile import BIG_INTEGER, EMOJI, LARGE, SCRIPT

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("value", [BIG_INTEGER, EMOJI, SCRIPT], ids=["big integer", "emoji", "script"])
def test_a_value_typed_in_the_page_is_stored_and_shown_exactly(
    box: Running, window: Page, value: bytes, tmp_path: Path
) -> None:
    window.goto("/topics/~new")
    window.locator("#topic-name").fill("t")
    window.get_by_role("button", name="Create the topic").click()
    window.goto("/topics/t/produce")
    window.locator('[name="value_kind"]').select_option("text")
    window.locator("#value").fill(value.decode())
    window.get_by_role("button", name="Send").click()
    window.locator("#answers li a").click()
    window.get_by_role("link", name="raw", exact=True).click()
    expect(window.locator(".value-body")).to_have_text(value.decode(), use_inner_text=False)
    with window.expect_download() as download:
        window.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "value")
    assert (tmp_path / "value").read_bytes() == value


def test_900_kb_are_sent_from_the_page_and_shown_whole_on_demand(box: Running, window: Page) -> None:
    window.goto("/topics/~new")
    window.locator("#topic-name").fill("t")
    window.get_by_role("button", name="Create the topic").click()
    window.goto("/topics/t/produce")
    window.locator("#value").fill(LARGE.decode())
    window.get_by_role("button", name="Send").click()
    expect(window.locator("#answers li")).to_have_count(1)
    window.goto("/topics/t/messages")
    window.locator("tbody.event a.open").click()
    window.get_by_role("link", name="Show all").click()
    expect(window.locator("a", has_text="Show all")).to_have_count(0)
    shown = window.locator(".value-body").evaluate("body => body.textContent.length")
    assert shown >= len(LARGE)


def test_the_partition_drawn_is_the_partition_used_for_many_keys(box: Running, window: Page) -> None:
    window.goto("/topics/~new")
    window.locator("#topic-name").fill("t")
    window.get_by_label("Partitions").fill("7")
    window.get_by_role("button", name="Create the topic").click()
    window.goto("/topics/t/produce")
    source = random.Random(8)
    for n in range(25):
        key = "".join(source.choice("abcdefgh0123456789-éü🥪") for _ in range(source.randrange(1, 20)))
        window.locator("#key").fill(key)
        expect(window.locator("#preview code").first).to_have_text(json.dumps(key, ensure_ascii=False))
        shown = window.locator("#preview .preview").get_attribute("data-partition")
        window.get_by_role("button", name="Send").click()
        expect(window.locator("#answers li")).to_have_count(n + 1)
        assert window.locator("#answers li").first.get_attribute("data-partition") == shown
    with urllib.request.urlopen(f"{box.web}/topics/t/messages.json?limit=100") as answer:
        assert len(json.load(answer)["events"]) == 25
