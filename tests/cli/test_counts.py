"""Events are counted in a file, where compaction and transactions leave gaps; a cluster has offsets only."""

from collections.abc import Iterator

import confluent_kafka
import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from tests.cli.conftest import CommandLine

COMPACTED, MARKED = "users", "orders"


@pytest.fixture
def gaps(command_line: CommandLine) -> Iterator[Sandbox]:
    """20 offsets with 12 events after compaction, and 15 offsets of 12 events and 3 markers."""
    with Sandbox(command_line.folder / "dev.db") as box:
        box.serve(kafka_port=0, web_port=None)
        box.create_topic(COMPACTED, partitions=1, settings={"cleanup.policy": "compact"})
        events = [NewEvent(b"x", key=b"k%d" % (number % 2)) for number in range(10)]
        box.append_many(COMPACTED, events)
        box.append_many(COMPACTED, events)
        box.compact(COMPACTED)
        box.create_topic(MARKED, partitions=1)
        producer = confluent_kafka.Producer({"bootstrap.servers": box.kafka_address, "transactional.id": "t"})
        producer.init_transactions(10)
        for _ in range(3):
            producer.begin_transaction()
            for number in range(4):
                producer.produce(MARKED, str(number))
            producer.commit_transaction(10)
        yield box


def test_a_file_is_counted_by_list_describe_and_delete(command_line: CommandLine, gaps: Sandbox) -> None:
    events = {topic.topic: topic.events for topic in gaps.topics()}
    assert events[MARKED] == 12
    assert events[COMPACTED] < 20
    listed = {row["topic"]: (row["events"], row["offsets"]) for row in command_line.ok("topics", "list", "--json").rows}
    assert listed == {MARKED: (12, 15), COMPACTED: (events[COMPACTED], 20)}
    assert command_line.ok("topics", "list").out.split()[2] == "events"
    for topic, (count, offsets) in listed.items():
        (described,) = command_line.ok("topics", "describe", topic, "--json").rows
        assert (described["events"], described["offsets"]) == (count, offsets)
        assert [(one["events"], one["offsets"]) for one in described["partitions"]] == [(count, offsets)]
        assert f"{topic}: 1 partitions, {count} events" in command_line.ok("topics", "describe", topic).out
        asked = command_line.run("topics", "delete", topic, stdin=b"n\n")
        assert f"Delete {topic} with {count} events?" in asked.out
        asked = command_line.run("topics", "empty", topic, stdin=b"n\n")
        assert f"Delete {count} events of {topic}?" in asked.out


def test_a_part_of_a_log_is_counted_before_it_is_deleted(command_line: CommandLine, gaps: Sandbox) -> None:
    (row,) = command_line.ok("topics", "delete-records", MARKED, "--before", "10", "--yes", "--json").rows
    assert (row["events"], row["offsets"]) == (8, 10)
    assert gaps.topic(MARKED).events == 4


def test_a_cluster_has_offsets(command_line: CommandLine, gaps: Sandbox) -> None:
    cluster = ("--bootstrap", gaps.kafka_address)
    listed = command_line.ok("topics", "list", "--json", *cluster).rows
    assert {row["topic"]: (row["events"], row["offsets"]) for row in listed} == {
        MARKED: (None, 15),
        COMPACTED: (None, 20),
    }
    assert command_line.ok("topics", "list", *cluster).out.split()[2] == "offsets"
    assert "1 partitions, 15 offsets" in command_line.ok("topics", "describe", MARKED, *cluster).out
    asked = command_line.run("topics", "delete", MARKED, *cluster, stdin=b"n\n")
    assert f"Delete {MARKED} with 15 offsets?" in asked.out
