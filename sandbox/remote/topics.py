"""Changing the topics of a cluster."""

from collections.abc import Mapping

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from sandbox.kafka.errors import BrokerError, shown_name
from sandbox.remote.connection import ClusterConnection
from sandbox.remote.logs import Logs


class TopicAdmin:
    """Creates and changes topics.

    Args:
        connection: the cluster.
        logs: the cluster's topics, requested again after each change.
    """

    def __init__(self, connection: ClusterConnection, logs: Logs) -> None:
        self._connection = connection
        self._logs = logs

    def create(
        self,
        topic: str,
        partitions: int | None,
        settings: Mapping[str, str] | None,
        replication_factor: int | None = None,
    ) -> None:
        """Create a topic, and wait until the cluster knows it."""
        if topic in self._logs.metadata.get(kept_s=0).topics:
            raise BrokerError("TOPIC_ALREADY_EXISTS", f"There is a topic {topic}.")
        if partitions is not None and partitions < 1:
            raise BrokerError("INVALID_PARTITIONS", f"A topic has 1 partition or more, not {partitions}.")
        try:
            new = NewTopic(
                topic,
                num_partitions=-1 if partitions is None else partitions,
                replication_factor=-1 if replication_factor is None else replication_factor,
                config=dict(settings or {}),
            )
        except (ValueError, OverflowError) as error:
            raise BrokerError("INVALID_REQUEST", str(error)) from None
        self._do("create_topics", topic, [new])
        self._logs.wait_for(lambda told: topic in told.topics and bool(told.topics[topic].partitions))

    def delete(self, topic: str) -> None:
        """Delete a topic, and wait until the cluster has forgotten it."""
        self._do("delete_topics", topic, [topic])
        self._logs.wait_for(lambda told: topic not in told.topics)

    def create_partitions(self, topic: str, count: int) -> None:
        """Increase a topic's partitions to a total of `count`."""
        have = len(self._logs.describe(topic, ()).partitions)
        if count <= have:
            raise BrokerError(
                "INVALID_PARTITIONS", f"Topic {topic} has {have} partitions: it can only get more, not {count}."
            )
        self._do("create_partitions", topic, [NewPartitions(topic, count)])
        self._logs.wait_for(lambda told: topic in told.topics and len(told.topics[topic].partitions) >= count)

    def alter(self, topic: str, settings: Mapping[str, str | None]) -> None:
        """Change settings; None takes one back to its default."""
        if topic not in self._logs.metadata.get(kept_s=0).topics:
            raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", f"There is no topic {shown_name(topic)}.")
        entries = [
            ConfigEntry(
                name,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for name, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        futures = self._connection.ask(
            lambda timeout_s: self._connection.admin.incremental_alter_configs([resource], request_timeout=timeout_s)
        )
        for future in futures.values():
            self._connection.result(future)
        self._logs.forget()

    def _do(self, call: str, topic: str, arguments: list[object]) -> None:
        method = getattr(self._connection.admin, call)
        futures = self._connection.ask(
            lambda timeout_s: method(arguments, operation_timeout=timeout_s, request_timeout=timeout_s)
        )
        self._connection.result(futures[topic])
        self._logs.forget()
