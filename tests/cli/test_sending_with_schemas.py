"""`sandbox produce` and `sandbox generate` write events with schemas of the registry."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.schemas.parsing import parse_schema

if TYPE_CHECKING:
    from tests.cli.conftest import CommandLine

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}, "default": "NEW"},
    ],
}
PROTO = 'syntax = "proto3"; message Pay { int32 n = 1; } message Refund { string why = 1; }'


@pytest.fixture
def schemas(command_line: "CommandLine") -> "CommandLine":
    (command_line.folder / "order.avsc").write_text(json.dumps(ORDER))
    (command_line.folder / "pay.proto").write_text(PROTO)
    (command_line.folder / "id.avsc").write_text('"string"')
    return command_line


def test_produce_registers_a_file_and_frames_values(schemas: "CommandLine") -> None:
    values = b'{"id": 9007199254740993, "price": 12.5}\n{"id": 2, "price": -1, "state": "PAID"}\n'
    options = ("--value-schema", "order.avsc", "--key-schema", "id.avsc", "--key", "user-42")
    assert schemas.ok("produce", "orders", *options, stdin=values).out.startswith("2 events stored")
    second = schemas.ok("produce", "orders", "--value-schema", "orders-value:1", "--value", '{"id": 3, "price": 0.01}')
    assert second.out.startswith("partition ")
    with Sandbox(schemas.folder / "dev.db") as sandbox:
        events = sandbox.read("orders", decode=True)
        assert {(event.key, event.value) for event in events} == {
            (b'"user-42"', b'{"id":9007199254740993,"price":12.50,"state":"NEW"}'),
            (b'"user-42"', b'{"id":2,"price":-1.00,"state":"PAID"}'),
            (None, b'{"id":3,"price":0.01,"state":"NEW"}'),
        }
        raw = {event.key for event in sandbox.read("orders")}
        assert raw == {b"\0\0\0\0\x02\x0euser-42", None}
        with sandbox.schemas.rows() as rows:
            assert sorted(str(row.subject) for row in rows.all_versions()) == ["orders-key", "orders-value"]


def test_the_schema_of_a_file_is_used_although_the_subject_has_a_later_version(schemas: "CommandLine") -> None:
    later = {**ORDER, "fields": [*ORDER["fields"], {"name": "note", "type": "string", "default": "none"}]}
    (schemas.folder / "later.avsc").write_text(json.dumps(later))
    for file in ("order.avsc", "later.avsc", "order.avsc"):
        schemas.ok("produce", "orders", "--value-schema", file, "--value", '{"id": 1, "price": 2}')
    with Sandbox(schemas.folder / "dev.db") as sandbox:
        ids = [event.value[:5] for event in sandbox.read("orders") if event.value is not None]
    assert sorted(ids) == [b"\0\0\0\0\x01", b"\0\0\0\0\x01", b"\0\0\0\0\x02"]


@pytest.mark.parametrize("value", ["1e999999999", "1e400"])
def test_a_number_beyond_all_bounds_does_not_fit(schemas: "CommandLine", value: str) -> None:
    refused = schemas.run("produce", "pays", "--value-schema", "pay.proto", "--value", f'{{"n": {value}}}')
    assert refused.status != 0
    assert "does not fit" in refused.err
    assert "Traceback" not in refused.err


def test_a_value_that_does_not_fit_is_named_with_its_line_and_path(schemas: "CommandLine") -> None:
    lines = b'{"id": 1, "price": 1}\n{"id": 1, "price": 1.234}\n{"id": 3, "price": 1}\n'
    refused = schemas.run("produce", "orders", "--value-schema", "order.avsc", stdin=lines)
    assert refused.status == 1
    assert "line 2: the value does not fit AVRO, orders-value version 1: $.price: 1.234 has more than 2" in refused.err
    assert "1 event stored" in refused.err
    refused = schemas.run("produce", "orders", "--value-schema", "orders-value:9", "--value", "{}")
    assert refused.status == 1
    assert "Version 9 not found" in refused.err
    refused = schemas.run("produce", "orders", "--value-schema", "missing.avsc", "--value", "{}")
    assert "missing.avsc cannot be read" in refused.err
    refused = schemas.run("produce", "t", "--value-schema", "x", "--value", "1", "--bootstrap", "127.0.0.1:1")
    assert "--schema-registry URL" in refused.err


def test_a_protobuf_message_is_named_and_a_running_sandbox_has_the_registry(schemas: "CommandLine") -> None:
    _, said = schemas.up()
    where = ("--bootstrap", said["kafka"], "--schema-registry", said["registry"])
    schemas.ok("produce", "pay", "--value-schema", "pay.proto#Refund", "--value", '{"why": "late"}', *where)
    schemas.ok("generate", "pay", "--schema", "pay-value#Pay", "--count", 5, "--rate", 0, "--seed", 1, *where)
    shown = schemas.ok("consume", "pay", "--file", said["file"]).out
    assert '{"why":"late"}' in shown
    assert shown.count('{"n":') == 5


def test_generated_events_are_valid_and_the_same_for_a_seed(schemas: "CommandLine") -> None:
    options = ("--schema", "order.avsc", "--key-schema", "id.avsc", "--keys", 3, "--seed", 4, "--rate", 0)
    shown = schemas.ok("generate", "orders", *options, "--count", 40, "--dry-run").rows
    assert not (schemas.folder / "dev.db").exists()
    schemas.ok("generate", "orders", *options, "--count", 40)
    with Sandbox(schemas.folder / "dev.db") as sandbox:
        events = sandbox.read("orders", decode=True)
        assert sorted((event.value or b"").decode() for event in events) == sorted(row["value"] for row in shown)
        assert len({event.key for event in events}) <= 3
    order = parse_schema("AVRO", json.dumps(ORDER))
    for row in shown:
        order.encode(json.loads(row["value"], parse_float=Decimal))


def test_a_template_is_written_with_a_schema(schemas: "CommandLine") -> None:
    template = {"key": "user-{{pool}}", "value": '{"id": {{seq}}, "price": 1.5}', "value_schema": "orders-value"}
    (schemas.folder / "mine.json").write_text(json.dumps(template))
    options = ("--template", "mine.json", "--rate", 0, "--count", 3)
    refused = schemas.run("generate", "orders", *options)
    assert "Subject 'orders-value' not found" in refused.err
    schemas.ok("generate", "orders", *options, "--schema", "order.avsc")
    schemas.ok("generate", "orders", *options)
    refused = schemas.run("generate", "orders", "--schema", "orders-value", "--value", '{"id": "x"}', "--count", 3)
    assert "value: it does not fit AVRO, orders-value version 1: $.id: expected an integer (long)" in refused.err
    with Sandbox(schemas.folder / "dev.db") as sandbox:
        values = sorted((event.value or b"") for event in sandbox.read("orders", decode=True))
        assert values[:2] == [b'{"id":1,"price":1.50,"state":"NEW"}'] * 2
        assert len(values) == 6
