"""`sandbox import`: JSON lines into topics, exactly."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from sandbox.cli.display import show_json
from sandbox.cli.produce import partitioner_option
from sandbox.cli.progress import progress_bar
from sandbox.cli.sending import Sender
from sandbox.cli.status import Failed
from sandbox.cli.target import TIMEOUT_S, Target, json_option, target_options
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.model.jsonl import EventLine, LineRefused, from_line


@click.command(
    "import",
    epilog="""\b
Examples:
  sandbox import orders.jsonl
  sandbox import orders.jsonl --topic orders-copy --partitions 6
  sandbox export orders --bootstrap broker:9092 | sandbox import -""",
)
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--topic", help="Import into this topic; into the one that each line names, if absent.")
@click.option("--partitions", type=click.IntRange(min=1), help="How many a topic gets that is not there yet.")
@partitioner_option
@json_option
@target_options
def import_command(
    source: Path, topic: str | None, partitions: int | None, partitioner: str, as_json: bool, target: Target
) -> None:
    """Store the events of FILE (- for stdin): JSON lines, as `export` writes them.

    Keys, values, headers, timestamps and partitions are kept; offsets are the broker's. A topic that is not there yet
    is made, and keeps its events for ever (retention.ms=-1). A file is checked to its end
    before the first event is stored. From stdin, what comes before a bad line is stored, and the text says how much.
    """
    total = None
    needed: dict[str, int] = {}
    streamed = str(source) == "-" or not source.is_file()
    if not streamed:
        total, needed = _checked(source, topic)
    admin = target.admin()
    for name, count in needed.items():
        _prepare(admin, name, count, partitions)
    producer = target.producer(partitioner=PARTITIONERS[partitioner].librdkafka, enable_idempotence=True, linger_ms=5)
    sender = Sender(producer)
    prepared = set(needed)
    refused: Exception | None = None
    uncommitted = 0
    try:
        with _opened(source) as lines, progress_bar(f"Importing {source}", total) as advance:
            for origin, name, event in _events(lines, topic):
                if name not in prepared:
                    _prepare(admin, name, 0 if event.partition is None else event.partition + 1, partitions)
                    prepared.add(name)
                sender.send(name, event, origin)
                uncommitted += event.transaction is not None
                advance(1)
    except (LineRefused, Failed) as error:
        refused = error
    _report(sender, refused, as_json)
    if uncommitted:
        what = "event was of a transaction" if uncommitted == 1 else "events were of transactions"
        text = f"{uncommitted} {what} that had not been committed; here every consumer gets what is stored."
        click.echo(text, err=True)


def _report(sender: Sender, refused: Exception | None, as_json: bool) -> None:
    try:
        sender.finish()
    except Failed as failed:
        raise Failed(f"{refused}. {failed.message}" if refused else failed.message) from refused
    if refused is not None:
        raise Failed(f"{refused}. {sender.summary()} before it; nothing after it was read.") from refused
    if as_json:
        by_topic: dict[str, int] = {}
        for (name, _), count in sorted(sender.stored.items()):
            by_topic[name] = by_topic.get(name, 0) + count
        show_json({"events": sender.total, "topics": by_topic})
    else:
        click.echo(f"{sender.summary()}.")


def _opened(source: Path) -> BinaryIO:
    if str(source) == "-":
        # Not closed by the `with` that uses it: stdin belongs to the process.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return source.open("rb")
    except OSError as error:
        raise Failed(f"{source} cannot be read: {error.strerror or error}") from error


def _checked(source: Path, topic: str | None) -> tuple[int, dict[str, int]]:
    """Read a file to its end: how many events, and how many partitions each topic needs (0: any number)."""
    count = 0
    needed: dict[str, int] = {}
    with _opened(source) as lines:
        try:
            for _, name, event in _events(lines, topic):
                count += 1
                needed[name] = max(needed.get(name, 0), 0 if event.partition is None else event.partition + 1)
        except LineRefused as refused:
            raise Failed(f"{source}, {refused}. Nothing was stored.") from None
    return count, needed


def _events(lines: BinaryIO, topic: str | None) -> Iterator[tuple[str, str, EventLine]]:
    for number, line in enumerate(lines, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        origin = f"line {number}"
        try:
            event = from_line(line)
            name = topic or event.topic
            if name is None:
                raise LineRefused("it names no topic: name one with --topic")
        except LineRefused as refused:
            raise LineRefused(f"{origin}: {refused}") from None
        yield origin, name, event


def _prepare(admin: Any, topic: str, needed: int, partitions: int | None) -> None:
    """Create the topic where it is absent; refuse one that has fewer partitions than the events were in."""
    from sandbox.cli.topics import create_topic

    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    wanted = partitions or needed or None
    has = len(topics[topic].partitions) if topic in topics else wanted
    if has is not None and has < needed:
        raise Failed(
            f"the events of {topic} were in {needed} partitions, and "
            + (f"the topic has {has}. Nothing was stored." if topic in topics else f"--partitions says {has}.")
        )
    if topic not in topics:
        # With Kafka's default of a week, old events would be stored and then deleted at the next clean-up.
        create_topic(admin, topic, wanted, None, {"retention.ms": "-1"})
