"""Produce in a real browser: input is checked while it is typed, and running generators are shown."""

import json
import re
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running, program

pytestmark = pytest.mark.browser


def _topic(box: Running) -> None:
    program("produce", box.kafka, "orders", 3, 0, "user-42")


def test_the_loop_of_typing_and_sending_keeps_the_focus(box: Running, window: Page) -> None:
    _topic(box)
    window.goto("/topics/orders/produce")
    value = window.locator("#value")
    value.fill('{"id": 1')
    expect(window.locator("#value-state")).to_contain_text("Not JSON")
    value.press("End")
    value.type("}")
    expect(window.locator("#value-state")).to_have_text("✓ JSON")
    code = window.locator("#produce-code")
    expect(code).to_contain_text("value='{\"id\": 1}'", use_inner_text=False)
    window.locator("#key").press("End")
    window.locator("#key").press_sequentially("7")
    expect(code).to_contain_text("key='user-427'", use_inner_text=False)
    value.focus()
    for n in range(1, 4):
        value.press("Control+Enter")
        expect(window.locator("#answers > li")).to_have_count(n)
        expect(window.locator(".sending #sent-here")).to_contain_text(f"Sent to orders: partition 0 · offset {n + 2}")
        expect(value).to_be_focused()
    expect(window.locator("#produce-code")).to_contain_text("value='{\"id\": 1}'", use_inner_text=False)
    window.locator("#key-kind").select_option("none")
    expect(window.locator("#key")).to_be_disabled()
    expect(window.locator("#key")).to_have_attribute("title", re.compile("the key is null"))
    expect(window.locator("#preview")).to_contain_text("no key → to sticky → to any of")
    window.locator("#answers a").first.click()
    expect(window.locator(".value-body")).to_contain_text('"id": 1')


def test_a_key_that_is_typed_is_asked_for_and_no_more_than_that(box: Running, window: Page) -> None:
    _topic(box)
    window.goto("/topics/orders/produce")
    asked: list[str] = []
    window.on("requestfinished", lambda request: asked.append(request.url) if "preview" in request.url else None)
    for key in ("user-1", "user-2"):
        before = len(asked)
        with window.expect_response("**/produce/preview"):
            window.locator("#key").fill(key)
        expect(window.locator("#preview")).to_contain_text(key)
        # Six times as long as it waits for the next letter.
        window.wait_for_timeout(600)
        assert 1 <= len(asked) - before <= 2, asked


def test_many_lines_are_looked_at_mended_and_sent(box: Running, window: Page, tmp_path: Path) -> None:
    _topic(box)
    window.goto("/topics/orders/produce/many")
    window.get_by_label("Format").select_option("jsonl")
    lines = window.get_by_label("Lines", exact=True)
    lines.fill('{"key": "user-7", "value": "one"}\n{"value": 2}')
    window.get_by_role("button", name="Preview").click()
    expect(window.locator("#many-preview")).to_contain_text("line 2")
    lines.press("Control+Enter")
    expect(window.locator("#answers > li")).to_contain_text("Nothing was sent.")
    lines.fill('{"key": "user-7", "value": "one"}\n{"key": "user-7", "value": null}')
    lines.press("Control+Enter")
    expect(window.locator("#answers > li").first).to_contain_text("2 events stored in orders")
    expect(lines).to_be_focused()
    file = tmp_path / "events.txt"
    file.write_bytes(b"from\na\nfile\n")
    window.get_by_label("Format").select_option("lines")
    window.get_by_label("or a file").set_input_files(file)
    window.get_by_role("button", name="Send all").click()
    expect(window.locator("#answers > li").first).to_contain_text("3 events stored in orders")


def test_a_generator_is_seen_at_work_and_stopped(box: Running, window: Page) -> None:
    _topic(box)
    window.goto("/topics/orders/produce/generators")
    window.get_by_role("link", name="sensors").click()
    window.locator("#value").fill("{{int 1 6}} of {{nme}}")
    expect(window.locator("#made")).to_contain_text("did you mean name?")
    window.locator("#value").fill("throw {{int 1 6}}")
    expect(window.locator("#made pre").first).to_have_text(re.compile(r"throw [1-6]"))
    expect(window.locator("#made .spread tbody tr").first).to_be_visible()
    window.get_by_label("Events/s").fill("50")
    window.get_by_label("Count").fill("")
    window.get_by_role("button", name="Start").click()
    row = window.locator("#gen-1")
    expect(row).to_have_attribute("data-state", "running")
    seen = int(row.get_attribute("data-sent") or 0)
    expect(row).not_to_have_attribute("data-sent", str(seen))
    expect(window.locator("#value")).to_have_value("throw {{int 1 6}}")
    row.get_by_role("button", name="Stop generator 1").press("Enter")
    expect(window.locator("#gen-1")).to_have_attribute("data-state", "stopped")
    window.locator("#gen-1 a.row").click()
    expect(window.locator("tbody.event td.value").first).to_contain_text("throw")


def test_a_letter_that_names_no_topic_is_sent_nowhere_before_one_is_chosen(box: Running, window: Page) -> None:
    _topic(box)
    program("produce", box.kafka, "payments-dlq", 1, 0, "user-7")
    window.goto("/topics/payments-dlq/0/0")
    window.get_by_role("link", name="Edit and send to …").click()
    topic = window.locator("#produce-topic")
    expect(topic).to_have_value("")
    expect(window.locator("#preview")).to_contain_text("Choose the topic")
    window.locator("#value").fill('{"n": 1,}')
    expect(window.locator("#value-state")).to_have_text(re.compile(r"✗ Not JSON: .+ \(line 1, column \d+\)$"))
    window.get_by_role("button", name="Send", exact=True).click()
    assert topic.evaluate("field => field.matches(':invalid:focus')")
    topic.select_option("orders")
    expect(window.locator("#preview")).to_contain_text("partition 0 of 1")
    window.locator("#value").fill('{"n": 1}')
    expect(window.locator("#value-state")).to_have_text("✓ JSON")
    expect(window.locator("#produce-code")).to_contain_text("producer.produce(\n    'orders',", use_inner_text=False)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window.locator("#answers a")).to_have_text("partition 0 · offset 3")


ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}


@pytest.mark.parametrize("width", [1280, 390])
def test_the_form_of_a_schema_is_filled_corrected_and_sent(box: Running, window: Page, width: int) -> None:
    _topic(box)
    body = json.dumps({"schema": json.dumps(ORDER)}).encode()
    kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    with urlopen(Request(f"{box.web}/registry/subjects/orders-value/versions", body, kind), timeout=30) as answer:
        assert json.load(answer)["id"] == 1
    window.set_viewport_size({"width": width, "height": 860})
    window.goto("/topics/orders/produce")
    # The topic has a schema of its own.
    expect(window.locator("#value-kind")).to_have_value("schema")
    expect(window.locator("#value")).to_be_hidden()
    identity = window.get_by_label("id", exact=True)
    identity.fill("7x")
    expect(window.locator("#value-state")).to_contain_text("$.id: expected a whole number")
    window.get_by_label("Type of $.note").select_option("string")
    window.locator("#in-value-1-c1").fill("by hand")
    window.get_by_role("button", name="Add to $.tags").click()
    window.locator("#in-value-2-0").fill("red")
    window.locator("#in-value-2-0").press("Enter")
    expect(window.locator("#in-value-0-error")).to_have_text("expected a whole number, got '7x'")
    expect(identity).to_have_value("7x")
    expect(window.locator("#in-value-2-0")).to_have_value("red")
    identity.fill("7")
    expect(window.locator("#value-state")).to_contain_text("fits orders-value")
    window.locator("#send").click()
    expect(window.locator("#sent-here")).to_contain_text("Sent to orders")
    window.get_by_label("JSON", exact=True).check()
    expect(window.locator("#value")).to_have_value(re.compile('"note": "by hand"'))
    assert window.evaluate("document.documentElement.scrollWidth <= innerWidth")
    window.locator("#answers a").first.click()
    expect(window.locator(".value-body")).to_contain_text('"tags"')
