"""Topics as people see them: the totals are the sums of what each topic says."""

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.storage.log import topic_descriptions


def test_the_totals_are_the_sums_whatever_left_the_logs(box: Sandbox) -> None:
    box.create_topic("empty", partitions=3)
    box.create_topic("users", partitions=1, settings={"cleanup.policy": "compact,delete"})
    box.create_topic("orders", partitions=2)
    box.create_topic("gone", partitions=1)
    for topic in ("users", "orders", "gone"):
        for n in range(12):
            box.append(topic, str(n), key=str(n % 3))
    box.compact("users")
    box.logs.delete_records("orders", {0: -1})
    box.logs.delete_records("users", {0: 10})
    box.delete_topic("gone")
    box.commit("billing", "orders", 0, 0)
    described = box.topics()
    assert [one.topic for one in described] == ["empty", "orders", "users"]
    events = sum(one.events for one in described)
    with box._database.reader() as reader:
        assert topic_descriptions.totals(reader) == (3, 1, events)
        assert topic_descriptions.describe_topics(reader, "users") == (described[2],)
    stored = sum(len(box.read(one.topic)) for one in described)
    assert (events, box.overview().events) == (stored, stored)


def test_a_topic_that_lost_everything_keeps_its_offsets(box: Sandbox) -> None:
    box.create_topic("orders", partitions=1)
    box.append_many("orders", [NewEvent(b"x")] * 5)
    box.logs.delete_records("orders", {0: -1})
    (log,) = box.topic("orders").partitions
    assert (log.start, log.end, log.events, log.size_bytes) == (5, 5, 0, 0)
