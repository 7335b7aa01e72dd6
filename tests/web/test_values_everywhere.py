"""The four payloads that other tools get wrong, on every page that shows a value."""

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from tests.web.hostile import BIG_INTEGER, INVALID, LARGE

OFFSETS = {"big integer": 0, "invalid": 1, "empty": 2, "null": 3, "large": 4}
VALUES = (BIG_INTEGER, INVALID, b"", None, LARGE)
SQL = "/sql?q=" + quote("SELECT offset, value FROM t ORDER BY offset")
TOGETHER = {
    "messages": "/topics/t/messages",
    "raw rows by offset": "/topics/t/messages?from=0",
    "what is picked": "/topics/t/messages/send?events=0:0-4&to=t",
    "sql": SQL,
}
HTML_MAX_BYTES = 400_000
"""A page of previews stays small, though a value on it has 900 KB."""


@pytest.fixture
def shown(box: Sandbox, page: FlaskClient) -> FlaskClient:
    box.create_topic("t", partitions=1)
    for value in VALUES:
        box.append("t", value, key="k", partition=0)
    return page


@pytest.mark.parametrize("address", TOGETHER.values(), ids=TOGETHER)
def test_a_page_of_many_values_tells_them_apart(shown: FlaskClient, address: str) -> None:
    text = shown.get(address).get_data(as_text=True)
    assert "9007199254740993" in text
    assert "ff fe" in text.lower() or "fffe" in text.lower()
    assert ">null</span>" in text.lower()
    assert ">empty</span>" in text.lower()
    assert len(text) < HTML_MAX_BYTES


@pytest.mark.parametrize("view", ["pretty", "raw", "hex"])
def test_one_event_is_shown_exactly(shown: FlaskClient, view: str) -> None:
    pages = {
        name: shown.get(f"/topics/t/0/{offset}?view={view}").get_data(as_text=True) for name, offset in OFFSETS.items()
    }
    if view != "hex":
        assert "9007199254740993" in pages["big integer"]
        assert "-18446744073709551616" in pages["big integer"]
    assert "ff fe 00 61" in pages["invalid"].lower()
    assert "null" in pages["null"].lower()
    assert "empty" in pages["empty"].lower()
    assert len(pages["large"]) < HTML_MAX_BYTES
    whole = shown.get(f"/topics/t/0/4?view={view}&all=1").get_data(as_text=True)
    assert len(whole) > len(LARGE)


def test_a_value_is_taken_over_into_the_form_exactly(shown: FlaskClient) -> None:
    pages = {
        name: shown.get(f"/topics/t/produce?copy=t/0/{offset}").get_data(as_text=True)
        for name, offset in OFFSETS.items()
    }
    assert "-18446744073709551616" in pages["big integer"]
    assert "//4AYWJj" in pages["invalid"]
    assert pages["empty"] != pages["null"]
    assert "x" * 899_000 in pages["large"]


def test_the_data_of_a_page_has_every_byte(shown: FlaskClient) -> None:
    events = shown.get("/topics/t/messages.json?from=0").get_json()["events"]
    assert [event["value"] for event in events] == [
        BIG_INTEGER.decode(),
        {"base64": "//4AYWJj"},
        "",
        None,
        LARGE.decode(),
    ]
