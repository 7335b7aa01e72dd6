"""Clients of four languages use one schema registry, and each reads what the others wrote."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
    record_subject_name_strategy,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from sandbox import Sandbox
from tests.clients.catalogue import ClientUnavailableError, environment, go, java_registry, node, python
from tests.clients.programs.registry_program import AVRO, JSON, VALUE, message_class

pytestmark = pytest.mark.clients

FORMATS = ("AVRO", "JSON", "PROTOBUF")
ANSWER_S = 120
PROGRAMS: dict[str, tuple[Callable[[], list[str]], int]] = {
    "python": (python("registry_program"), 1),
    "node": (node("matrix.mjs", "node_registry"), 2),
    "go": (go("franz_matrix"), 3),
    "java": (java_registry, 4),
}
"""Each language's program, and the id that it writes into its events."""
WITHOUT_INDEXES = "node"
"""@kafkajs/confluent-schema-registry 3 neither writes nor reads the message indexes of Protobuf events."""


def is_common(reader: str, writer: str, schema_type: str) -> bool:
    """Return whether both have the same framing of a format."""
    return schema_type != "PROTOBUF" or (reader == WITHOUT_INDEXES) == (writer == WITHOUT_INDEXES)


def started(command: list[str], url: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, url], env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_each_language_reads_what_the_others_wrote(tmp_path: Path) -> None:
    commands, missing = {}, []
    for name, (command, _) in PROGRAMS.items():
        try:
            commands[name] = command()
        except ClientUnavailableError as reason:
            missing.append(f"{name}: {reason}")
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=None, web_port=None)
        programs = {name: started(command, str(box.registry_address)) for name, command in commands.items()}
        try:
            written = {name: first_line(program) for name, program in programs.items()}
            assert [len(one) for one in written.values()] == [len(FORMATS)] * len(written)
            read, expected = {}, {}
            for name, program in programs.items():
                common = [
                    (event, writer)
                    for writer, events in written.items()
                    for event, schema_type in zip(events, FORMATS, strict=True)
                    if is_common(name, writer, schema_type)
                ]
                expected[name] = [{"id": PROGRAMS[writer][1], "name": writer} for _, writer in common]
                out, err = program.communicate(json.dumps([event for event, _ in common]) + "\n", timeout=ANSWER_S)
                assert program.returncode == 0, f"{name}: {err}"
                read[name] = json.loads(out)
        finally:
            for program in programs.values():
                program.kill()
                program.wait()
        assert box.check().findings == []
    assert read == expected
    if missing:
        pytest.skip(f"the other {len(written)} languages agree; {'; '.join(missing)}")


def first_line(program: "subprocess.Popen[str]") -> list[str]:
    assert program.stdout is not None
    assert program.stderr is not None
    line = program.stdout.readline()
    events: list[str] = json.loads(line) if line else pytest.fail(program.stderr.read())
    return events


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Sandbox(tmp_path_factory.mktemp("registry") / "dev.db") as box:
        box.serve(kafka_port=None, web_port=None)
        yield str(box.registry_address)


STRATEGIES = {
    "topic": (None, "{topic}-value"),
    "record": (record_subject_name_strategy, "{name}"),
    "topic and record": (topic_record_subject_name_strategy, "{topic}-{name}"),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("in_headers", [False, True])
@pytest.mark.parametrize("schema_type", FORMATS)
def test_python_reads_what_it_wrote_with_each_subject_strategy_and_framing(
    url: str, schema_type: str, in_headers: bool, strategy: str
) -> None:
    package = f"python{schema_type.lower()}"
    user = message_class(package)
    text = AVRO.replace('"python"', f'"{package}"')
    title = JSON.replace('"User"', f'"{package}.User"')
    named, subject = STRATEGIES[strategy]
    conf: dict[str, Any] = {"schema.id.serializer": header_schema_id_serializer} if in_headers else {}
    if named is not None:
        conf["subject.name.strategy"] = named
    topic = f"{schema_type.lower()}-{in_headers}-{strategy.replace(' ', '-')}"
    context = SerializationContext(topic, MessageField.VALUE, [])
    # A consumer has another client: the one that registered a Protobuf schema has its text cached, not its descriptor.
    with SchemaRegistryClient({"url": url}) as client, SchemaRegistryClient({"url": url}) as consumer:
        written: bytes | None
        if schema_type == "AVRO":
            written = AvroSerializer(client, text, conf=conf)(VALUE, context)
            read: Any = AvroDeserializer(consumer)(written, context)
        elif schema_type == "JSON":
            written = JSONSerializer(title, client, conf=conf)(VALUE, context)
            read = JSONDeserializer(None, schema_registry_client=consumer)(written, context)
        else:
            written = ProtobufSerializer(user, client, conf=conf)(user(**VALUE), context)
            found = ProtobufDeserializer(user, schema_registry_client=consumer)(written, context)
            read = {"id": found.id, "name": found.name}
        assert subject.format(topic=topic, name=f"{package}.User") in client.get_subjects()
    assert read == VALUE
    assert written is not None
    assert bool(context.headers) == in_headers
    assert in_headers or written[0] == 0


def test_python_writes_and_reads_with_a_reference(url: str) -> None:
    order = {"type": "record", "name": "Order", "namespace": "python", "fields": [{"name": "user", "type": "User"}]}
    context = SerializationContext("references", MessageField.VALUE)
    with SchemaRegistryClient({"url": url}) as client:
        client.register_schema("user", Schema(AVRO, "AVRO"))
        schema = Schema(json.dumps(order), "AVRO", [SchemaReference("python.User", "user", 1)])
        written = AvroSerializer(client, schema)({"user": VALUE}, context)
        assert AvroDeserializer(client)(written, context) == {"user": VALUE}
        assert client.get_referenced_by("user", 1) == [client.get_latest_version("references-value").schema_id]
