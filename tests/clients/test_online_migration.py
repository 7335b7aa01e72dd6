"""Groups that move from the classic to the consumer protocol and back while they run (KIP-848), on both brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.kafka.errors import BY_CODE
from tests.clients.catalogue import CONFLUENT, JAVA, Client
from tests.clients.conftest import Kafka, Start
from tests.clients.membership import Membership
from tests.clients.raw_requests import RawClient
from tests.clients.stream import Stream
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

PARTITIONS = 6
CLASSIC, CONSUMER = 0, 1
MEMBER = "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def raw(kafka: Kafka) -> Iterator[RawClient]:
    with RawClient(kafka.bootstrap) as found:
        yield found


def type_of(raw: RawClient, group: str) -> str:
    """The type that ListGroups shows."""
    return next(str(one.group_type) for one in raw.ask("ListGroups", 5).groups if one.group_id == group)


def member_types(raw: RawClient, group: str) -> list[int]:
    (found,) = raw.ask("ConsumerGroupDescribe", 1, group_ids=[group]).groups
    return sorted(member.member_type for member in found.members)


@pytest.mark.parametrize(
    ("assignor", "classic", "newer"),
    [
        pytest.param("range", (CONFLUENT, CONFLUENT), CONFLUENT, id="eager"),
        pytest.param("cooperative-sticky", (JAVA, JAVA), CONFLUENT, id="cooperative-in-two-languages"),
    ],
)
def test_consumers_of_both_protocols_share_a_group(
    kafka: Kafka,
    raw: RawClient,
    start: Start,
    unique: Callable[[str], str],
    assignor: str,
    classic: tuple[Client, Client],
    newer: Client,
) -> None:
    topic, group = unique("migrates"), unique("migrates")
    first, second, third = start(classic[0]), start(classic[1]), start(newer)
    first.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    members = Membership(topic, PARTITIONS, group, assignor)
    with Stream(kafka.bootstrap, topic) as stream:
        members.add(first)
        members.await_shares()
        leaving = members.add(second)
        members.await_shares()
        assert type_of(raw, group) == "classic"
        upgrading = members.add(third, protocol="consumer", assignor="uniform")
        members.await_shares(within_s=40)
        assert type_of(raw, group) == "consumer"
        assert member_types(raw, group) == [CLASSIC, CLASSIC, CONSUMER]
        members.leave(leaving)
        members.await_shares(within_s=40)
        assert member_types(raw, group) == [CLASSIC, CONSUMER]
        members.leave(upgrading)
        members.await_shares(within_s=40)
        assert type_of(raw, group) == "classic"
        stream.stop()
        eventually(lambda: set(members.delivered()) >= stream.positions, 30, lambda: "some events were not delivered")
    assert stream.failures == []
    assert members.overlaps() == []


def test_a_classic_consumer_joins_a_group_of_the_consumer_protocol(
    kafka: Kafka, raw: RawClient, start: Start, unique: Callable[[str], str]
) -> None:
    topic, group = unique("mixed"), unique("mixed")
    first, second = start(CONFLUENT), start(CONFLUENT)
    first.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    members = Membership(topic, PARTITIONS, group, "range")
    with Stream(kafka.bootstrap, topic) as stream:
        members.add(first, protocol="consumer", assignor="uniform")
        members.await_shares()
        joining = members.add(second)
        members.await_shares(within_s=40)
        assert member_types(raw, group) == [CLASSIC, CONSUMER]
        members.leave(joining)
        members.await_shares(within_s=40)
        assert (type_of(raw, group), member_types(raw, group)) == ("consumer", [CONSUMER])
        stream.stop()
    assert members.overlaps() == []


def heartbeat(raw: RawClient, group: str, **fields: Any) -> tuple[str, str | None]:
    """Join a group with the consumer protocol; returns the error and its message."""
    joining = {"member_id": MEMBER, "member_epoch": 0, "rebalance_timeout_ms": 10_000, "topic_partitions": []}
    answer = raw.ask("ConsumerGroupHeartbeat", 1, group_id=group, subscribed_topic_names=["x"], **joining, **fields)
    return BY_CODE[answer.error_code].name, answer.error_message


def join(raw: RawClient, group: str, protocol_type: str, metadata: bytes) -> None:
    """Form a classic group of one member."""
    member = ""
    for _ in range(2):
        answer = raw.ask(
            "JoinGroup",
            9,
            group_id=group,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=10_000,
            member_id=member,
            protocol_type=protocol_type,
            protocols=[{"name": "one", "metadata": metadata}],
        )
        member = answer.member_id
    assert answer.error_code == 0


def refusal(group: str, reason: str) -> tuple[str, str]:
    return "GROUP_ID_NOT_FOUND", f"Cannot upgrade classic group {group} to consumer group because {reason}."


def test_a_group_that_does_not_consume_stays_classic(raw: RawClient, unique: Callable[[str], str]) -> None:
    group = unique("connect")
    join(raw, group, "connect", b"anything")
    assert heartbeat(raw, group) == refusal(group, "the group does not use the consumer embedded protocol")
    assert type_of(raw, group) == "classic"


def test_a_group_with_malformed_metadata_stays_classic(raw: RawClient, unique: Callable[[str], str]) -> None:
    group = unique("malformed")
    join(raw, group, "consumer", b"\0")
    assert heartbeat(raw, group) == refusal(group, "the embedded consumer protocol is malformed")
    assert type_of(raw, group) == "classic"


def test_a_group_whose_assignor_sends_data_of_its_own_stays_classic(
    kafka: Kafka, raw: RawClient, start: Start, unique: Callable[[str], str]
) -> None:
    topic, group = unique("sticky"), unique("sticky")
    first, second = start(CONFLUENT), start(CONFLUENT)
    first.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    members = Membership(topic, PARTITIONS, group, "cooperative-sticky")
    members.add(first)
    members.await_shares()
    members.add(second)
    members.await_shares()
    reason = (
        "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor "
        "before re-attempting the upgrade"
    )
    assert heartbeat(raw, group) == refusal(group, reason)
    assert type_of(raw, group) == "classic"
