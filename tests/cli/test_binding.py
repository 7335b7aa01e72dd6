"""`sandbox schemas bind` and `diff`, and decoded exports: on a file that is not in use, and on one that is."""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sandbox import Sandbox
from sandbox.cli.main import main
from sandbox.model.deserializers import Deserializer
from sandbox.model.registry import AVRO, PROTOBUF, SchemaRequest, Subject
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidSchema

PRICE = 'syntax = "proto3"; package money; message Price { int64 cents = 1; }'
ITEM = (
    'syntax = "proto3"; package shop; import "money/price.proto"; import "google/protobuf/timestamp.proto";\n'
    "message Other {} message Item { string sku = 1; money.Price price = 2; google.protobuf.Timestamp at = 3; }"
)
AMOUNT = (
    '{"type": "record", "name": "n.Order", "fields": [{"name": "cents", "type": "long"},'
    ' {"name": "by", "type": "n.By"}]}'
)
BY = '{"type": "enum", "name": "n.By", "symbols": ["CARD", "CASH"]}'


@pytest.fixture(params=["at rest", "running"])
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file with events in Protobuf and Avro without a frame, and a folder of schemas."""
    monkeypatch.chdir(tmp_path)
    Path("protos/money").mkdir(parents=True)
    for name, text in (
        ("item.proto", ITEM),
        ("protos/money/price.proto", PRICE),
        ("order.avsc", AMOUNT),
        ("by.avsc", BY),
    ):
        Path(name).write_text(text)
    with Sandbox("dev.db") as box:
        box.append("items", b"\x0a\x01a\x12\x02\x08\x05", key=b"\x02")
        box.append("orders", b"\x0a\x02")
        if request.param == "running":
            box.serve(kafka_port=0, web_port=0)
            yield tmp_path / "dev.db"
            return
    yield tmp_path / "dev.db"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def ok(*arguments: str) -> str:
    found = run(*arguments)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_proto_with_its_imports_is_bound_and_consumed(file: Path) -> None:
    bind = ("schemas", "bind", "items", "item.proto", "--message", "shop.Item")
    refused = run(*bind)
    assert refused.exit_code == 2
    assert "money/price.proto" in refused.stderr
    assert ok(*bind, "-I", "protos") == "The values of items are decoded as PROTOBUF.\n"
    assert '{"sku":"a","price":{"cents":5}}' in ok("consume", "items")
    assert "PROTOBUF" in ok("schemas", "bind", "items")
    assert json.loads(ok("sql", "SELECT sku, price FROM items", "--json")) == {"sku": "a", "price": '{"cents":5}'}


def test_a_choice_is_removed(file: Path) -> None:
    ok("schemas", "bind", "items", "--format", "CBOR")
    assert ok("schemas", "bind", "items", "--remove") == "The values of items are decoded automatically.\n"
    assert ok("schemas", "bind", "items", "--json") == ""


def test_keys_and_formats_without_a_schema_are_bound(file: Path) -> None:
    Path("number.avsc").write_text('"int"')
    ok("schemas", "bind", "items", "number.avsc", "--key")
    ok("schemas", "bind", "items", "--format", "bytes")
    found = json.loads(ok("consume", "items", "--json", "--decode"))
    assert found["decoded"] == {"key": 1}
    assert found["key"] == "\x02"


def test_avro_types_in_other_files_are_found(file: Path) -> None:
    assert run("schemas", "bind", "orders", "order.avsc").exit_code == 2
    ok("schemas", "bind", "orders", "order.avsc", "--with", "by.avsc")
    assert '{"cents":5,"by":"CASH"}' in ok("consume", "orders")


def test_an_export_has_decoded_values_and_is_imported_byte_for_byte(file: Path) -> None:
    ok("schemas", "bind", "orders", "order.avsc", "--with", "by.avsc")
    ok("export", "orders", "-o", "plain.jsonl")
    ok("export", "orders", "-o", "decoded.jsonl", "--decode")
    (plain, decoded) = (json.loads(Path(name).read_text()) for name in ("plain.jsonl", "decoded.jsonl"))
    assert decoded.pop("decoded") == {"value": {"cents": 5, "by": "CASH"}}
    assert plain == decoded
    ok("import", "decoded.jsonl", "--topic", "copy")
    assert [json.loads(ok("consume", name, "--json"))["value"] for name in ("orders", "copy")] == ["\n\x02"] * 2


def test_a_decimal_keeps_its_digits_in_an_export(file: Path) -> None:
    schema = '{"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 10}'
    Path("decimal.avsc").write_text(schema)
    exact = Decimal("12345678901234567890.0123456789")
    data = base64.b64encode(parse_schema(AVRO, schema).encode(exact)).decode()
    Path("events.jsonl").write_text(json.dumps({"value": {"base64": data}}))
    ok("schemas", "bind", "orders", "decimal.avsc")
    ok("import", "events.jsonl", "--topic", "orders")
    assert f'"decoded": {{"value": {exact}}}' in ok("export", "orders", "--decode")


def test_a_choice_that_cannot_be_made_is_refused_with_the_cause(file: Path) -> None:
    for arguments, said in (
        (("orders", "no.avsc"), "no.avsc cannot be read"),
        (("nothing", "--format", "TEXT"), "nothing"),
        (("orders", "--format", "AVRO"), "needs a schema"),
        (("items", "item.proto", "-I", "protos", "--message", "Itme"), "no message 'Itme'; it has Other, Item"),
    ):
        found = run("schemas", "bind", *arguments)
        assert found.exit_code != 0
        assert said in found.stderr, found.stderr


def test_the_choice_is_in_snapshots_and_in_python(tmp_path: Path) -> None:
    (tmp_path / "item.proto").write_text(
        ITEM.replace('import "money/price.proto";', "").replace("money.Price", "int64")
    )
    with Sandbox(tmp_path / "dev.db") as box:
        box.append("items", b"\x0a\x01a")
        chosen = box.deserializers.bind("items", tmp_path / "item.proto", message="Item")
        assert (chosen.format, chosen.message) == (PROTOBUF, "Item")
        assert box.read("items", decode=True)[0].value == b'{"sku":"a","price":0}'
        box.snapshots.take("before")
        box.deserializers.set("items", "value", Deserializer(AVRO, '"long"'))
        box.snapshots.restore("before")
        assert box.deserializers.of("items") == {"value": chosen}
        assert box.deserializers.list() == {"items": {"value": chosen}}
        assert box.check().findings == []
        with pytest.raises(InvalidSchema, match="no message"):
            box.deserializers.bind("items", tmp_path / "item.proto", message="Nope")
        with pytest.raises(ValueError, match="part"):
            box.deserializers.set("items", "header", None)


def test_a_dead_letter_topic_is_decoded_as_its_topic(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.deserializers.set("orders", "value", Deserializer(AVRO, '"long"'))
        box.append("orders.dlq", b"\x0e")
        assert box.read("orders.dlq", decode=True)[0].value == b"7"


def test_two_versions_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox("dev.db") as box:
        for text in (BY, BY.replace('"symbols"', '"doc": "a way", "symbols"')):
            box.schemas.register(Subject(".", "names-value"), SchemaRequest(text), force=True)
    shown = ok("schemas", "diff", "names-value")
    assert shown.startswith("--- names-value version 1 (id 1)\n+++ names-value version 2 (id 2)\n")
    assert '+  "doc": "a way"' in shown
    assert json.loads(ok("schemas", "diff", "names-value", "--from", "2", "--to", "1", "--json"))["to"] == 1
    assert "no version before" in run("schemas", "diff", "names-value", "--to", "1").stderr


def test_all_commands_for_schemas_exist() -> None:
    shown = ok("schemas", "--help")
    for name in ("list", "describe", "register", "check", "diff", "delete", "export", "import", "bind"):
        assert f"\n  {name} " in shown, name
