"""`sandbox consume`: prints the events of a topic, one per line."""

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.display import event_text, json_text
from sandbox.cli.ending import interrupted_by_sigterm
from sandbox.cli.position import EARLIEST, LATEST, TIME, Position, check_start, parse_start
from sandbox.cli.target import Target, json_option, target_options
from sandbox.kafka.event import Event
from sandbox.model.jsonl import to_line

if TYPE_CHECKING:
    from sandbox.client.client import AdminClient
    from sandbox.model.topics import PartitionName

PROBLEMS_MAX = 20
"""How many different reasons why something was not decoded are printed."""
Batches = Generator[list[Event], None, None]


@click.command(
    epilog="""\b
Examples:
  sandbox consume orders
  sandbox consume orders --from 10m --follow
  sandbox consume orders --from 2026-01-31T12:00:00Z --max 10 --json
  sandbox consume orders --group billing"""
)
@click.argument("topic")
@click.option(
    "--group", metavar="G", help="Read as a member of this group: from where it is, committing what is shown."
)
@click.option(
    "--from",
    "start",
    metavar="START",
    help="earliest, latest, an offset, or a time (ISO in UTC or with a zone, @ms, or 10m for ago).",
)
@click.option("--follow", is_flag=True, help="Continue with new events until Ctrl-C.")
@click.option("--max", "events_max", type=click.IntRange(min=1), metavar="N", help="Stop after N events.")
@click.option(
    "--schema-registry",
    "registry_url",
    metavar="URL",
    help="Decode with the schemas of this registry; with --file, the file's own is used.",
)
@click.option("--raw", is_flag=True, help="Show bytes as they are.")
@click.option("--decode", is_flag=True, help="With --json, add the field decoded, with what key and value hold.")
@json_option
@target_options
def consume(
    topic: str,
    group: str | None,
    start: str | None,
    follow: bool,
    events_max: int | None,
    registry_url: str | None,
    raw: bool,
    decode: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Print the events of TOPIC: the existing ones, or with --follow new ones too.

    Keys and values that are no plain text are decoded, as the topic's page does it. With --json, `key` and `value` are
    the exact bytes.

    Without --group it starts at the earliest event (with --follow, at the latest) and commits nothing.
    """
    from sandbox.cli.log_offsets import places_of, ranges

    if raw and decode:
        raise click.UsageError("--raw and --decode exclude each other")
    target.require()
    position = None if start is None else parse_start(start)
    if group is not None and position is not None and position.kind not in (EARLIEST, LATEST):
        raise click.UsageError(
            "a group starts where it has committed; --from earliest or latest is for one that has not. "
            "To move a group: sandbox groups reset"
        )
    admin = target.admin()
    places = places_of(admin, topic)
    if group is not None:
        batches = _of_group(target, topic, group, EARLIEST if position is None else position.kind, follow, events_max)
    else:
        position = position or Position(LATEST if follow else EARLIEST)
        spans = ranges(admin, places)
        check_start(start or "", position, (end for _, end in spans.values()))
        batches = _first(_of_topic(target, admin, spans, position, follow), events_max or sys.maxsize)
    try:
        with interrupted_by_sigterm():
            if raw or (as_json and not decode):
                _write(batches, len(places), as_json)
            else:
                _write_decoded(batches, target, registry_url, len(places) if as_json else None)
    except KeyboardInterrupt:
        # Ctrl-C is the normal end of --follow.
        if not follow:
            raise
    finally:
        batches.close()


def _write(batches: Batches, partitions: int, as_json: bool) -> None:
    for batch in batches:
        if batch:
            lines = [json_text(to_line(event, partitions)) if as_json else event_text(event) for event in batch]
            click.echo("\n".join(lines))


def _write_decoded(batches: Batches, target: Target, registry_url: str | None, partitions: int | None) -> None:
    """Write decoded events as text; as lines of JSON if the number of partitions is given."""
    from sandbox.cli.decoding import decoded_event, decoded_parts, event_decoder

    with event_decoder(target, registry_url) as decoder:
        said: set[str] = set()
        for batch in batches:
            for event in batch:
                parts, problems = decoded_parts(decoder, event)
                if partitions is None:
                    click.echo(event_text(decoded_event(event, parts)))
                else:
                    click.echo(json_text(to_line(event, partitions, decoded=parts)))
                for problem in problems:
                    if problem not in said and len(said) < PROBLEMS_MAX:
                        said.add(problem)
                        click.echo(f"Not decoded: {problem}", err=True)


def _first(batches: Batches, events_max: int) -> Batches:
    left = events_max
    for batch in batches:
        yield batch[:left]
        left -= len(batch)
        if left <= 0:
            return


def _of_topic(
    target: Target,
    admin: "AdminClient",
    spans: "dict[PartitionName, tuple[int, int]]",
    position: Position,
    follow: bool,
) -> Batches:
    from sandbox.cli.log_offsets import offsets_at_time, stable_ends_of, tell_held_back
    from sandbox.cli.reading import read_between, read_on

    times = offsets_at_time(admin, spans, position.number) if position.kind == TIME else {}
    firsts = {place: position.offset(start, end, times.get(place), None) for place, (start, end) in spans.items()}
    consumer = target.consumer()
    try:
        if follow:
            yield from read_on(consumer, firsts)
        else:
            stable = stable_ends_of(admin, spans)
            yield from read_between(consumer, {place: (firsts[place], end) for place, end in stable.items()})
            tell_held_back(admin, spans)
    finally:
        consumer.close()


class _Membership:
    """The partitions assigned to this member, and which of them were read to their end."""

    def __init__(self) -> None:
        self.assigned: set[tuple[str, int]] | None = None
        self.ended: set[tuple[str, int]] = set()

    def on_assign(self, _consumer: Any, places: list[Any]) -> None:
        self.assigned = (self.assigned or set()) | {(place.topic, place.partition) for place in places}

    def on_revoke(self, _consumer: Any, places: list[Any]) -> None:
        gone = {(place.topic, place.partition) for place in places}
        self.assigned = (self.assigned or set()) - gone
        self.ended -= gone

    def has(self, place: Any) -> bool:
        """True if a partition is assigned to this member now."""
        return (place.topic, place.partition) in (self.assigned or ())

    @property
    def done(self) -> bool:
        """True once a rebalance has ended and all assigned partitions (maybe none) were read to their end."""
        return self.assigned is not None and self.assigned <= self.ended


def _of_group(target: Target, topic: str, group: str, reset: str, follow: bool, events_max: int | None) -> Batches:
    from confluent_kafka import KafkaException, TopicPartition

    from sandbox.cli.reading import BATCH_EVENTS, POLL_S, event_of

    consumer = target.consumer(group_id=group, enable_auto_commit=True, auto_offset_reset=reset)
    membership = _Membership()
    left = sys.maxsize if events_max is None else events_max
    try:
        consumer.subscribe([topic], on_assign=membership.on_assign, on_revoke=membership.on_revoke)
        while follow or not membership.done:
            events, ends = [], []
            # At most what will be shown: events that were consumed here count as read.
            messages: list[Any] = consumer.consume(min(BATCH_EVENTS, left), POLL_S)
            for message in messages:
                error = message.error()
                if error is None:
                    events.append((event_of(message), message))
                elif error.name() == "_PARTITION_EOF":
                    ends.append(TopicPartition(message.topic(), message.partition(), message.offset()))
                    membership.ended.add((message.topic(), message.partition()))
                else:
                    raise KafkaException(error)
            left -= len(events)
            if events:
                yield [event for event, _ in events]
            for _, message in events:
                consumer.store_offsets(message)
            # Markers and aborted events after the last event are read too, as in the Java client.
            read = {(event.topic, event.partition): event.offset for event, _ in events}
            reached = [
                end for end in ends if end.offset > read.get((end.topic, end.partition), 0) and membership.has(end)
            ]
            if reached:
                consumer.store_offsets(offsets=reached)
            if left <= 0:
                return
    finally:
        consumer.close()
