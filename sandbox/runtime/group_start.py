"""Creates the group coordinator of a file that was just opened, and connects it to the wire protocol and the topics."""

from sandbox.broker.broker import Broker
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.groups.target_assignment import TopicLookup
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.groups.groups import GroupStore
from sandbox.wire.group_bytes import assigned_partitions, subscribed_topics


def start_coordinator(broker: Broker, config: BrokerConfig, now_ms: int) -> GroupCoordinator:
    """Load the groups of a file.

    Args:
        broker: the owner of the file and its topics.
        config: the broker's settings.
        now_ms: the current time.
    """
    coordinator = GroupCoordinator(
        GroupStore(broker.database),
        config,
        decode_assignment=assigned_partitions,
        decode_subscription=subscribed_topics,
        topics=TopicLookup(broker.topics, broker.topics_by_id),
        aged=broker.age_hold.time_ms,
        on_change=broker.group_changed,
    )
    coordinator.load(now_ms)
    broker.commit()
    broker.on_undo(coordinator.reload)
    return coordinator
