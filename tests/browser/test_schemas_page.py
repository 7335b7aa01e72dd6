"""The Schemas pages in a browser: live while clients register, and a change that is tried on stored events."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.running import Running
from tests.web.registry.client import Registry

pytestmark = pytest.mark.browser

USER = {"type": "record", "name": "User", "fields": [{"name": "id", "type": "int"}]}
WITH_NOTE = {**USER, "fields": [*USER["fields"], {"name": "note", "type": "string", "default": ""}]}


def test_a_registration_by_a_client_appears_on_open_pages(window: Page, box: Running) -> None:
    registry = Registry(f"{box.web}/registry")
    window.goto("/schemas")
    expect(window.get_by_role("heading", name="No schemas yet")).to_be_visible()
    expect(window.locator("#pill")).to_have_text("Live")
    assert registry.ask("POST /subjects/users-value/versions", {"schema": json.dumps(USER)}).status == 200
    expect(window.get_by_role("link", name="users-value")).to_be_visible()

    window.get_by_role("link", name="users-value").click()
    expect(window.get_by_role("heading", name="Version 1")).to_be_visible()
    assert registry.ask("POST /subjects/users-value/versions", {"schema": json.dumps(WITH_NOTE)}).status == 200
    expect(window.get_by_role("heading", name="Version 2")).to_be_visible()

    window.set_viewport_size({"width": 390, "height": 844})
    assert window.evaluate("document.documentElement.scrollWidth") <= 390
    window.get_by_label("Compatibility").select_option("FULL")
    window.get_by_role("button", name="Set level").click()
    expect(window.get_by_text("users-value has the compatibility level FULL")).to_be_visible()
    assert registry.ask("GET /config/users-value").value == {"compatibilityLevel": "FULL"}


def test_a_change_is_tried_and_shows_its_reasons(window: Page, box: Running) -> None:
    registry = Registry(f"{box.web}/registry")
    assert registry.ask("POST /subjects/users-value/versions", {"schema": json.dumps(USER)}).status == 200
    window.goto("/schemas/users-value")
    window.get_by_role("link", name="Try a change").click()
    window.locator("textarea[name=schema]").fill(json.dumps(WITH_NOTE).replace(', "default": ""', ""))
    window.get_by_role("button", name="Try").click()
    expect(window.locator('tr[data-level="BACKWARD"]')).to_contain_text("refused")
    expect(window.locator('tr[data-level="FORWARD"]')).to_contain_text("accepted")
    expect(window.get_by_text("There is no topic with events of this subject.")).to_be_visible()
