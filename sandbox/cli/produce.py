"""`sandbox produce`: sends events from lines of text, JSON lines, or options."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sandbox.cli.display import show_json
from sandbox.cli.encoding import SCHEMA_TEXT, registry_option, schema_encoders
from sandbox.cli.sending import Sender
from sandbox.cli.status import Failed
from sandbox.cli.target import Target, json_option, target_options
from sandbox.kafka.partitioner import DEFAULT_PARTITIONER, PARTITIONERS
from sandbox.model.jsonl import EventLine, LineRefused, TopicLine, read_line, without_byte_order_mark

if TYPE_CHECKING:
    from sandbox.schemas.encoding import EventEncoder

_PARTITIONER_TEXT = "; ".join(f"{name}: {row.text}" for name, row in PARTITIONERS.items())


def partitioner_option(command: Any) -> Any:
    """Add --partitioner to a command: which of Kafka's partitioners chooses the partition of an event with a key."""
    return click.option(
        "--partitioner",
        type=click.Choice(list(PARTITIONERS)),
        default=DEFAULT_PARTITIONER,
        show_default=True,
        help=f"Where a key goes. {_PARTITIONER_TEXT}.",
    )(command)


@click.command(
    epilog="""\b
Examples:
  sandbox produce orders --key user-42 --value '{"total": 7}' --header source=shell
  printf 'user-42:one\\nuser-7:two\\n' | sandbox produce orders --key-separator :
  sandbox produce users --key user-42 --value NULL --null-marker NULL
  sandbox produce orders --jsonl < events.jsonl
  sandbox produce orders --value '{"id": 7}' --value-schema order.avsc
  sandbox produce orders --key 42 --key-schema orders-key --value-schema orders-value:2 < values.jsonl"""
)
@click.argument("topic")
@click.option("--key", "-k", type=click.UNPROCESSED, help="The key of every event.")
@click.option("--value", "-v", type=click.UNPROCESSED, help="One event with this value; stdin is not read.")
@click.option("--key-separator", "-s", type=click.UNPROCESSED, metavar="TEXT", help="A line is KEY TEXT VALUE.")
@click.option("--jsonl", is_flag=True, help="A line is an event as `export` writes it; only value must be there.")
@click.option(
    "--header",
    "-H",
    "headers",
    type=click.UNPROCESSED,
    multiple=True,
    metavar="NAME=VALUE",
    help="A header of every event.",
)
@click.option(
    "--null-marker",
    type=click.UNPROCESSED,
    metavar="TEXT",
    help="A key or value that is exactly TEXT is null: a tombstone.",
)
@click.option("--partition", "-p", type=click.IntRange(min=0), help="Where to; the partitioner decides if absent.")
@partitioner_option
@click.option("--value-schema", metavar="SCHEMA", help=SCHEMA_TEXT.format(part="value"))
@click.option("--key-schema", metavar="SCHEMA", help=SCHEMA_TEXT.format(part="key"))
@registry_option
@json_option
@target_options
def produce(
    topic: str,
    key: str | None,
    value: str | None,
    key_separator: str | None,
    jsonl: bool,
    headers: tuple[str, ...],
    null_marker: str | None,
    partition: int | None,
    partitioner: str,
    value_schema: str | None,
    key_schema: str | None,
    registry_url: str | None,
    as_json: bool,
    target: Target,
) -> None:
    """Send events to TOPIC: one with --value, or one per line of stdin.

    With a schema, values and keys are JSON, which is checked, encoded and framed as Confluent's serializers do.
    """
    if jsonl and (key_separator is not None or key is not None or value is not None):
        raise click.UsageError("--jsonl has keys and values in its lines: leave out --key, --value and --key-separator")
    if key_separator is not None and (key is not None or value is not None):
        raise click.UsageError("--key-separator takes keys from the lines: leave out --key and --value")
    if key_separator == "":
        raise click.UsageError("--key-separator must not be empty")
    added = tuple(_header(header) for header in headers)
    default = EventLine(None, key=None if key is None else _argument_bytes(key), headers=added, partition=partition)
    if value is not None:
        events: Iterator[tuple[str, EventLine]] = iter([("--value", replace(default, value=_argument_bytes(value)))])
    else:
        events = _from_lines(sys.stdin.buffer, default, key_separator, jsonl)
    if null_marker is not None:
        if jsonl:
            raise click.UsageError("--jsonl has null in its lines: leave out --null-marker")
        events = _with_nulls(events, _argument_bytes(null_marker))
    # One request at a time, because a retried batch must not overtake the next one.
    producer = target.producer(partitioner=PARTITIONERS[partitioner].librdkafka, linger_ms=5, max_in_flight=1)
    typed = value is None and sys.stdin.isatty()
    one_by_one = as_json or typed or value is not None
    sender = Sender(producer, on_stored=(_show_json if as_json else _show) if one_by_one else None)
    with schema_encoders(target, registry_url) as encoders:
        value_encoder = None if value_schema is None else encoders.named(value_schema, topic, "value")
        key_encoder = None if key_schema is None else encoders.named(key_schema, topic, "key")
        try:
            for origin, event in events:
                sender.send(topic, _encoded(event, origin, key_encoder, value_encoder), origin)
                if typed:
                    producer.flush()
        except (LineRefused, Failed) as refused:
            _finish(sender, refused)
        sender.finish()
    if not one_by_one:
        click.echo(f"{sender.summary()}.")


def _encoded(
    event: EventLine, origin: str, key_encoder: "EventEncoder | None", value_encoder: "EventEncoder | None"
) -> EventLine:
    """Return an event with its key and value written with schemas; null stays null. Raises `LineRefused`."""
    if key_encoder is None and value_encoder is None:
        return event
    from sandbox.schemas.schema import InvalidValue, MissingLibrary

    parts: dict[str, Any] = {}
    for part, data, encoder in (("key", event.key, key_encoder), ("value", event.value, value_encoder)):
        if encoder is not None and data is not None:
            try:
                parts[part] = encoder.encode_text(data)
            except (InvalidValue, MissingLibrary) as error:
                raise LineRefused(f"{origin}: the {part} does not fit {encoder.label}: {error}") from None
    return replace(event, **parts)


def _finish(sender: Sender, refused: Exception) -> None:
    """Store the events before the invalid line, and end the command with an error that reports how many they are."""
    try:
        sender.finish()
    except Failed as failed:
        raise Failed(f"{refused}. {failed.message}") from refused
    raise Failed(f"{refused}. {sender.stored_before()}") from refused


def _from_lines(
    lines: BinaryIO, default: EventLine, key_separator: str | None, jsonl: bool
) -> Iterator[tuple[str, EventLine]]:
    separator = None if key_separator is None else _argument_bytes(key_separator)
    for number, raw in enumerate(lines, start=1):
        origin = f"line {number}"
        try:
            line = (without_byte_order_mark(raw) if number == 1 else raw).removesuffix(b"\n").removesuffix(b"\r")
            event = read_line(line) if jsonl and line.strip() else None
        except LineRefused as refused:
            raise LineRefused(f"{origin}: {refused}") from None
        if jsonl:
            if event is None or isinstance(event, TopicLine):
                continue
            partition = event.partition if default.partition is None else default.partition
            yield origin, replace(event, headers=event.headers + default.headers, partition=partition)
        elif separator is not None:
            key, found, value = line.partition(separator)
            if not found:
                raise LineRefused(f"{origin}: the separator {key_separator!r} is not in it")
            yield origin, replace(default, key=key, value=value)
        else:
            yield origin, replace(default, value=line)


def _with_nulls(events: Iterator[tuple[str, EventLine]], marker: bytes) -> Iterator[tuple[str, EventLine]]:
    for origin, event in events:
        key, value = (None if one == marker else one for one in (event.key, event.value))
        yield origin, replace(event, key=key, value=value)


def _argument_bytes(text: str) -> bytes:
    # The shell may pass any bytes; Python represents those that are not UTF-8 as surrogates.
    return text.encode("utf-8", "surrogateescape")


def _header(text: str) -> tuple[str, bytes | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--header")
    return name, _argument_bytes(value) if equals else None


def _show(message: Any) -> None:
    click.echo(f"partition {message.partition()} · offset {message.offset()}")


def _show_json(message: Any) -> None:
    show_json(
        {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
        }
    )
