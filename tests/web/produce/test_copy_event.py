"""Edit and send: a stored event in the form, and out again byte for byte."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import Event, Headers
from sandbox.web.payload import json_error
from sandbox.web.produce.form import BROKEN, address_of, copied, event_of
from tests.web.hostile import VALUES

FORM = ("key", "value", "headers")


class Fields(HTMLParser):
    """The fields of the Produce form, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "textarea":
            self._area, self.found[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self.found[self._select] = given.get("value") or ""
        elif tag == "input" and name == "key":
            self.found[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            # The first line break after <textarea> is dropped; the others are sent as CR LF.
            self.found[self._area] = self.found[self._area].removeprefix("\n").replace("\n", "\r\n")
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data


def form_in(html: str) -> dict[str, str]:
    fields = Fields()
    fields.feed(html)
    return {name: text for name, text in fields.found.items() if name.removesuffix("_kind") in FORM}


def bytes_or_none() -> st.SearchStrategy[bytes | None]:
    texts = st.text(st.characters(codec="utf-8"), max_size=12).map(str.encode)
    return (
        st.none()
        | st.binary(max_size=12)
        | texts
        | st.sampled_from([b"a\nb", b"a\r\nb", b" a ", b"\0", b"\n", b"x", b"{}", b"{", b" [1,]"])
    )


@given(
    key=bytes_or_none(),
    value=bytes_or_none(),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["trace", "", "a:b", " a", "ü", "a\nb", b"\xff".decode("utf-8", "surrogateescape")]),
            bytes_or_none(),
        ),
        max_size=3,
    ),
)
def test_whatever_an_event_holds_comes_out_of_the_form_as_it_was(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    event = Event("t", 0, 0, 0, 0, key, value, tuple(headers))
    form = {name: text.replace("\n", "\r\n") for name, text in copied(event).form.items()}
    assert "\n" not in copied(event).form["key"]
    if BROKEN in copied(event).notes:
        with pytest.raises(BrokerError, match="Not JSON"):
            event_of(form, 0)
        form["value_kind"] = "text"
    made = event_of(form, 0)
    assert (made.key, made.value, made.headers) == (key, value, tuple(headers))


@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_passes_through_the_page_unchanged(page: FlaskClient, box: Sandbox, name: str) -> None:
    box.create_topic("orders", partitions=1)
    headers: Headers = (("plain", b"1"), ("null", None), ("bytes", b"\xff\x00"))
    box.append("orders", VALUES[name], key=b"k\xfe", headers=headers)
    html = page.get("/topics/orders/produce?copy=orders/0/0").text
    assert "Sending it makes a new event" in html
    assert "The key cannot be edited as text: byte 0xfe at position 1 is not UTF-8" in unescape(html)
    answer = page.post("/topics/orders/produce", data=form_in(html), headers={"HX-Request": "true"})
    assert re.search(r'data-offset="1"', answer.text), answer.text
    first, second = box.read("orders", offset=0)
    assert (second.key, second.value, second.headers) == (first.key, first.value, first.headers)


def test_json_stays_json_and_a_tombstone_stays_one(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", '{"id": 9007199254740993}', key="user-42")
    box.append("orders", None, key="user-42")
    assert form_in(page.get("/produce?topic=orders&copy=orders/0/0").text)["value_kind"] == "json"
    assert form_in(page.get("/produce?topic=orders&copy=orders/0/1").text)["value_kind"] == "null"


COMMA = '{"id": 1,}'


def test_broken_json_opens_as_json_and_one_comma_is_called_the_same_everywhere(page: FlaskClient, box: Sandbox) -> None:
    wrong = json_error(COMMA)
    assert re.search(r"\(line 1, column \d+\)$", wrong or "")
    box.create_topic("orders", partitions=1)
    box.append("orders", COMMA, key="user-42")
    html = unescape(page.get("/topics/orders/produce?copy=orders/0/0").text)
    fields = form_in(html)
    assert (fields["value_kind"], fields["value"]) == ("json", COMMA)
    assert f'data-state="bad">✗ Not JSON: {wrong}</p>' in html
    assert BROKEN in html
    typed = page.post("/topics/orders/produce/program", data=fields)
    assert typed.headers["HX-Reswap"] == "none"
    headers = {"value": "1", "headers_kind": "json", "headers": COMMA}
    for said in (
        typed.text,
        page.post("/topics/orders/produce", data=fields, headers={"HX-Request": "true"}).text,
        page.post("/topics/orders/produce", data=fields).text,
        page.post("/topics/orders/produce", data=headers).text,
    ):
        assert f"Not JSON: {wrong}" in unescape(said)
    seen = page.get("/topics/orders/0/0").text
    assert f"looks like JSON, but is not: {wrong}" in seen
    assert '<span class="kind">text</span>' in seen
    many = {"format": "jsonl", "lines": COMMA}
    column = (wrong or "").replace("(line 1, ", "(")
    assert f"<b>line 1</b> not JSON: {column}" in page.post("/topics/orders/produce/many", data=many).text
    assert box.topic("orders").events == 1
    page.post("/topics/orders/produce", data=fields | {"value_kind": "text"})
    assert box.event("orders", 0, 1).value == COMMA.encode()


def test_what_is_typed_is_said_to_be_json_only_where_it_is_meant_to_be(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    for form, state in (
        ({"value_kind": "json", "value": "{}"}, ' data-state="good">✓ JSON<'),
        ({"value_kind": "json", "value": "{"}, ' data-state="bad">✗ Not JSON'),
        ({"value_kind": "json", "value": " "}, " hidden></p>"),
        ({"value_kind": "text", "value": "{"}, " hidden></p>"),
    ):
        text = page.post("/topics/orders/produce/program", data=form).text
        assert f'id="value-state" role="status" hx-swap-oob="morph"{state}' in text
        assert ("<pre" in text) is (form["value"] != " " and "✗" not in text)


def test_the_key_alone_can_be_taken(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append("orders", "the old value", key="user-7", headers={"a": "1"})
    html = page.get("/topics/orders/produce?copy=orders/0/0&only=key").text
    assert "The key is copied from" in html
    assert form_in(html)["key"] == "user-7"
    assert "the old value" not in html
    assert form_in(html)["headers"] == ""


def test_an_event_goes_to_another_topic_too(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.create_topic("orders.dlt", partitions=1)
    box.append("orders.dlt", "poison", key="user-7")
    fields = form_in(page.get("/topics/orders/produce?copy=orders.dlt/0/0").text)
    page.post("/topics/orders/produce", data=fields)
    assert box.event("orders", 0, 0).value == b"poison"


@pytest.mark.parametrize("copy", ["orders/0/7", "nope/0/0", "orders", "../x/0/0", "orders/9/0"])
def test_what_cannot_be_copied_is_said_and_the_form_still_works(page: FlaskClient, box: Sandbox, copy: str) -> None:
    box.create_topic("orders", partitions=1)
    answer = page.get("/topics/orders/produce", query_string={"copy": copy})
    assert answer.status_code == 200
    assert "That event cannot be copied" in answer.text
    assert 'id="send"' in answer.text


def test_an_address_is_read_only_where_it_is_one() -> None:
    assert address_of("a.b-c_d/12/345") == ("a.b-c_d", 12, 345)
    assert address_of("a/1/2/3") is None
    assert address_of("a/１/2") is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"key_kind": "hex", "key": "zz"}, "The key is not hex"),
        ({"value_kind": "base64", "value": "a"}, "The value is not base64"),
        ({"headers_kind": "json", "headers": "{"}, "The headers cannot be read"),
        ({"headers_kind": "json", "headers": '{"a": 1}'}, "The headers cannot be read"),
    ],
)
def test_bytes_that_are_none_are_refused_by_name(
    page: FlaskClient, box: Sandbox, form: dict[str, str], said: str
) -> None:
    box.create_topic("orders", partitions=1)
    answer = page.post("/topics/orders/produce", data={"value": "1"} | form)
    assert answer.status_code == 400
    assert said in answer.text
    assert box.topic("orders").events == 0


def test_hex_with_spaces_is_sent_as_its_bytes(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    page.post(
        "/topics/orders/produce", data={"key_kind": "hex", "key": "00 ff", "value_kind": "hex", "value": "0a\n0D"}
    )
    event = box.event("orders", 0, 0)
    assert (event.key, event.value) == (b"\x00\xff", b"\x0a\x0d")


def test_a_dead_letter_goes_to_its_original_partition_by_the_partitioner_that_leads_there(
    page: FlaskClient, box: Sandbox
) -> None:
    box.create_topic("orders", partitions=7)
    box.create_topic("orders.dlq", partitions=1)
    by_java, by_c = (box.partition_for("orders", b"user-1", name) for name in ("murmur2", "consistent_random"))
    assert by_java != by_c
    other = next(n for n in range(7) if n not in (by_java, by_c))
    for partition in (by_java, by_c, other):
        headers = {"dlq.topic": "orders", "dlq.partition": str(partition), "dlq.offset": "0"}
        box.append("orders.dlq", '{"n": 1', key="user-1", headers=headers)

    def chosen(offset: int, more: str = "") -> tuple[str, ...]:
        html = page.get(f"/topics/orders/produce?copy=orders.dlq/0/{offset}{more}").text
        mode = re.search(r'name="mode" value="(\w+)" checked', html)
        partitioner = re.search(r'<select name="partitioner">.*?value="(\w+)" selected', html, re.DOTALL)
        preview = re.search(r'data-partition="(\d+)"', html)
        assert mode is not None
        assert partitioner is not None
        assert preview is not None
        return mode[1], partitioner[1], preview[1]

    assert chosen(0) == ("key", "murmur2", str(by_java))
    assert chosen(1) == ("key", "consistent_random", str(by_c))
    assert chosen(2) == ("fixed", "murmur2", str(other))
    assert chosen(2, "&mode=key") == ("key", "murmur2", str(by_java))
    html = page.get("/topics/orders/produce?copy=orders.dlq/0/2").text
    assert '<p id="broken">' in html
    assert "mode=key" in html
