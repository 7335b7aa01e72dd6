"""The deserializers of topics: a search follows a changed one, and it is deleted with its topic."""

from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.errors import BrokerError
from sandbox.model.deserializers import BYTES, MESSAGEPACK, TEXT, Deserializer
from sandbox.model.messages import MessageQuery
from sandbox.storage.file.database import Database, StorageFailed
from tests.clock import Clock

QUOTED = MessageQuery(topic="orders", value='"apple"')
"""Finds the value below in MessagePack only: as bytes it has no quotes."""
APPLE = b"\x81\xa1a\xa5apple"


def test_a_search_follows_a_changed_deserializer_while_the_clock_is_stopped(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db", clock=Clock()) as box:
        box.create_topic("orders", partitions=1)
        box.append("orders", APPLE)
        for format, count in ((MESSAGEPACK, 1), (BYTES, 0), (MESSAGEPACK, 1)):
            box.deserializers.set("orders", "value", Deserializer(format))
            assert len(box.messages(QUOTED).events) == count, format


def test_a_deserializer_is_deleted_with_its_topic(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "dev.db", clock=Clock()) as box:
        for topic in ("orders", "users"):
            # A choice may be older than its topic.
            box.deserializers.set(topic, "value", Deserializer(TEXT))
            box.deserializers.set(topic, "key", Deserializer(BYTES))
            box.create_topic(topic, partitions=1)
        assert box.deserializers.of("orders").keys() == {"key", "value"}
        box.delete_topic("orders")
        assert box.deserializers.list().keys() == {"users"}
        box.create_topic("orders", partitions=1)
        box.append("orders", APPLE)
        assert len(box.messages(QUOTED).events) == 1


def test_a_topic_that_cannot_be_deleted_keeps_its_deserializers_and_filters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(database: Database) -> None:
        raise StorageFailed("the disk is full")

    with Sandbox(tmp_path / "dev.db") as box:
        box.create_topic("orders", partitions=1)
        box.deserializers.set("orders", "value", Deserializer(TEXT))
        box.filters.save("orders", "mine", "key=a")
        with monkeypatch.context() as patched:
            patched.setattr(Database, "commit", fail)
            with pytest.raises(BrokerError):
                box.delete_topic("orders")
        assert box.deserializers.of("orders") == {"value": Deserializer(TEXT)}
        assert box.filters.list("orders") == {"mine": "key=a"}
