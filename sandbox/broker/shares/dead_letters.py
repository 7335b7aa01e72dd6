"""Dead letters of share groups (KIP-1191): records that were rejected, or whose deliveries were used up.

A group with `errors.deadletterqueue.topic.name` gets one record in that topic for each. Its headers name the original
record, the group, the delivery count and the reason; key and value are copied if
`errors.deadletterqueue.copy.record.enable` is true. As in Kafka 4.4 the record is archived even if its dead letter
can't be written, which is logged.

The dead letter is part of the write transaction that archives the record, so there is exactly one.
"""

import logging
from collections.abc import Callable, Sequence

from sandbox.broker.broker import Broker
from sandbox.broker.logs.log import ProducedBatch
from sandbox.broker.logs.topic import Partition, Topic
from sandbox.broker.shares.shares import ArchivedRecord
from sandbox.kafka.errors import BrokerError
from sandbox.storage.log.log import EventColumns, read_records

ENABLED = "errors.deadletterqueue.group.enable"
BATCH_BYTES, RECORD_BYTES = 61, 30
"""The size of a batch without records, and about the size of a record without key, value and headers."""

logger = logging.getLogger("sandbox.broker")


class DeadLetters:
    """Writes the dead letters of share groups.

    Args:
        broker: the broker of the topics.
        now_ms: returns the current time.
    """

    def __init__(self, broker: Broker, now_ms: Callable[[], int]) -> None:
        self._broker = broker
        self._now_ms = now_ms

    def write(self, letters: Sequence[ArchivedRecord]) -> None:
        """Write dead letters, if their group has a topic for them."""
        for letter in letters:
            name = self._broker.config.group_value(letter.group_id, "errors.deadletterqueue.topic.name")
            if not name:
                continue
            try:
                self._write(letter, self._topic(name))
            except BrokerError as error:
                logger.warning(
                    "The dead letter of share group %r for offset %d was not written: %s",
                    letter.group_id,
                    letter.offset,
                    error.detail,
                )

    def _topic(self, name: str) -> Topic:
        """Return the dead-letter topic. Raises BrokerError with the reason why it can't be used."""
        config = self._broker.config
        prefix = config.get("errors.deadletterqueue.topic.name.prefix")
        if name.startswith("__"):
            raise BrokerError("INVALID_CONFIG", f"The dead-letter topic {name} must not begin with __.")
        if not name.startswith(prefix):
            raise BrokerError(
                "INVALID_CONFIG",
                f"The name of the dead-letter topic {name} must begin with {prefix} "
                "(errors.deadletterqueue.topic.name.prefix).",
            )
        topic = self._broker.topics.get(name)
        if topic is None and config.flag("errors.deadletterqueue.auto.create.topics.enable"):
            topic = self._broker.create_topic(name, self._now_ms(), settings={ENABLED: "true"})
        if topic is None:
            raise BrokerError(
                "UNKNOWN_TOPIC_OR_PARTITION",
                f"There is no topic {name}. Create it with {ENABLED}=true, or set "
                "errors.deadletterqueue.auto.create.topics.enable=true.",
            )
        if topic.value(ENABLED, config) != "true":
            raise BrokerError("INVALID_CONFIG", f"{ENABLED} of the topic {name} is not true.")
        return topic

    def _write(self, letter: ArchivedRecord, topic: Topic) -> None:
        origin = self._origin(letter.partition_id)
        key = value = None
        if self._broker.config.group_value(letter.group_id, "errors.deadletterqueue.copy.record.enable") == "true":
            for record in read_records(self._broker.database, origin.id, letter.offset, letter.offset):
                key, value = record[2], record[3]
        headers = tuple(
            (name, text.encode())
            for name, text in (
                ("__dlq.errors.topic", origin.topic.name),
                ("__dlq.errors.partition", str(origin.partition)),
                ("__dlq.errors.offset", str(letter.offset)),
                ("__dlq.errors.group", letter.group_id),
                ("__dlq.errors.delivery.count", str(letter.deliveries)),
                ("__dlq.errors.message", letter.reason),
            )
        )
        now_ms = self._now_ms()
        size_bytes = BATCH_BYTES + RECORD_BYTES + len(key or b"") + len(value or b"")
        size_bytes += sum(len(name) + len(text) + 2 for name, text in headers)
        batch = ProducedBatch(EventColumns.of([(0, now_ms, key, value, headers)]), size_bytes)
        partition = topic.partition(origin.partition % len(topic.partitions))
        self._broker.log.check(partition, batch, now_ms)
        self._broker.log.append(partition, batch, now_ms)

    def _origin(self, partition_id: int) -> Partition:
        for topic in self._broker.topics.values():
            for partition in topic.partitions:
                if partition.id == partition_id:
                    return partition
        raise BrokerError("UNKNOWN_TOPIC_OR_PARTITION", "The topic of the record was deleted.")
