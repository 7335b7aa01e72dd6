"""Topics' views have what keys and values hold: of Avro, JSON Schema, Protobuf, and of formats without a registry."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgpack
import pytest

from sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.registry import PROTOBUF, SchemaRequest
from sandbox.registry.decoding import file_decoder
from sandbox.registry.subjects import parse_subject
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.parsing import parse_schema
from sandbox.storage.sql.sql import run_query

ORDER = (
    '{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": "string"},'
    ' {"name": "customer", "type": {"type": "record", "name": "C", "fields": [{"name": "id", "type": "int"}]}}]}'
)
KEY = (
    '{"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"},'
    ' {"name": "region", "type": "string"}]}'
)
SHOP = 'syntax = "proto3"; package shop; message Item { string sku = 1; int64 count = 2; }'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as box:
        yield box


def register(box: Sandbox, subject: str, schema_type: str, text: str) -> int:
    return box.schemas.register(parse_subject(subject), SchemaRequest(text, schema_type)).schema_id


def fill(box: Sandbox, events: int = 5) -> None:
    """Write orders in Avro, with keys in Avro."""
    key_id, value_id = register(box, "orders-key", "AVRO", KEY), register(box, "orders-value", "AVRO", ORDER)
    key, value = parse_schema("AVRO", KEY), parse_schema("AVRO", ORDER)
    for number in range(events):
        box.append(
            "orders",
            classic_frame(value_id)
            + value.encode({"id": number, "note": f"n{number}", "customer": {"id": 70 + number}}),
            key=classic_frame(key_id) + key.encode({"id": number, "region": "eu" if number % 2 else "us"}),
        )


def test_the_fields_of_avro_keys_and_values_are_columns(box: Sandbox) -> None:
    fill(box)
    found = box.sql("SELECT * FROM orders ORDER BY offset LIMIT 1")
    assert found.columns[-5:] == ("id", "note", "customer", "key.id", "key.region")
    assert found.rows[0][-5:] == (0, "n0", '{"id":70}', 0, "us")
    query = (
        "SELECT note FROM orders WHERE id >= 2 AND \"key.region\" = 'eu' AND json_value(value, '$.customer.id') > 71"
    )
    assert box.sql(query).rows == (("n3",),)
    query = 'SELECT "key.region", count(*), sum(id) FROM orders GROUP BY 1 ORDER BY 1'
    assert box.sql(query).rows == (("eu", 2, 4), ("us", 3, 6))


def test_the_whole_key_and_value_are_json_and_the_stored_bytes_have_columns_of_their_own(box: Sandbox) -> None:
    fill(box, 1)
    ((value, key, stored),) = box.sql("SELECT value, key, value_bytes FROM orders").rows
    assert (value, key) == ('{"id":0,"note":"n0","customer":{"id":70}}', '{"id":0,"region":"us"}')
    assert isinstance(stored, bytes)
    assert stored[:1] == b"\0"
    assert "value_bytes" not in box.sql("SELECT * FROM orders").columns


def test_views_that_other_programs_open_have_the_stored_bytes(box: Sandbox, tmp_path: Path) -> None:
    fill(box, 1)
    with closing(sqlite3.connect(tmp_path / "dev.db")) as other:
        ((value,),) = other.execute("SELECT value FROM messages").fetchall()
        assert value.startswith("x'0000000002")


def test_protobuf_and_json_schema_are_decoded_too(box: Sandbox) -> None:
    item_id = register(box, "items-value", PROTOBUF, SHOP)
    parsed = parse_schema(PROTOBUF, SHOP)
    box.append("items", classic_frame(item_id, (0,)) + parsed.encode({"sku": "a", "count": 2**60}))
    assert box.sql("SELECT sku, count FROM items").rows == (("a", 2**60),)
    json_id = register(box, "users-value", "JSON", '{"type": "object"}')
    box.append("users", classic_frame(json_id) + b'{"name": "ada", "age": 36}')
    box.append("users", '{"name": "bob", "age": 40}')
    assert box.sql("SELECT name FROM users WHERE age > 30 ORDER BY offset").rows == (("ada",), ("bob",))


def test_a_field_that_only_old_events_have_is_found(box: Sandbox) -> None:
    fill(box, 1)
    box.append_many("orders", [NewEvent(b'{"n": %d}' % number) for number in range(200)])
    assert box.sql("SELECT note FROM orders WHERE note IS NOT NULL").rows == (("n0",),)
    assert box.sql('SELECT "key.region" FROM orders WHERE "key.region" IS NOT NULL').rows == (("us",),)


def test_bytes_that_cannot_be_decoded_stay_as_they_are(box: Sandbox) -> None:
    box.append("raw", classic_frame(77) + b"x")
    box.append("raw", b"\xff\xfe")
    assert [row[0] for row in box.sql("SELECT value FROM raw ORDER BY offset").rows] == [
        (classic_frame(77) + b"x").decode(),
        b"\xff\xfe",
    ]


def test_messagepack_is_decoded_without_a_schema(box: Sandbox) -> None:
    box.append("packed", msgpack.packb({"id": 7, "name": "x"}))
    assert box.sql("SELECT id, name FROM packed").rows == ((7, "x"),)


def test_the_file_of_another_process_is_decoded(box: Sandbox, tmp_path: Path) -> None:
    fill(box)
    path = tmp_path / "dev.db"
    assert run_query(path, "SELECT max(id) FROM orders", decoder=file_decoder(path)).rows == ((4,),)
    box.close()
    assert run_query(path, "SELECT max(id) FROM orders", decoder=file_decoder(path)).rows == ((4,),)


def test_the_list_of_columns_has_the_decoded_fields(box: Sandbox) -> None:
    fill(box)
    (table,) = [one for one in box.queries.tables() if one.topic == "orders"]
    names = [column.name for column in table.columns or ()]
    assert names[-7:] == ["id", "note", "customer", "key.id", "key.region", "key_bytes", "value_bytes"]


def test_a_frame_with_a_lying_length_ends_within_the_time_of_the_query(box: Sandbox) -> None:
    value_id = register(box, "bad-value", "AVRO", '{"type": "array", "items": "null"}')
    for _ in range(20):
        box.append("bad", classic_frame(value_id) + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x00")
    assert len(box.sql("SELECT value FROM bad").rows) == 20
