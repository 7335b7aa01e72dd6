"""Members of one group, in different processes and of different libraries, share the partitions of a topic."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from tests.clients.catalogue import (
    AIOKAFKA,
    CONFLUENT,
    FRANZ,
    JAVA,
    KAFKA_PYTHON,
    KAFKAJS,
    PLATFORMATIC,
    SARAMA,
    Client,
)
from tests.clients.conftest import Kafka, Start
from tests.clients.membership import Membership
from tests.clients.stream import Stream
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

PARTITIONS = 6
SESSION_MS = 6000
# kafkajs and platformatic have no moment between the end of one generation and the next at which a member can
# commit, so an event may be delivered again; and each has an assignor that no other library has.
SHARED = [
    pytest.param("range", (CONFLUENT, KAFKA_PYTHON, AIOKAFKA), True, id="range-in-Python"),
    pytest.param("range", (SARAMA, JAVA, CONFLUENT), True, id="range-in-three-languages"),
    pytest.param("roundrobin", (AIOKAFKA, FRANZ, JAVA), True, id="roundrobin"),
    pytest.param("cooperative-sticky", (CONFLUENT, JAVA, FRANZ), True, id="cooperative-sticky"),
    pytest.param("kafkajs", (KAFKAJS, KAFKAJS, KAFKAJS), False, id="kafkajs"),
    pytest.param("platformatic", (PLATFORMATIC, PLATFORMATIC, PLATFORMATIC), False, id="platformatic"),
]


@pytest.mark.parametrize(("assignor", "clients", "once"), SHARED)
def test_members_of_different_libraries_share_a_group(
    kafka: Kafka,
    program: Start,
    start: Start,
    unique: Callable[[str], str],
    assignor: str,
    clients: tuple[Client, Client, Client],
    once: bool,
) -> None:
    topic, group = unique("shared"), unique("members")
    program(CONFLUENT).ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    first, second, third = [start(client) for client in clients]
    members = Membership(topic, PARTITIONS, group, assignor, SESSION_MS)
    with Stream(kafka.bootstrap, topic) as stream:
        members.add(first)
        members.await_shares()
        leaving = members.add(second)
        members.await_shares()
        members.add(third)
        members.await_shares()
        assert_the_broker_agrees(kafka, group, topic, members)
        _await_progress(members)
        members.leave(leaving)
        members.await_shares()
        _await_progress(members)
        stream.stop()
        eventually(
            lambda: set(members.delivered()) >= stream.positions,
            20,
            lambda: f"not delivered: {sorted(stream.positions - set(members.delivered()))[:20]}",
        )
    assert stream.failures == []
    assert members.overlaps() == []
    if once:
        assert [position for position, times in members.delivered().items() if times > 1] == []
    for name in list(members.members):
        members.leave(name)


@pytest.mark.parametrize("client", [CONFLUENT, JAVA, KAFKAJS], ids=lambda client: client.name)
def test_a_member_that_was_killed_is_dropped_at_its_session_timeout(
    kafka: Kafka, program: Start, start: Start, unique: Callable[[str], str], client: Client
) -> None:
    topic, group = unique("killed"), unique("members")
    program(CONFLUENT).ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    assignor = "kafkajs" if client is KAFKAJS else "range"
    members = Membership(topic, PARTITIONS, group, assignor, SESSION_MS)
    with Stream(kafka.bootstrap, topic) as stream:
        survivor = members.add(start(KAFKAJS if client is KAFKAJS else CONFLUENT))
        members.await_shares()
        killed = members.add(start(client))
        members.await_shares()
        members.kill(killed)
        members.await_shares(within_s=SESSION_MS / 1000 + 10)
        stream.stop()
        eventually(lambda: set(members.delivered()) >= stream.positions, 20, lambda: "events were not delivered")
    waited_ms = (members.taken_over_us(survivor) - members.killed_us(killed)) / 1000
    # Its last heartbeat was up to 300 ms before its death; the rebalance itself takes the survivor's next heartbeat.
    assert SESSION_MS - 700 <= waited_ms <= SESSION_MS + 3000
    assert members.overlaps() == []
    members.leave(survivor)


def assert_the_broker_agrees(kafka: Kafka, group: str, topic: str, members: Membership) -> None:
    """Check that the broker describes the group as its members do."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def described() -> ConsumerGroupDescription:
        found: ConsumerGroupDescription = admin.describe_consumer_groups([group])[group].result(timeout=10)
        return found

    # Cooperative members give up partitions in one rebalance and get them in a second one.
    eventually(lambda: described().state == ConsumerGroupState.STABLE, 20, lambda: f"the group is {described().state}")
    shares = sorted(
        sorted(each.partition for each in member.assignment.topic_partitions if each.topic == topic)
        for member in described().members
    )
    assert shares == sorted(members.shares().values())


def _await_progress(members: Membership, events: int = 100) -> None:
    enough = members.delivered().total() + events
    eventually(lambda: members.delivered().total() >= enough, 20, lambda: "events stopped arriving")
