"""confluent-kafka-python's client and serializers use the schema registry as they use Confluent's."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    ConfigCompatibilityLevel,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    ServerConfig,
    header_schema_id_serializer,
    record_subject_name_strategy,
    topic_record_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

import sandbox
from sandbox import Sandbox
from tests.clients.catalogue import ClientUnavailableError, environment, go, node

pytestmark = pytest.mark.clients

USER = json.dumps({"type": "record", "name": "User", "namespace": "n", "fields": [{"name": "id", "type": "int"}]})
USER_2 = json.dumps(
    {
        "type": "record",
        "name": "User",
        "namespace": "n",
        "fields": [{"name": "id", "type": "int"}, {"name": "name", "type": "string", "default": ""}],
    }
)
ORDER = json.dumps(
    {"type": "record", "name": "Order", "namespace": "n", "fields": [{"name": "user", "type": "n.User"}]}
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("registry") / "dev.db") as served:
        served.serve(kafka_port=0, web_port=None)
        yield served


@pytest.fixture
def client(box: Sandbox) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": str(box.registry_address)}) as made:
        yield made


def avro(text: str, **more: Any) -> Schema:
    return Schema(text, "AVRO", **more)


def refused(code: int) -> Any:
    return pytest.raises(SchemaRegistryError, match=f"SR code {code}")


def test_it_registers_and_finds_schemas(client: SchemaRegistryClient) -> None:
    first = client.register_schema("users", avro(USER))
    full = client.register_schema_full_response("users", avro(USER_2))
    assert (full.version, full.subject) == (2, "users")
    assert client.get_schema(first).schema_str == json.dumps(json.loads(USER), separators=(",", ":"))
    assert full.guid is not None
    assert client.get_schema_by_guid(full.guid).schema_type == "AVRO"
    assert client.lookup_schema("users", avro(USER)).version == 1
    assert client.get_latest_version("users").schema_id == full.schema_id
    assert client.get_version("users", 1).schema_id == first
    assert client.get_versions("users") == [1, 2]
    assert "users" in client.get_subjects()
    assert client.get_subjects_by_schema_id(first) == ["users"]
    assert [(one.subject, one.version) for one in client.get_schema_versions(first)] == [("users", 1)]
    assert set(client.get_schema_types()) == {"AVRO", "JSON", "PROTOBUF"}
    assert client.get_contexts() == ["."]
    with refused(40403):
        client.get_schema(999)
    with refused(42201):
        client.register_schema("users", avro("{"))


def test_it_checks_compatibility_and_sets_levels(client: SchemaRegistryClient) -> None:
    client.register_schema("levels", avro(USER_2))
    assert client.test_compatibility("levels", avro(USER))
    assert client.test_compatibility_all_versions("levels", avro(USER))
    assert client.set_compatibility("levels", "FULL")["compatibility"] == "FULL"  # type: ignore[index]
    assert client.get_compatibility("levels") == "FULL"
    assert client.get_compatibility() == "BACKWARD"
    client.set_config("levels", ServerConfig(ConfigCompatibilityLevel.FORWARD, compatibility_group="major"))
    assert client.get_config("levels").compatibility_group == "major"
    assert client.delete_config("levels").compatibility_level == ConfigCompatibilityLevel.FORWARD
    text = USER.replace('"int"', '"string"')
    with pytest.raises(SchemaRegistryError) as error:
        client.register_schema("levels", avro(text))
    assert (error.value.http_status_code, error.value.error_code) == (409, 409)
    with refused(42203):
        client.set_compatibility("levels", "SOMETIMES")


def test_it_refers_deletes_and_sets_modes(client: SchemaRegistryClient) -> None:
    client.register_schema("ref-user", avro(USER))
    order = avro(ORDER, references=[SchemaReference("n.User", "ref-user", 1)])
    order_id = client.register_schema("ref-order", order)
    assert client.get_referenced_by("ref-user", 1) == [order_id]
    with refused(42206):
        client.delete_subject("ref-user")
    assert client.delete_version("ref-order", 1) == 1
    assert client.delete_version("ref-order", 1, permanent=True) == 1
    assert client.delete_subject("ref-user") == [1]
    assert client.delete_subject("ref-user", permanent=True) == [1]
    assert client.update_mode("modes", "READONLY") == "READONLY"
    assert client.get_mode("modes") == "READONLY"
    with refused(42205):
        client.register_schema("modes", avro(USER))
    assert client.delete_mode("modes") == "READONLY"
    assert client.update_global_mode("READWRITE") == client.get_global_mode() == "READWRITE"


@pytest.mark.parametrize("strategy", [None, record_subject_name_strategy, topic_record_subject_name_strategy])
def test_what_its_serializer_writes_its_deserializer_reads(client: SchemaRegistryClient, strategy: Any) -> None:
    context = SerializationContext("orders", MessageField.VALUE)
    conf = {} if strategy is None else {"subject.name.strategy": strategy}
    written = AvroSerializer(client, USER, conf=conf)({"id": 7}, context)
    assert written is not None
    assert written[0] == 0
    assert AvroDeserializer(client)(written, context) == {"id": 7}
    expected = {None: "orders-value", record_subject_name_strategy: "n.User"}.get(strategy, "orders-n.User")
    assert expected in client.get_subjects()


def test_an_id_in_a_header_is_read(client: SchemaRegistryClient) -> None:
    context = SerializationContext("headers", MessageField.VALUE, [])
    conf = {"schema.id.serializer": header_schema_id_serializer}
    user = {"id": 7, "name": "Ada Lovelace"}
    written = AvroSerializer(client, USER_2, conf=conf)(user, context)
    assert [one[0] for one in context.headers or []] == ["__value_schema_id"]
    assert AvroDeserializer(client)(written, context) == user


def test_a_file_is_a_registry(tmp_path: Path) -> None:
    file = tmp_path / "dev.db"
    with (
        sandbox.SchemaRegistryClient({"url": str(file)}) as client,
        sandbox.Producer({"bootstrap.servers": str(file)}) as producer,
    ):
        serializer = sandbox.AvroSerializer(client, USER)
        value = serializer({"id": 7}, SerializationContext("orders", MessageField.VALUE))
        producer.produce("orders", value)
        producer.flush()
    with Sandbox(file) as box:
        assert [event.value for event in box.read("orders")] == [value]
        with box.schemas.rows() as rows:
            assert [str(row.subject) for row in rows.all_versions()] == ["orders-value"]


def test_a_token_is_the_password(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=None, web_port=None, web_token="secret")
        url = str(box.registry_address)
        with SchemaRegistryClient({"url": url, "basic.auth.user.info": "me:secret"}) as client:
            assert client.get_subjects() == []
        with SchemaRegistryClient({"url": url, "basic.auth.user.info": "me:wrong"}) as client, refused(401):
            client.get_subjects()


def test_kafkajs_registry_reads_what_python_writes_and_the_other_way_round(
    box: Sandbox, client: SchemaRegistryClient
) -> None:
    try:
        command = node("registry.mjs", "node_registry")()
    except ClientUnavailableError as missing:
        pytest.skip(f"no @kafkajs/confluent-schema-registry: {missing}")
    context = SerializationContext("for-node", MessageField.VALUE)
    payload = AvroSerializer(client, USER)({"id": 9}, context)
    assert payload is not None
    done = subprocess.run(
        [*command, str(box.registry_address), payload.hex()],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["decoded"] == 9
    assert [(one["type"], one["value"]) for one in told["found"]] == [("AVRO", 7), ("JSON", 7), ("PROTOBUF", 7)]
    assert all(one["id"] == one["latest"] for one in told["found"])
    assert AvroDeserializer(client)(bytes.fromhex(told["found"][0]["hex"]), context) == {"id": 7}
    assert JSONDeserializer(None, schema_registry_client=client)(bytes.fromhex(told["found"][1]["hex"]), context) == {
        "id": 7
    }


def test_franz_go_uses_the_registry(box: Sandbox) -> None:
    try:
        command = go("franz_registry")()
    except ClientUnavailableError as missing:
        pytest.skip(f"no franz-go: {missing}")
    done = subprocess.run(
        [*command, str(box.registry_address)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {
        "ids": told["ids"],
        "version": 1,
        "compatible": False,
        "refused": True,
        "level": "FULL",
        "modes": ["READONLY", "READWRITE"],
        "uses": 1,
        "decoded": told["ids"][1],
        "versions": [1, 2],
        "deleted": [1, 2],
        "types": 3,
        "text": True,
    }
