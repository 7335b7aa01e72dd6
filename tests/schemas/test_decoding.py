"""One decoder looks a schema up once and parses it once, however many events it decodes."""

from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.model.registry import SchemaRequest
from sandbox.registry.subjects import parse_subject
from sandbox.schemas.decoding import EventDecoder, FoundSchema, SchemaId, nowhere
from sandbox.schemas.framing import classic_frame
from sandbox.schemas.parsing import parse_schema
from sandbox.schemas.schema import InvalidValue, MissingLibrary, ParsedSchema


class Asked:
    """A registry with one schema, which counts what it is asked."""

    def __init__(self) -> None:
        self.found = 0
        self.parsed = 0

    def find(self, schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
        self.found += 1
        return FoundSchema(self._parse, "AVRO", f"{topic}-value", 1, 7) if schema == 7 else None

    def _parse(self) -> ParsedSchema:
        self.parsed += 1
        return parse_schema("AVRO", '"int"')


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_many_events_need_one_look_up(asked: Asked) -> None:
    decoder = EventDecoder(asked.find)
    values = [decoder.readable("t", classic_frame(7) + bytes([2 * number])) for number in range(50)]
    assert values[:3] == [b"0", b"1", b"2"]
    assert (asked.found, asked.parsed) == (1, 1)


def test_an_unknown_id_is_looked_up_once(asked: Asked) -> None:
    decoder = EventDecoder(asked.find)
    for _ in range(3):
        decoded = decoder.decode("t", classic_frame(8) + b"x")
        assert decoded is not None
        assert decoded.problem == "schema id 8 is not registered here"
        assert decoded.text is None
    assert asked.found == 1
    EventDecoder(asked.find).decode("t", classic_frame(8) + b"x")
    assert asked.found == 2


def test_a_new_decoder_finds_a_schema_that_was_registered_meanwhile(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        data = classic_frame(1) + b"\x02"
        assert box.decoder().readable("t", data) == data
        box.schemas.register(parse_subject("t-value"), SchemaRequest('"int"'))
        assert box.decoder().readable("t", data) == b"1"


def test_a_schema_that_cannot_be_parsed_is_parsed_once() -> None:
    parsed: list[int] = []

    def parse() -> ParsedSchema:
        parsed.append(1)
        raise InvalidValue("it is broken")

    def find(schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
        return FoundSchema(parse, "AVRO", "t-value", 1, 7)

    decoder = EventDecoder(find)
    for _ in range(3):
        decoded = decoder.decode("t", classic_frame(7) + b"x")
        assert decoded is not None
        assert (decoded.problem or "").endswith("schema id 7: it is broken")
    assert len(parsed) == 1


def test_without_a_registry_the_id_is_named() -> None:
    decoded = EventDecoder(nowhere).decode("t", classic_frame(8) + b"x")
    assert decoded is not None
    assert (decoded.problem or "").startswith("schema id 8: no schema registry is connected: ")


def test_a_missing_library_is_a_problem_with_its_command() -> None:
    def parse() -> ParsedSchema:
        raise MissingLibrary("PROTOBUF schemas need the package 'protobuf': pip install 'kafka-sandbox[protobuf]'")

    def find(schema: SchemaId, topic: str, *, is_key: bool) -> FoundSchema | str | None:
        return FoundSchema(parse, "PROTOBUF", "t-value", 2, 7)

    decoded = EventDecoder(find).decode("t", classic_frame(7) + b"x")
    assert decoded is not None
    assert "pip install 'kafka-sandbox[protobuf]'" in (decoded.problem or "")


def test_other_bytes_stay_as_they_are(asked: Asked) -> None:
    decoder = EventDecoder(asked.find)
    for data in (None, b"", b"text", b'{"a":1}', b"\1\0\0\0\7x"):
        assert decoder.readable("t", data) == data
    assert asked.found == 0


def test_protobuf_events_without_message_indexes_are_of_the_first_message() -> None:
    schema = parse_schema("PROTOBUF", 'syntax = "proto3"; message User { int32 id = 1; string name = 2; }')
    decoder = EventDecoder(lambda schema_id, topic, is_key: FoundSchema(lambda: schema, "PROTOBUF", "t-value", 1, 5))
    user = {"id": 2, "name": "node"}
    framed = decoder.decode("t", classic_frame(5, (0,)) + schema.encode(user))
    bare = decoder.decode("t", classic_frame(5) + schema.encode(user))
    assert framed is not None
    assert bare is not None
    assert (framed.value, bare.value) == (user, user)
    broken = decoder.decode("t", classic_frame(5) + b"\x08\x02\xff")
    assert broken is not None
    assert "not readable" in str(broken.problem)
