"""Creates the group coordinator of a file that was just opened, and connects it to the wire protocol and the topics."""

from collections.abc import Callable

from sandbox.broker.broker import Broker
from sandbox.broker.groups.coordinator import GroupCoordinator
from sandbox.broker.groups.target_assignment import TopicLookup
from sandbox.broker.shares.dead_letters import DeadLetters
from sandbox.kafka.broker_config import BrokerConfig
from sandbox.storage.groups.groups import GroupStore
from sandbox.wire.group_bytes import MEMBER_BYTES, assigned_partitions, subscribed_topics


def start_coordinator(broker: Broker, config: BrokerConfig, clock: Callable[[], int]) -> GroupCoordinator:
    """Load the groups of a file.

    Args:
        broker: the owner of the file and its topics.
        config: the broker's settings.
        clock: returns the current time in ms.
    """
    coordinator = GroupCoordinator(
        GroupStore(broker.database),
        config,
        decode_assignment=assigned_partitions,
        decode_subscription=subscribed_topics,
        member_bytes=MEMBER_BYTES,
        topics=TopicLookup(broker.topics, broker.topics_by_id),
        aged=broker.age_hold.time_ms,
        on_change=broker.group_changed,
    )
    coordinator.shares.on_archived = DeadLetters(broker, clock).write
    coordinator.load(clock())
    broker.commit()
    broker.on_undo(coordinator.reload)
    return coordinator
