"""Produce with a schema of the registry: what the form asks for is what a serializer would have written."""

import json
import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import Event
from sandbox.model.registry import SchemaRequest
from sandbox.registry.subjects import parse_subject

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long", "doc": "The number of the order."},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["NEW", "PAID"]}, "default": "PAID"},
        {"name": "customer", "type": {
            "type": "record", "name": "Customer", "fields": [{"name": "name", "type": "string"}]}},
        {"name": "prices", "type": {"type": "array", "items": {
            "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}},
        {"name": "tags", "type": {"type": "map", "values": "int"}},
        {"name": "note", "type": ["null", "string", "int"], "default": None},
        {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "due", "type": {"type": "int", "logicalType": "date"}},
    ],
}  # fmt: skip
FIELDS = {
    "value_kind": "schema", "value_subject": "orders-value", "value_mode": "form", "key": "k",
    "value.0": "9007199254740993", "value.1": "1", "value.2.0": "Ada", "value.3#n": "2", "value.3.0": "12.50",
    "value.3.1": "-1", "value.4#n": "1", "value.4.0#k": "red", "value.4.0": "3", "value.5#c": "2", "value.5.c2": "7",
    "value.6": "2024-05-17T13:45", "value.7": "2024-02-29",
}  # fmt: skip
EXPECTED = (
    '{"id":9007199254740993,"status":"PAID","customer":{"name":"Ada"},"prices":[12.50,-1.00],"tags":{"red":3},"note":7,'
    '"placed":"2024-05-17T13:45:00.000Z","due":"2024-02-29"}'
)
PROTO = """
syntax = "proto3"; package shop;
message Payment { int64 id = 1; optional string note = 2; oneof way { string card = 3; Cash cash = 4; }
  message Line { string sku = 1; } }
message Cash { int32 coins = 1; }
"""


def register(box: Sandbox, subject: str, text: str, schema_type: str = "AVRO") -> int:
    return box.schemas.register(parse_subject(subject), SchemaRequest(text, schema_type)).schema_id


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=1)
    register(box, "orders-value", json.dumps(ORDER))
    return box


def post(page: FlaskClient, form: dict[str, str]) -> str:
    answer = page.post("/topics/orders/produce", data={"topic": "orders", **form}, headers={"HX-Request": "true"}).text
    return re.sub(r"\s+", " ", answer)


def stored(box: Sandbox) -> Event:
    return box.read("orders", newest_first=True, limit=1)[0]


def decoded(box: Sandbox) -> str | None:
    event = stored(box)
    found = box.decoder().decode("orders", event.value)
    return None if found is None else found.text or found.problem


def panel(page: FlaskClient, form: dict[str, str], part: str = "value") -> str:
    return page.post(f"/topics/orders/produce/schema/{part}", data=form, headers={"HX-Request": "true"}).text


def fields_of(html: str) -> dict[str, str]:
    """Return what a browser would send of the panel: hidden and text inputs, and selects."""
    found = {
        name: value.replace("&#34;", '"')
        for tag in re.findall(r"<input [^>]*>", html)
        if 'type="checkbox"' not in tag and 'type="radio"' not in tag
        for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', tag)
    }
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', html):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options) or re.search(
            r'<option(?: value="([^"]*)")?>([^<]*)', options
        )
        assert chosen is not None
        found[name] = chosen[1] if chosen[1] is not None else chosen[2]
    return found


def test_the_form_is_written_with_the_schema_and_framed(page: FlaskClient, orders: Sandbox) -> None:
    answer = post(page, FIELDS)
    assert 'data-offset="0"' in answer, answer
    assert (stored(orders).value or b"")[:5] == b"\0\0\0\0\1"
    assert decoded(orders) == EXPECTED


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ({"value.0": "12x"}, "$.id: expected a whole number, got &#39;12x&#39;"),
        ({"value.0": ""}, "$.id: missing: type a whole number"),
        ({"value.3.1": "1.234"}, "$.prices[1]: 1.234 has more than 2 digits after the point"),
        ({"value.4.0": "99999999999"}, "$.tags.red: expected an integer (int)"),
        ({"value.4#n": "2", "value.4.1#k": "red", "value.4.1": "1"}, "$.tags: a key is there twice"),
        ({"value.7": ""}, "$.due: missing: type a date"),
        ({"value_version": "7"}, "version 7 not found"),
        ({"value_subject": "nothing-value"}, "nothing-value: subject &#39;nothing-value&#39; not found"),
        ({"value_subject": ""}, "Choose the subject of the value&#39;s schema"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_path(
    page: FlaskClient, orders: Sandbox, wrong: dict[str, str], shown: str
) -> None:
    answer = post(page, FIELDS | wrong)
    assert shown.lower() in answer.lower()
    assert "Nothing was sent" in answer
    assert orders.end_offsets("orders") == {0: 0}


def test_the_error_is_shown_at_the_input(page: FlaskClient, orders: Sandbox) -> None:
    answer = post(page, FIELDS | {"value_shown": "form", "value_by": "orders-value:latest", "value.3.1": "1.234"})
    assert re.search(
        r'id="in-value-3-1" [^>]*aria-invalid="true"[^>]*> <span class="refused"[^>]*>1.234 has more', answer
    )
    assert answer.count("aria-invalid") == 1


def test_json_is_written_with_the_schema_too(page: FlaskClient, orders: Sandbox) -> None:
    form = {"value_kind": "schema", "value_subject": "orders-value", "value": EXPECTED}
    post(page, form)
    assert decoded(orders) == EXPECTED
    answer = post(page, form | {"value": EXPECTED.replace('"Ada"', "5")})
    assert "$.customer.name: expected a string, got 5" in answer
    answer = post(page, form | {"value": '{"id": 1,\n]'})
    assert "not JSON" in answer
    assert "line 2" in answer


def test_the_panel_keeps_what_was_typed_when_the_mode_changes(page: FlaskClient, orders: Sandbox) -> None:
    shown = FIELDS | {"value_shown": "form", "value_by": "orders-value:latest"}
    as_json = panel(page, shown | {"value_mode": "json"})
    text = re.search(r'<textarea id="value"[^>]*hx-swap-oob="true">\n(.*?)</textarea>', as_json, re.DOTALL)
    assert text is not None
    typed = text[1].replace("&#34;", '"')
    assert json.loads(typed)["note"] == {"int": 7}
    back = panel(page, {**FIELDS, "value": typed, "value_shown": "json", "value_by": "orders-value:latest"})
    fields = fields_of(back)
    assert fields["value.3.1"] == "-1"
    assert post(page, {**fields, "value_kind": "schema", "value_mode": "form"}).count("data-offset")
    assert decoded(orders) == EXPECTED


def test_items_are_added_and_removed(page: FlaskClient, orders: Sandbox) -> None:
    shown = FIELDS | {"value_shown": "form", "value_by": "orders-value:latest"}
    more = fields_of(panel(page, shown | {"do": "add:value.3"}))
    assert (more["value.3#n"], more["value.3.1"], more["value.3.2"]) == ("3", "-1", "")
    less = fields_of(panel(page, shown | {"do": "remove:value.3.0"}))
    assert (less["value.3#n"], less["value.3.0"]) == ("1", "-1")
    assert "value.3.1" not in less
    assert more["value.0"] == less["value.0"] == FIELDS["value.0"]


def test_another_version_keeps_the_fields_that_both_have(page: FlaskClient, orders: Sandbox) -> None:
    newer = {**ORDER, "fields": [{"name": "shop", "type": "string", "default": "main"}, *ORDER["fields"]]}
    register(orders, "orders-value", json.dumps(newer))
    shown = FIELDS | {"value_shown": "form", "value_by": "orders-value:1", "value_version": "latest"}
    fields = fields_of(panel(page, shown))
    assert (fields["value.0"], fields["value.1"], fields["value.3.0"]) == ("main", FIELDS["value.0"], "Ada")


def test_random_values_fill_the_form_and_fit(page: FlaskClient, orders: Sandbox) -> None:
    for _ in range(20):
        fields = fields_of(
            panel(page, {"value_kind": "schema", "value_subject": "orders-value", "do": "example:value"})
        )
        answer = post(page, {**fields, "value_kind": "schema", "value_mode": "form"})
        assert "data-offset" in answer, answer


def test_protobuf_has_a_message_and_oneofs(page: FlaskClient, orders: Sandbox) -> None:
    register(orders, "pay", PROTO, "PROTOBUF")
    form = {"value_kind": "schema", "value_subject": "pay", "value_mode": "form"}
    html = panel(page, form)
    messages = re.search(r'name="value_message".*?</select>', html, re.DOTALL)
    assert messages is not None
    assert re.findall(r"<option[^>]*>([^<]*)</option>", messages[0]) == ["Payment", "Payment.Line", "Cash"]
    assert "absent" in html
    post(page, form | {"value.0": "5", "value.1#on": "1", "value.1": "hi", "value.2#c": "2", "value.2.c2.0": "3"})
    assert (stored(orders).value or b"")[:6] == b"\0\0\0\0\2\0"
    assert decoded(orders) == '{"id":5,"note":"hi","cash":{"coins":3}}'
    post(page, form | {"value_message": "Payment.Line", "value.0": "A1"})
    assert (stored(orders).value or b"")[5:8] == b"\x04\0\0"
    assert decoded(orders) == '{"sku":"A1"}'


def test_a_recursive_json_schema_opens_level_by_level(page: FlaskClient, orders: Sandbox) -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"enum": ["x", 1, None]}, "next": {"$ref": "#"}, "n": {"type": "integer", "minimum": 3}},
    }
    register(orders, "tree", json.dumps(schema), "JSON")
    form = {"value_kind": "schema", "value_subject": "tree", "value_mode": "form", "value.0": "1"}
    shown = {"value_shown": "form", "value_by": "tree:latest", "value.1#on": "1"}
    html = panel(page, form | shown)
    assert 'data-path="$.next.a"' in html
    assert 'data-path="$.next.next.a"' not in html
    post(page, form | {"value.1#on": "1", "value.1.0": "2", "value.1.2#on": "1", "value.1.2": "4"})
    assert decoded(orders) == '{"a":1,"next":{"a":null,"n":4}}'
    assert "$.n: 2 is less than the minimum of 3" in post(page, form | {"value.2#on": "1", "value.2": "2"})


def test_a_key_has_a_schema_too_and_chooses_the_partition(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders", partitions=6)
    register(box, "orders-key", '"string"')
    form = {"topic": "orders", "key_kind": "schema", "key_subject": "orders-key", "key": "user-42", "value": "{}"}
    partition = page.get("/produce/preview.json", query_string=form).get_json()["partition"]
    assert partition == box.partition_for("orders", b"\0\0\0\0\1\x0euser-42")
    post(page, form)
    assert stored(box).key == b"\0\0\0\0\1\x0euser-42"
    assert stored(box).partition == partition


def test_without_scripts_a_button_shows_the_fields(page: FlaskClient, orders: Sandbox) -> None:
    shown = FIELDS | {"value_shown": "form", "value_by": "orders-value:latest", "do": "add:value.3"}
    html = page.post("/topics/orders/produce/schema/value", data=shown).text
    assert 'name="value.3.2"' in html
    assert 'value="12.50"' in html
    assert "<html" in html


def test_a_large_value_is_typed_as_json(page: FlaskClient, orders: Sandbox) -> None:
    fields = [{"name": f"f{n}", "type": "int"} for n in range(600)]
    register(orders, "wide", json.dumps({"type": "record", "name": "Wide", "fields": fields}))
    html = panel(page, {"value_kind": "schema", "value_subject": "wide"})
    assert 'data-mode="json"' in html


def test_without_schemas_the_page_says_how_to_register_one(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("orders")
    assert "Register a schema" in panel(page, {"value_kind": "schema"})


LINES = (
    '{"id": 1, "customer": {"name": "Ada"}, "prices": [1.5], "tags": {}, "placed": 0, "due": "2024-01-01"}\n'
    '{"id": 2, "status": "NEW", "customer": {"name": "Bob"}, "prices": [], "tags": {}, "placed": 1, "due": 2}\n'
)


def test_many_lines_are_written_with_a_schema(page: FlaskClient, orders: Sandbox) -> None:
    form = {"format": "lines", "lines": LINES, "value_schema": "orders-value", "key_kind": "text", "key": "k"}
    html = page.post("/topics/orders/produce/many/preview", data=form, headers={"HX-Request": "true"}).text
    assert "&#34;name&#34;:&#34;Ada&#34;" in html
    page.post("/topics/orders/produce/many", data=form, headers={"HX-Request": "true"})
    values = [event.value or b"" for event in orders.read("orders", decode=True)]
    assert [json.loads(value)["customer"]["name"] for value in values] == ["Ada", "Bob"]
    form["lines"] = LINES.replace('"id": 2', '"id": "two"')
    answer = page.post("/topics/orders/produce/many", data=form, headers={"HX-Request": "true"}).text
    assert "Nothing was sent." in answer
    assert "line 2" in answer
    assert "$.id: expected an integer (long)" in answer
    jsonl = "".join(json.dumps({"key": "user-1", "value": line}) + "\n" for line in LINES.splitlines())
    page.post("/topics/orders/produce/many", data=form | {"format": "jsonl", "lines": jsonl + '{"value": null}\n'})
    assert orders.end_offsets("orders") == {0: 5}
    assert stored(orders).value is None


def test_a_generator_makes_random_values_of_a_schema(page: FlaskClient, orders: Sandbox) -> None:
    register(orders, "orders-key", '"string"')
    form = {
        "key_kind": "schema", "value_kind": "schema", "value_schema": "orders-value:1", "key_schema": "orders-key",
        "keys": "3", "seed": "5", "rate": "500", "count": "20",
    }  # fmt: skip
    root = "/topics/orders/produce/generators"
    look = page.post(f"{root}/preview", data=form, headers={"HX-Request": "true"}).text
    assert "&#34;customer&#34;" in look
    assert "3 keys" in look
    page.post(root, data=form)
    run = orders.generators.wait(1, 30)
    assert (run.state, run.sent) == ("done", 20)
    values = [json.loads(event.value or b"") for event in orders.read("orders", decode=True)]
    assert {value["status"] for value in values} == {"NEW", "PAID"}
    page.post(f"{root}/save", data=form | {"name": "mine"})
    html = page.get(f"{root}?template=mine").text
    assert 'value="orders-value:1"' in html
    assert "sandbox generate orders --schema orders-value:1 --key-schema orders-key --keys 3" in html
    form["value_schema"] = "nothing"
    refused = page.post(root, data=form)
    assert refused.status_code == 400
    assert "Subject &#39;nothing&#39; not found" in refused.text
    del form["value_schema"]
    assert "Name the schema of the value" in page.post(root, data=form).text


def test_a_topic_with_a_schema_of_its_own_starts_with_it(page: FlaskClient, orders: Sandbox) -> None:
    orders.create_topic("plain", partitions=1)
    chosen = r'<option value="schema" selected>'
    html = page.get("/topics/orders/produce").text
    assert len(re.findall(chosen, html)) == 1
    assert "✗" not in html
    assert re.search(chosen, page.get("/topics/plain/produce").text) is None
    assert re.search(chosen, page.get("/topics/orders/produce?value_kind=json").text) is None
