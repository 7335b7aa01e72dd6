"""The simulated cluster: leaders, in-sync sets and epochs."""

from uuid import uuid4

import pytest

from sandbox.broker.cluster import NO_LEADER, Cluster
from sandbox.broker.logs.topic import Partition, Topic
from sandbox.kafka.errors import BrokerError


def topic_on(cluster: Cluster, partitions: int = 3, replicas: int = 3) -> Topic:
    topic = Topic(1, "orders", uuid4(), 0, {}, replicas)
    for number in range(partitions):
        partition = Partition(number, topic, number)
        cluster.place(topic, partition, None)
        topic.partitions.append(partition)
    return topic


def test_leaders_and_replicas_are_spread_over_the_brokers() -> None:
    topic = topic_on(Cluster(3), partitions=6, replicas=2)
    assert [one.leader for one in topic.partitions] == [2, 3, 1, 2, 3, 1]
    assert all(len(set(one.replicas)) == 2 and one.leader == one.replicas[0] for one in topic.partitions)


def test_a_stopped_broker_loses_its_leaders_to_replicas_in_sync_and_epochs_rise() -> None:
    cluster = Cluster(3)
    topic = topic_on(cluster)
    moves = cluster.stop(2, [topic])
    assert [(move.partition.partition, move.before) for move in moves] == [(0, 2)]
    for partition in topic.partitions:
        assert 2 not in partition.isr
        assert partition.leader in partition.isr
    assert [one.leader_epoch for one in topic.partitions] == [1, 0, 0]


def test_a_broker_that_comes_back_is_in_sync_but_leads_nothing_until_it_is_preferred() -> None:
    cluster = Cluster(3)
    topic = topic_on(cluster)
    cluster.stop(2, [topic])
    assert cluster.start(2, [topic]) == []
    first = topic.partitions[0]
    assert first.isr == first.replicas
    assert first.leader != 2
    assert cluster.prefer(first).after == 2
    assert first.leader_epoch == 2
    with pytest.raises(BrokerError, match="ELECTION_NOT_NEEDED"):
        cluster.prefer(first)


def test_a_partition_whose_replicas_are_all_down_has_no_leader_until_the_last_in_sync_one_is_back() -> None:
    cluster = Cluster(2)
    topic = topic_on(cluster, partitions=1, replicas=2)
    partition = topic.partitions[0]
    first, second = partition.replicas
    cluster.stop(first, [topic])
    cluster.stop(second, [topic])
    assert partition.leader == NO_LEADER
    assert partition.isr == (second,)
    assert cluster.start(first, [topic]) == []
    assert partition.leader == NO_LEADER
    assert [move.after for move in cluster.start(second, [topic])] == [second]


def test_only_an_in_sync_replica_can_be_made_leader() -> None:
    cluster = Cluster(3)
    topic = topic_on(cluster, partitions=1, replicas=2)
    partition = topic.partitions[0]
    outside = next(one for one in cluster.ids if one not in partition.replicas)
    with pytest.raises(BrokerError, match="ELIGIBLE_LEADERS_NOT_AVAILABLE"):
        cluster.move(partition, outside)
    assert cluster.move(partition, partition.replicas[1]).after == partition.leader


def test_a_group_keeps_its_coordinator_when_another_broker_stops() -> None:
    cluster = Cluster(3)
    groups = [f"group-{number}" for number in range(60)]
    before = {group: cluster.coordinator(group) for group in groups}
    assert set(before.values()) == {1, 2, 3}
    cluster.stop(2, [])
    for group, broker in before.items():
        after = cluster.coordinator(group)
        assert after == broker if broker != 2 else after in (1, 3)


def test_the_controller_is_the_first_broker_that_is_up() -> None:
    cluster = Cluster(3)
    cluster.stop(1, [])
    assert cluster.controller == 2


@pytest.mark.parametrize("count", [0, 10])
def test_the_number_of_brokers_is_bounded(count: int) -> None:
    with pytest.raises(BrokerError, match="1 to 9 brokers"):
        Cluster(count)
