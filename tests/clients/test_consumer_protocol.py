"""Real consumers with `group.protocol=consumer` (KIP-848): the broker assigns, member by member."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupType
from confluent_kafka.admin import AdminClient

from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch, running_kafka
from tests.clients.catalogue import CONFLUENT, JAVA, Client
from tests.clients.conftest import Kafka, Start
from tests.clients.membership import Membership
from tests.clients.restartable_sandbox import RestartableSandbox
from tests.clients.stream import Stream
from tests.clients.waiting import eventually

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

PARTITIONS = 6
SESSION_MS = 6000
SETTINGS = {"group.consumer.heartbeat.interval.ms": "500", "group.consumer.session.timeout.ms": str(SESSION_MS)}


@pytest.fixture(scope="module", params=["sandbox", pytest.param("apache", marks=pytest.mark.apache_kafka)])
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The sandbox and Apache Kafka, both with short times."""
    if request.param == "sandbox":
        with RestartableSandbox(tmp_path_factory.mktemp("sandbox") / "consumers.db", SETTINGS) as sandbox:
            yield Kafka("sandbox", sandbox.kafka)
        return
    try:
        find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")
    with running_kafka() as bootstrap:
        yield Kafka("apache", bootstrap)


@pytest.mark.parametrize(
    ("assignor", "clients"),
    [
        pytest.param("uniform", (CONFLUENT, CONFLUENT, CONFLUENT), id="uniform"),
        pytest.param("range", (CONFLUENT, JAVA, CONFLUENT), id="range-in-two-languages"),
    ],
)
def test_members_come_and_go_and_every_event_is_delivered_once(
    kafka: Kafka, start: Start, unique: Callable[[str], str], assignor: str, clients: tuple[Client, Client, Client]
) -> None:
    topic, group = unique("consumers"), unique("members")
    first, second, third = [start(client) for client in clients]
    first.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    members = Membership(topic, PARTITIONS, group, assignor, SESSION_MS, "consumer")
    with Stream(kafka.bootstrap, topic) as stream:
        members.add(first)
        members.await_shares()
        leaving = members.add(second)
        members.await_shares()
        members.add(third)
        members.await_shares()
        assert_the_broker_agrees(kafka.bootstrap, group, assignor, members)
        members.leave(leaving)
        members.await_shares()
        stream.stop()
        await_delivery(members, stream)
    assert stream.failures == []
    assert members.overlaps() == []
    assert [position for position, times in members.delivered().items() if times > 1] == []


def test_a_killed_member_loses_its_partitions_at_its_session_timeout(
    kafka: Kafka, start: Start, unique: Callable[[str], str]
) -> None:
    topic, group = unique("killed"), unique("members")
    survivor, victim = start(CONFLUENT), start(CONFLUENT)
    survivor.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
    members = Membership(topic, PARTITIONS, group, "uniform", SESSION_MS, "consumer")
    with Stream(kafka.bootstrap, topic) as stream:
        name = members.add(survivor)
        members.await_shares()
        killed = members.add(victim)
        members.await_shares()
        members.kill(killed)
        members.await_shares(within_s=SESSION_MS / 1000 + 10)
        stream.stop()
        await_delivery(members, stream)
    waited_ms = (members.taken_over_us(name) - members.killed_us(killed)) / 1000
    # Its last heartbeat was up to 500 ms before its death; the survivor learns of it by its next one.
    assert SESSION_MS - 1000 <= waited_ms <= SESSION_MS + 3000
    assert members.overlaps() == []


def test_members_go_on_where_they_were_after_the_sandbox_was_killed(
    tmp_path: Path, unique: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    topic, group = unique("restarted"), unique("members")
    with RestartableSandbox(tmp_path / "restarted.db", SETTINGS) as sandbox:
        before = sandbox.kafka
        first, second = _programs(sandbox, tmp_path, request, 2)
        first.ask(do="create_topic", topic=topic, partitions=PARTITIONS)
        members = Membership(topic, PARTITIONS, group, "uniform", SESSION_MS, "consumer")
        with Stream(sandbox.kafka, topic) as stream:
            members.add(first)
            members.add(second)
            members.await_shares()
            shares, epochs = members.shares(), _epochs(sandbox, group)
            sandbox.kill()
            sandbox.start()
            assert sandbox.kafka == before
            moving_on = members.delivered().total() + 200
            eventually(lambda: members.delivered().total() >= moving_on, 30, lambda: "events stopped arriving")
            assert (members.shares(), _epochs(sandbox, group)) == (shares, epochs)
            stream.stop()
            await_delivery(members, stream)
        assert members.overlaps() == []
        page = _page(sandbox, f"/groups/{group}.json")
        assert {one["member_id"] for one in page["members"]} == {one["member_id"] for one in page["partitions"]}
        for name in list(members.members):
            members.leave(name)
        page = _page(sandbox, f"/groups/{group}.json")
        assert (page["state"], page["members"], page["lag"]) == ("Empty", [], 0)


def assert_the_broker_agrees(bootstrap: str, group: str, assignor: str, members: Membership) -> None:
    """Check that the broker describes the group as its members do."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    eventually(
        lambda: admin.describe_consumer_groups([group])[group].result(timeout=10).state == ConsumerGroupState.STABLE,
        10,
        lambda: "the group is not stable",
    )
    described = admin.describe_consumer_groups([group])[group].result(timeout=10)
    assert (described.type, described.partition_assignor) == (ConsumerGroupType.CONSUMER, assignor)
    shares = sorted(
        sorted(each.partition for each in member.assignment.topic_partitions) for member in described.members
    )
    assert shares == sorted(members.shares().values())
    assert sorted(len(share) for share in shares) == [2, 2, 2]


def await_delivery(members: Membership, stream: Stream) -> None:
    """Wait until every event that was acknowledged was delivered."""
    eventually(
        lambda: set(members.delivered()) >= stream.positions,
        30,
        lambda: f"not delivered: {sorted(stream.positions - set(members.delivered()))[:20]}",
    )


def _programs(sandbox: RestartableSandbox, folder: Path, request: pytest.FixtureRequest, count: int) -> list[Any]:
    from tests.clients.catalogue import environment
    from tests.clients.program import Program

    programs = [
        Program(f"confluent {index}", [*CONFLUENT.command(), sandbox.kafka], folder / f"{index}.log", environment())
        for index in range(count)
    ]
    for program in programs:
        request.addfinalizer(program.close)
    return programs


def _epochs(sandbox: RestartableSandbox, group: str) -> int:
    generation: int = _page(sandbox, f"/groups/{group}.json")["generation"]
    return generation


def _page(sandbox: RestartableSandbox, path: str) -> Any:
    with urllib.request.urlopen(sandbox.web + path, timeout=10) as answer:
        return json.loads(answer.read())
