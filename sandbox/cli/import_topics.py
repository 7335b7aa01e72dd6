"""Creates and checks the topics that an import writes to."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S
from sandbox.model.jsonl import EventLine, TopicLine

# With Kafka's default of a week, old events would be stored and then deleted by the next retention run.
_KEPT_FOREVER = {"retention.ms": "-1"}


@dataclass(slots=True)
class ImportedTopic:
    """A topic's properties, collected from the lines.

    Attributes:
        partitions: number of partitions of the exported topic; 0 if the lines don't contain it.
        needed: the highest partition that an event names, plus one.
        settings: the exported topic's changed settings.
        complete: True if every line was read; False for the first line of a stream.
    """

    partitions: int = 0
    needed: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    complete: bool = True

    def add(self, line: EventLine | TopicLine) -> None:
        """Add one line of the topic."""
        self.partitions = max(self.partitions, line.partitions or 0)
        if isinstance(line, EventLine) and line.partition is not None:
            self.needed = max(self.needed, line.partition + 1)
        self.settings.update(line.settings)


class ImportTopics:
    """Creates and checks the topics of one import.

    Args:
        admin: an admin client.
        partitions: number of partitions of a new topic; None for the exported topic's number.
        apply_settings: True gives a new topic the exported topic's settings.

    Attributes:
        notes: what the import did not keep, as sentences for the user.
    """

    def __init__(self, admin: Any, partitions: int | None, apply_settings: bool) -> None:
        self._admin = admin
        self._partitions = partitions
        self._apply_settings = apply_settings
        self._counts: dict[str, int] = {}
        self._created: set[str] = set()
        self.notes: list[str] = []

    def prepare(self, sources: Mapping[str, ImportedTopic]) -> None:
        """Create the topics that do not exist. All of them are checked before the first one is created.

        Raises:
            Failed: a topic has, or would get, too few partitions for its events.
        """
        found = self._admin.list_topics(timeout=TIMEOUT_S).topics
        for topic, source in sources.items():
            self._check(topic, source, len(found[topic].partitions) if topic in found else None)
        for topic, source in sources.items():
            if topic in found:
                self._counts[topic] = len(found[topic].partitions)
            else:
                self._create(topic, source)
            self._note(topic, source)

    def _check(self, topic: str, source: ImportedTopic, has: int | None) -> None:
        if has is None:
            has = self._partitions
        # Later events of a stream may be in any partition that the exported topic had.
        needed = source.needed if source.complete else max(source.needed, source.partitions)
        if has is None or has >= needed:
            return
        raise Failed(
            f"the events of {topic} were in {source.partitions or needed} partitions, and "
            + (f"--partitions is {has}" if has == self._partitions else f"the topic has {has}")
        )

    def _create(self, topic: str, source: ImportedTopic) -> None:
        from sandbox.cli.topics import create_topic

        settings = {**_KEPT_FOREVER, **(source.settings if self._apply_settings else {})}
        wanted = self._partitions or max(source.partitions, source.needed)
        create_topic(self._admin, topic, wanted or None, None, settings)
        self._counts[topic] = wanted or len(self._admin.list_topics(timeout=TIMEOUT_S).topics[topic].partitions)
        self._created.add(topic)

    def _note(self, topic: str, source: ImportedTopic) -> None:
        has = self._counts[topic]
        if source.partitions and source.partitions != has:
            self.notes.append(
                f"{topic} has {has} partitions and the exported topic had {source.partitions}. The events keep their "
                "partition, so new events with the same key may go to another one."
            )
        if self._apply_settings and topic in self._created:
            return
        now = _KEPT_FOREVER if topic in self._created else self._settings(topic) if source.settings else {}
        unlike = {name: value for name, value in source.settings.items() if now.get(name) != value}
        if not unlike:
            return
        listed = ", ".join(f"{name}={value}" for name, value in sorted(unlike.items()))
        self.notes.append(
            f"{topic} existed before: it keeps its own settings. The exported topic had {listed}."
            if topic not in self._created
            else f"{topic} was created without the exported topic's settings ({listed}). --settings applies them."
        )

    def _settings(self, topic: str) -> dict[str, str | None]:
        from confluent_kafka import KafkaException

        from sandbox.cli.topics import changed_settings

        try:
            return changed_settings(self._admin, topic)
        except KafkaException:
            return {}

    def make_room(self, producer: Any, topic: str, partition: int) -> None:
        """Add partitions to a topic that this import created, if an event needs more than it has.

        Raises:
            Failed: the topic existed before the import, or its number of partitions was specified.
        """
        has = self._counts[topic]
        if partition < has:
            return
        if topic not in self._created or self._partitions is not None:
            raise Failed(f"the event was in partition {partition}, and {topic} has {has} partitions")
        from sandbox.cli.log_offsets import KAFKA_ADMIN

        wanted = KAFKA_ADMIN.NewPartitions(topic, partition + 1)
        self._admin.create_partitions([wanted], operation_timeout=TIMEOUT_S)[topic].result()
        self._counts[topic] = partition + 1
        # The producer refuses a partition that its metadata doesn't contain.
        deadline_s = time.monotonic() + TIMEOUT_S
        while len(producer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions) <= partition:
            if time.monotonic() > deadline_s:
                raise Failed(f"{topic} has no partition {partition} after {TIMEOUT_S:g} s")
            time.sleep(0.05)
