"""Every version of every message against kio, which is generated from Kafka's own definitions."""

import dataclasses
import datetime
import importlib.util
import io
import json
import struct
import typing
import uuid
from pathlib import Path
from pkgutil import resolve_name
from types import NoneType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from sandbox.wire.messages import messages
from sandbox.wire.messages.schemas import schemas
from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch
from tests.wire.messages.schemas_from_kafka import SCHEMAS, text

# kio gives these fields another name than Kafka 4.4: by the class, kio's name and Kafka's.
RENAMED = {
    ("TxnOffsetCommitRequest", "generation_id"): "generation_id_or_member_epoch",
    ("StreamsGroupHeartbeatResponse", "acceptable_recovery_lag"): "acceptable_recovery_lag_legacy",
}
# kio drops the unit from the name if it gives a field a type that has its own; Kafka's name ends in Ms.
IN_MILLISECONDS = frozenset({"timedelta_i32", "timedelta_i64", "datetime_i64"})

DIRECTIONS = {"request": EntityType.request, "response": EntityType.response}

EVERY_VERSION = [
    pytest.param(key, version, direction, id=f"{messages.api_name(key)}-{direction}-v{version}")
    for key, (first, last) in messages.api_versions_known().items()
    for version in range(first, last + 1)
    for direction in DIRECTIONS
    if key in api_key_map and version in schema_name_map[api_key_map[key]]
]

UTC = datetime.UTC
INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{kind: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for kind, bits in INTEGERS.items()},
    "uint16": st.integers(0, 2**16 - 1),
    "bool": st.booleans(),
    "float64": st.floats(allow_nan=False),
    "string": st.one_of(st.text(max_size=20), st.just("x" * 200)),
    "bytes": st.one_of(st.binary(max_size=20), st.just(b"x" * 20_000)),
    "records": st.binary(max_size=300),
    "uuid": st.one_of(st.none(), st.uuids(version=4)),
    "error_code": st.sampled_from(ErrorCode),
    "timedelta_i32": st.integers(0, 2**31 - 1).map(lambda ms: datetime.timedelta(milliseconds=ms)),
    "timedelta_i64": st.integers(0, 2**40).map(lambda ms: datetime.timedelta(milliseconds=ms)),
    "datetime_i64": st.integers(0, 2**41).map(lambda ms: datetime.datetime.fromtimestamp(ms / 1000, UTC)),
}


def kafka_name(cls: type, field: dataclasses.Field[Any]) -> str:
    """The name of a field of a kio class in Kafka's definition, in snake_case."""
    in_ms = field.metadata.get("kafka_type") in IN_MILLISECONDS
    return RENAMED.get((cls.__name__, field.name), f"{field.name}_ms" if in_ms else field.name)


def shape(annotation: Any) -> tuple[Any, bool, bool]:
    """What a kio annotation says: the type of the value or of the array's elements, is it an array, may it be null."""
    nullable = False
    if NoneType in typing.get_args(annotation):
        nullable = True
        (annotation,) = (argument for argument in typing.get_args(annotation) if argument is not NoneType)
    if typing.get_origin(annotation) is not tuple:
        return annotation, False, nullable
    element = typing.get_args(annotation)[0]
    if NoneType in typing.get_args(element):  # uuid.UUID | None, where null is the zero UUID
        (element,) = (argument for argument in typing.get_args(element) if argument is not NoneType)
    return element, True, nullable


def field_strategy(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Values of one field of a kio class."""
    element, is_array, nullable = shape(field.type)
    values = instances(element) if dataclasses.is_dataclass(element) else VALUES[field.metadata["kafka_type"]]
    if is_array:
        values = st.lists(values, max_size=3).map(tuple)
    if field.default is not dataclasses.MISSING:
        values = st.one_of(st.just(field.default), values)
    return st.one_of(st.none(), values) if nullable else values


def instances(cls: Any) -> st.SearchStrategy[Any]:
    """Instances of one kio class."""
    return st.builds(cls, **{field.name: field_strategy(field) for field in dataclasses.fields(cls)})


def plain(value: Any, kafka_type: str | None = None) -> Any:
    """A kio value as :mod:`sandbox.wire.messages.messages` has it."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {
            kafka_name(type(value), field): plain(getattr(value, field.name), field.metadata.get("kafka_type"))
            for field in fields
        }
    if isinstance(value, tuple):
        return [plain(element, kafka_type) for element in value]
    if kafka_type == "uuid":
        return value or uuid.UUID(int=0)
    if kafka_type == "datetime_i64":
        return -1 if value is None else round(value.timestamp() * 1000)
    if isinstance(value, datetime.timedelta):
        return round(value / datetime.timedelta(milliseconds=1))
    if isinstance(value, ErrorCode):
        return int(value)
    return value


def mapping(value: Any) -> Any:
    """A decoded message as mappings and lists."""
    if isinstance(value, SimpleNamespace):
        return {name: mapping(field) for name, field in vars(value).items()}
    if isinstance(value, list):
        return [mapping(element) for element in value]
    return value


def only(wanted: Any, decoded: Any) -> Any:
    """The part of a decoded message that has the fields of ``wanted``, its version's."""
    if isinstance(wanted, dict) and decoded is not None:
        return {name: only(value, decoded[name]) for name, value in wanted.items()}
    if isinstance(wanted, list) and decoded is not None:
        assert len(wanted) == len(decoded)
        return [only(one, other) for one, other in zip(wanted, decoded, strict=True)]
    return decoded


def kio_bytes(instance: Any) -> bytes:
    written = io.BytesIO()
    entity_writer(type(instance))(written, instance)
    return written.getvalue()


def names(fields: list[dict[str, Any]]) -> dict[str, Any]:
    """The names of all versions, nested as the message is."""
    return {field["name"]: names(field["fields"]) if "fields" in field else None for field in fields}


def lacking(expected: dict[str, Any], decoded: Any) -> list[str]:
    """The names that a decoded message should have and does not."""
    missing = [name for name in expected if name not in decoded]
    for name in expected.keys() & decoded.keys():
        inner = decoded[name] if isinstance(decoded[name], list) else [decoded[name]]
        if expected[name] is not None:
            missing += [path for one in inner if one is not None for path in lacking(expected[name], one)]
    return missing


@pytest.mark.apache_kafka
def test_the_schemas_are_those_of_apache_kafka() -> None:
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    assert SCHEMAS.read_text(encoding="utf-8") == text()


def test_kio_has_nearly_every_version() -> None:
    ours = [
        (key, version)
        for key, (first, last) in messages.api_versions_known().items()
        for version in range(first, last + 1)
    ]
    beyond = {
        messages.api_name(key)
        for key, version in ours
        if version not in schema_name_map.get(api_key_map.get(key, ""), ())
    }
    assert beyond == {
        "ApiVersions",
        "DeleteGroups",
        "StreamsGroupDescribe",
        "StreamsGroupHeartbeat",
        "StreamsGroupTopologyDescriptionUpdate",
        "TxnOffsetCommit",
        "UnregisterController",
    }


@pytest.mark.parametrize(("key", "version", "direction"), EVERY_VERSION)
def test_every_version_reads_and_writes_the_bytes_of_kio(key: int, version: int, direction: str) -> None:
    cls = resolve_name(schema_name_map[api_key_map[key]][version][typing.cast(Any, DIRECTIONS[direction])])
    decode = messages.decode_request if direction == "request" else messages.decode_response
    encode = messages.encode_request if direction == "request" else messages.encode_response
    all_names = names(schemas()[str(key)][direction]["fields"])

    @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(instances(cls))
    def round_trip(instance: Any) -> None:
        theirs, wanted = kio_bytes(instance), plain(instance)
        decoded, end = decode(key, version, theirs)
        as_mapping = mapping(decoded)
        assert end == len(theirs)
        assert only(wanted, as_mapping) == wanted
        assert lacking(all_names, as_mapping) == []
        assert encode(key, version, wanted) == theirs
        assert encode(key, version, as_mapping) == theirs
        assert entity_reader(cls)(encode(key, version, wanted), 0)[0] == instance

    round_trip()


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("name", ["subscription", "assignment"])
def test_the_consumer_protocol_reads_and_writes_the_bytes_of_kio(name: str, version: int) -> None:
    cls = resolve_name(schema_name_map[f"consumer_protocol_{name}"][version][EntityType.data])
    decode, encode = getattr(messages, f"decode_{name}"), getattr(messages, f"encode_{name}")

    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    @given(instances(cls))
    def round_trip(instance: Any) -> None:
        theirs = struct.pack(">h", version) + kio_bytes(instance)
        decoded = decode(theirs)
        assert decoded.version == version
        assert only(plain(instance), mapping(decoded)) == plain(instance)
        assert encode(version, plain(instance)) == theirs

    round_trip()


# The names of Kafka's definitions, which kafka-python carries with it, for the APIs that both have.
def kafka_names() -> dict[tuple[int, str], set[str]]:
    package = importlib.util.find_spec("kafka")  # not imported: only its data is wanted
    assert package is not None
    assert package.origin is not None
    found = {}
    for path in (Path(package.origin).parent / "protocol" / "schemas" / "resources").glob("*.json"):
        lines = [line.split(" //")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        definition = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
        if "apiKey" in definition:
            found[definition["apiKey"], definition["type"]] = spelled(definition)
    return found


def spelled(definition: dict[str, Any]) -> set[str]:
    """The names of all fields, without capitals."""
    fields = definition.get("fields", []) + definition.get("commonStructs", [])
    structs = {struct["name"].lower() for struct in definition.get("commonStructs", [])}
    found = {field["name"].lower() for field in fields} - structs
    return found.union(*(spelled(field) for field in fields))


NEWER_NAMES = {"clusterid", "nodeid", "topicid", "errormessage", "generationidormemberepoch"}
"""Fields that Kafka 4.4 added to messages, or renamed in them."""


def our_names(fields: list[dict[str, Any]]) -> set[str]:
    found = {field["name"].replace("_", "") for field in fields}
    return found.union(*(our_names(field.get("fields", [])) for field in fields))


def test_fields_have_the_names_of_kafkas_definitions() -> None:
    checked = 0
    for (key, direction), spelling in kafka_names().items():
        if str(key) in schemas():
            assert our_names(schemas()[str(key)][direction]["fields"]) - NEWER_NAMES <= spelling
            checked += 1
    assert checked > 80


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_headers_have_the_versions_that_kio_gives(direction: str) -> None:
    client_id_is_null = struct.pack(">h", -1)
    for key, (first, last) in messages.api_versions_known().items():
        for version in range(first, last + 1):
            if version not in schema_name_map.get(api_key_map.get(key, ""), ()):
                continue
            cls = resolve_name(schema_name_map[api_key_map[key]][version][typing.cast(Any, DIRECTIONS[direction])])
            if direction == "request":
                head = struct.pack(">hhi", key, version, 1) + client_id_is_null
                flexible = messages.decode_header(head + b"\0").body_offset > len(head)
                assert cls.__header_schema__.__version__ == (2 if flexible else 1)
            else:
                assert cls.__header_schema__.__version__ == len(messages.response_header(key, version, 1)) - 4
