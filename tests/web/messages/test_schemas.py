"""Events that a registry's serializers wrote are decoded on every page, in columns and filters."""

import json
import re
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.model.registry import SchemaRequest, Subject
from sandbox.schemas.framing import classic_frame, header_content
from sandbox.schemas.parsing import parse_schema

AVRO = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
    ],
}
PROTO = 'syntax = "proto3"; message Other {} message Order { int64 id = 1; string name = 2; }'


def register(box: Sandbox, subject: str, schema_type: str, text: str) -> int:
    request = SchemaRequest(text=text, schema_type=schema_type)
    return box.schemas.register(Subject(".", subject), request).schema_id


def avro(value: Any) -> bytes:
    return parse_schema("AVRO", json.dumps(AVRO)).encode(value)


def protobuf(value: Any) -> bytes:
    return parse_schema("PROTOBUF", PROTO).encode(value, (1,))


@pytest.fixture
def orders(box: Sandbox) -> Sandbox:
    box.create_topic("orders", partitions=1)
    schema_id = register(box, "orders-value", "AVRO", json.dumps(AVRO))
    key_id = register(box, "orders-key", "AVRO", '"string"')
    for number in range(3):
        value = avro({"id": number, "name": f"n{number}", "price": number / 4})
        key = classic_frame(key_id) + parse_schema("AVRO", '"string"').encode(f"k{number}")
        box.append("orders", classic_frame(schema_id) + value, key=key)
    return box


def test_the_list_shows_decoded_values_keys_and_fields_as_columns(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/topics/orders/messages?col=$.price").text
    assert "&#34;name&#34;:&#34;n2&#34;" in html
    assert "&#34;k2&#34;" in html
    assert 'title="AVRO, orders-value version 1, schema id 1"' in html
    assert re.search(r'<td class="jfield num"><button class="only" [^>]*><bdi>0\.50</bdi>', html)


def test_filters_compare_decoded_fields(page: FlaskClient, orders: Sandbox) -> None:
    found = page.get("/topics/orders/messages.json", query_string={"where": "$.id >= 1", "col": "$.price"}).get_json()
    assert [event["columns"] for event in found["events"]] == [{"$.price": "0.50"}, {"$.price": "0.25"}]
    volume = page.get("/topics/orders/messages/volume.json", query_string={"where": "$.price = 0.25"}).get_json()
    assert volume["matched"] == 1


def test_an_event_shows_its_value_and_its_schema(page: FlaskClient, orders: Sandbox) -> None:
    html = page.get("/topics/orders/0/1").text
    assert "AVRO, orders-value version 1, schema id 1" in html
    assert "AVRO, orders-key version 1, schema id 2" in html
    assert "0.25" in html
    assert "00000000  00 00 00 00 01" in page.get("/topics/orders/0/1?view=hex").text
    decoded = page.get("/topics/orders/0/1.json").get_json()["decoded"]
    assert decoded["value"] == {
        "format": "AVRO", "schema": 1, "schema_type": "AVRO", "subject": "orders-value", "version": 1, "problem": None,
        "json": '{"id":1,"name":"n1","price":0.25}',
    }  # fmt: skip
    assert decoded["key"]["json"] == '"k1"'


def test_an_id_that_is_not_registered_is_named_beside_hex(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", b"\0\0\0\0\7abc")
    html = page.get("/topics/t/0/0").text
    assert "schema id 7 is not registered here" in html
    assert "00000000  00 00 00 00 07 61 62 63" in html
    assert "00 00 00 00 07 61 62 63" in page.get("/topics/t/messages").text
    # Once it is registered, the page that is open shows it.
    for number in range(7):
        register(box, f"s{number}", "AVRO", json.dumps({"type": "fixed", "name": f"F{number}", "size": 3}))
    assert "&#34;abc&#34;" in page.get("/topics/t/messages").text


def test_bytes_that_do_not_fit_their_schema_are_shown_in_hex_with_the_reason(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    schema_id = register(box, "t-value", "AVRO", json.dumps(AVRO))
    box.append("t", classic_frame(schema_id) + b"\x02")
    html = page.get("/topics/t/0/0").text
    assert "not readable with AVRO, t-value version 1, schema id 1: the 1 bytes end in the middle" in html


def test_protobuf_and_json_are_decoded_with_a_frame_and_with_headers(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    proto_id = register(box, "t-value", "PROTOBUF", PROTO)
    json_id = register(box, "other", "JSON", "{}")
    guid = box.schemas.register(Subject(".", "t-value"), SchemaRequest(text=PROTO, schema_type="PROTOBUF")).guid
    box.append("t", classic_frame(proto_id, (1,)) + protobuf({"id": 5, "name": "a"}))
    box.append("t", classic_frame(json_id) + b'{"id":6}')
    header = header_content(uuid.UUID(guid), (1,))
    box.append("t", protobuf({"id": 7, "name": "b"}), headers={"__value_schema_id": header})
    found = page.get("/topics/t/messages.json?order=offset").get_json()["events"]
    assert [event["decoded"]["value"]["json"] for event in found] == [
        '{"id":5,"name":"a"}', '{"id":6}', '{"id":7,"name":"b"}',
    ]  # fmt: skip
    assert page.get("/topics/t/messages.json?where=$.id >= 6").get_json()["events"][0]["offset"] == 2


def test_a_subject_of_the_topic_is_preferred(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    register(box, "a", "AVRO", '"int"')
    schema_id = register(box, "t-value", "AVRO", '"int"')
    box.append("t", classic_frame(schema_id) + b"\x02")
    assert "AVRO, t-value version 1" in page.get("/topics/t/0/0").text


def test_plain_events_have_no_trace_of_schemas(page: FlaskClient, box: Sandbox) -> None:
    box.create_topic("t", partitions=1)
    box.append("t", b'{"id":1}', key="k")
    assert "decoded" not in page.get("/topics/t/0/0.json").get_json()
    assert "<dt>Schema</dt>" not in page.get("/topics/t/0/0").text
