"""`sandbox import`: stores JSON lines in topics, without loss."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click

from sandbox.cli.display import progress_bar, show_json
from sandbox.cli.produce import partitioner_option
from sandbox.cli.sending import Sender, check_sendable
from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S, Target, json_option, target_options
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.model.jsonl import EventLine, LineRefused, TopicLine, read_line, without_byte_order_mark

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


_UNKEPT = """\b
Not kept:
  offsets: events get new offsets, from the end of the topic
  LogAppendTime: the time becomes CreateTime, unless --settings applies it
  producer ids, transactions, and events without a timestamp
  settings, unless --settings is given (retention.ms=-1 in a new topic)"""


@click.command(
    "import",
    epilog=f"""{_UNKEPT}

\b
Examples:
  sandbox import orders.jsonl
  sandbox import orders.jsonl --topic orders-copy --settings
  sandbox export orders --bootstrap broker:9092 | sandbox import -""",
)
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--topic", help="Import into this topic; into the one that each line names, if absent.")
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    help="How many partitions a new topic gets; as many as the exported one had, if absent.",
)
@click.option("--settings", "apply_settings", is_flag=True, help="Give a new topic the exported topic's settings.")
@partitioner_option
@json_option
@target_options
def import_command(
    source: Path,
    topic: str | None,
    partitions: int | None,
    apply_settings: bool,
    partitioner: str,
    as_json: bool,
    target: Target,
) -> None:
    """Store the events of FILE (- for stdin), in the JSON lines format of `export`.

    Keys, values, headers, timestamps and partitions are kept, and the events of a partition are stored in the order of
    the file. A topic that does not exist is created with the exported topic's number of partitions. The whole file is
    checked before the first event is stored. On stdin, events before an invalid line are stored, and the error reports
    how many.
    """
    total = None
    sources: dict[str, ImportedTopic] = {}
    streamed = str(source) == "-" or not source.is_file()
    if not streamed:
        total, sources = _checked(source, topic)
    topics = ImportTopics(target.admin(), partitions, apply_settings)
    try:
        topics.prepare(sources)
    except Failed as failed:
        hint = "Import into a new topic with --topic, or add partitions."
        raise Failed(f"{failed.message}. Nothing was stored. {hint}") from failed
    producer = target.producer(partitioner=PARTITIONERS[partitioner].librdkafka, enable_idempotence=True, linger_ms=5)
    sender = Sender(producer)
    refused: Exception | None = None
    uncommitted = 0
    try:
        with _opened(source) as lines, progress_bar(f"Importing {source}", total) as advance:
            for origin, name, line in _lines(lines, topic):
                if name not in sources:
                    sources[name] = ImportedTopic(complete=False)
                    sources[name].add(line)
                    _at(origin, topics.prepare, {name: sources[name]})
                if isinstance(line, TopicLine):
                    continue
                if line.partition is not None:
                    _at(origin, topics.make_room, producer, name, line.partition)
                sender.send(name, line, origin)
                uncommitted += line.transaction is not None
                advance(1)
    except (LineRefused, Failed) as error:
        refused = error
    _report(sender, refused, as_json)
    for note in topics.notes:
        click.echo(note, err=True)
    if uncommitted:
        what = "event was of a transaction" if uncommitted == 1 else "events were of transactions"
        text = f"{uncommitted} {what} that had not been committed; here every consumer gets what is stored."
        click.echo(text, err=True)


def _at(origin: str, step: Callable[..., None], *arguments: object) -> None:
    """Run a step. Its error names the line."""
    try:
        step(*arguments)
    except Failed as failed:
        raise Failed(f"{origin}: {failed.message}") from failed


def _report(sender: Sender, refused: Exception | None, as_json: bool) -> None:
    try:
        sender.finish()
    except Failed as failed:
        raise Failed(f"{refused}. {failed.message}" if refused else failed.message) from refused
    if refused is not None:
        raise Failed(f"{refused}. {sender.stored_before()}") from refused
    if as_json:
        by_topic: dict[str, int] = {}
        for (name, _), count in sorted(sender.stored.items()):
            by_topic[name] = by_topic.get(name, 0) + count
        show_json({"events": sender.total, "topics": by_topic})
    else:
        click.echo(f"{sender.summary()}.")


def _opened(source: Path) -> BinaryIO:
    if str(source) == "-":
        # `closefd=False`, because stdin belongs to the process and must not be closed by the caller's `with`.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return source.open("rb")
    except OSError as error:
        raise Failed(f"{source} cannot be read: {error.strerror or error}") from error


def _checked(source: Path, topic: str | None) -> tuple[int, dict[str, ImportedTopic]]:
    """Read a whole file. Returns the number of events, and each topic's properties."""
    count = 0
    sources: dict[str, ImportedTopic] = {}
    with _opened(source) as lines:
        try:
            for origin, name, line in _lines(lines, topic):
                sources.setdefault(name, ImportedTopic()).add(line)
                if isinstance(line, EventLine):
                    check_sendable(line, origin)
                    count += 1
        except LineRefused as refused:
            raise Failed(f"{source}, {refused}. Nothing was stored.") from None
        except Failed as failed:
            raise Failed(f"{source}, {failed.message}. Nothing was stored.") from None
    return count, sources


def _lines(lines: BinaryIO, topic: str | None) -> Iterator[tuple[str, str, EventLine | TopicLine]]:
    """Yield each line's origin ("line 7"), its topic, and its content."""
    for number, raw in enumerate(lines, start=1):
        origin = f"line {number}"
        try:
            text = without_byte_order_mark(raw) if number == 1 else raw
            if not text.strip():
                continue
            line = read_line(text)
            name = topic or line.topic
            if name is None:
                raise LineRefused("it names no topic: name one with --topic")
        except LineRefused as refused:
            raise LineRefused(f"{origin}: {refused}") from None
        yield origin, name, line
