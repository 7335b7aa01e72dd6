"""confluent_kafka's share consumers and asyncio clients on a file."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.aio
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.serialization import StringDeserializer, StringSerializer

import sandbox
from sandbox import AdminClient, AIOConsumer, AIOProducer, DeserializingShareConsumer, Producer, ShareConsumer
from sandbox.client import embedded
from tests.waiting import eventually

WITHIN_S = 30


def test_whatever_public_client_class_there_is_takes_a_file() -> None:
    found = {
        name
        for module in (confluent_kafka, confluent_kafka.aio)
        for name in dir(module)
        if not name.startswith("_")
        and name.endswith(("Consumer", "Producer"))
        and isinstance(getattr(module, name), type)
    }
    assert found >= {"ShareConsumer", "AIOProducer"}
    assert [name for name in sorted(found) if not hasattr(sandbox, name)] == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dev.db"
    admin = AdminClient({"bootstrap.servers": path})
    entry = ConfigEntry("share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.GROUP, "work", incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(10)
    producer = Producer({"bootstrap.servers": path})
    for number in range(3):
        producer.produce("orders", str(number))
    producer.flush()
    producer.close()
    return path


def test_a_share_consumer_takes_a_file(file: Path) -> None:
    with ShareConsumer({"bootstrap.servers": file, "group.id": "work"}) as consumer:
        consumer.subscribe(["orders"])
        assert _values(consumer) == [b"0", b"1", b"2"]


def test_a_deserializing_share_consumer_takes_a_file(file: Path) -> None:
    settings = {"bootstrap.servers": str(file), "group.id": "work", "value.deserializer": StringDeserializer()}
    consumer = DeserializingShareConsumer(settings)
    consumer.subscribe(["orders"])
    assert _values(consumer) == ["0", "1", "2"]
    consumer.close()


def _values(consumer: "confluent_kafka.ShareConsumer | confluent_kafka.DeserializingShareConsumer") -> list[object]:
    found: list[object] = []
    deadline = time.monotonic() + WITHIN_S
    while len(found) < 3 and time.monotonic() < deadline:
        found += [one.value() for one in consumer.poll(0.5) or [] if one.error() is None]
    return found


def test_the_asyncio_clients_take_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "aio.db"
    all_threads, before = threading.enumerate, set(threading.enumerate())

    async def run() -> list[object]:
        async with AIOProducer({"bootstrap.servers": path}) as producer:
            await (await producer.produce("orders", value=b"1"))
            await producer.flush()
            made: Any = sandbox.AsyncSerializingProducer(
                {"bootstrap.servers": str(path), "value.serializer": StringSerializer()}
            )
            serializing = await made
            await (await serializing.produce("orders", value="2"))
            await serializing.flush()
            await serializing.close()
        settings = {"bootstrap.servers": path, "group.id": "g", "auto.offset.reset": "earliest"}
        async with AIOConsumer(settings) as consumer:
            await consumer.subscribe(["orders"])
            return [message.value() for message in [await consumer.poll(WITHIN_S), await consumer.poll(WITHIN_S)]]

    assert asyncio.run(run()) == [b"1", b"2"]
    # Threads of other tests may be left.
    monkeypatch.setattr(threading, "enumerate", lambda: [one for one in all_threads() if one not in before])
    eventually(embedded.alone)
