"""Unread events: lag counts offsets, "unread", ages and words count events that a read_committed consumer gets."""

from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.model.groups import PartitionLag


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic("orders", partitions=1)
        yield box


@pytest.fixture
def producer(served: Sandbox) -> confluent_kafka.Producer:
    found = confluent_kafka.Producer({"bootstrap.servers": served.kafka_address, "transactional.id": "t"})
    found.init_transactions(10)
    return found


def write(producer: confluent_kafka.Producer, count: int, *, commit: bool | None = True) -> None:
    """Write a transaction of `count` events; None leaves it open."""
    producer.begin_transaction()
    for number in range(count):
        producer.produce("orders", f"v{number}")
    producer.flush(10)
    if commit is not None:
        producer.commit_transaction(10) if commit else producer.abort_transaction(10)


def line(box: Sandbox) -> PartitionLag:
    (found,) = box.lag("app")
    return found


def has_a_member(box: Sandbox) -> None:
    """As if the group had members: without them, that is its trend."""
    box._database.execute("UPDATE groups SET state = 'Stable' WHERE group_id = 'app'")
    box._database.commit()


def words(box: Sandbox) -> set[str]:
    return {box.group("app").trend, *(one.trend for one in box.group_summaries())}


def test_a_marker_after_the_last_event_counts_as_lag_and_is_not_unread(
    served: Sandbox, producer: confluent_kafka.Producer
) -> None:
    write(producer, 3)
    served.commit("app", "orders", 0, 3)
    assert (line(served).lag, line(served).unread, line(served).lag_ms) == (1, 0, 0)
    has_a_member(served)
    assert words(served) == {"caught up"}
    assert [one.unread_since_ms for one in served.group_summaries()] == [None]
    assert served.lag_history("app", since_ms=0, points=2)[-1].lag_ms == 0
    assert [(one.skipped, one.repeated) for one in served.preview_reset("app", to="latest")] == [(0, 0)]
    assert [(one.skipped, one.repeated) for one in served.preview_reset("app", to="earliest")] == [(0, 3)]


def test_aborted_events_and_their_markers_are_not_unread(served: Sandbox, producer: confluent_kafka.Producer) -> None:
    write(producer, 3)
    write(producer, 2, commit=False)
    write(producer, 4, commit=False)
    served.commit("app", "orders", 0, 3)
    assert (line(served).lag, line(served).unread, line(served).lag_ms) == (9, 0, 0)
    has_a_member(served)
    assert words(served) == {"caught up"}
    write(producer, 2)
    assert (line(served).lag, line(served).unread) == (12, 2)
    assert words(served) == {"caught up"}, "they have just been appended"


def test_the_events_of_an_open_transaction_are_unread_until_it_is_aborted(
    served: Sandbox, producer: confluent_kafka.Producer
) -> None:
    served.append("orders", "first")
    served.commit("app", "orders", 0, 1)
    has_a_member(served)
    assert words(served) == {"caught up"}
    write(producer, 2, commit=None)
    assert (line(served).lag, line(served).unread) == (2, 2)
    assert words(served) == {"caught up"}, "they have just been appended"
    producer.abort_transaction(10)
    assert (line(served).lag, line(served).unread) == (3, 0)
    has_a_member(served)
    assert words(served) == {"caught up"}


def test_what_compaction_removed_is_not_unread(served: Sandbox) -> None:
    served.create_topic("users", partitions=1, settings={"cleanup.policy": "compact"})
    events = [NewEvent(b"x", key=b"k%d" % (number % 3)) for number in range(20)]
    served.append_many("users", events[:10])
    served.append_many("users", events[10:])
    served.compact("users")
    left = served.topic("users").events
    assert left < 20
    served.commit("app", "users", 0, 0)
    assert (line(served).lag, line(served).unread) == (20, left)
    served.commit("app", "users", 0, 19)
    assert (line(served).lag, line(served).unread) == (1, 1)
