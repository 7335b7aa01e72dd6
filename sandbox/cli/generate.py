"""`sandbox generate`: sends generated events from a template to a file, a running sandbox or a cluster."""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.display import json_text, progress_bar, show_json
from sandbox.cli.encoding import SchemaEncoders, registry_option, schema_encoders
from sandbox.cli.ending import interrupted_by_sigterm
from sandbox.cli.produce import partitioner_option
from sandbox.cli.sending import Sender
from sandbox.cli.status import Failed
from sandbox.cli.target import Target, json_option, target_options
from sandbox.generator.examples import EXAMPLES
from sandbox.generator.placeholders import PLACEHOLDERS
from sandbox.generator.template import KEYS_MAX, SEED_MAX, SKEW_MAX, EventTemplate, TemplateRefused, template_from_json
from sandbox.kafka.event import Event, NewEvent
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.model.jsonl import EventLine, LineRefused, to_line, without_byte_order_mark

if TYPE_CHECKING:
    from sandbox.client.client import Producer

_NAMES = ", ".join(EXAMPLES)


@click.command(
    epilog=f"""\b
Templates that come with it: {_NAMES}.

\b
Examples:
  sandbox generate orders --template orders --rate 100 --count 1000 --seed 1
  sandbox generate clicks --template clicks --rate 20
  sandbox generate orders --key 'user-{{{{pool}}}}' --value '{{"n": {{{{seq}}}}}}' --count 10 --dry-run
  sandbox generate orders --schema orders-value --count 100 --seed 1
  sandbox generate orders --schema order.avsc --key 'user-{{{{pool}}}}'
  sandbox generate orders --template my.json --rate 0 --count 100000 --bootstrap broker:9092

\b
Placeholders: {" ".join(PLACEHOLDERS)}.
Written {{{{name argument ...}}}}; the page lists each with an example (Produce, Generator)."""
)
@click.argument("topic")
@click.option("--template", "-t", metavar="NAME|FILE", help="One that comes with it, a saved one, or a JSON file.")
@click.option("--key", "-k", metavar="TEMPLATE", help="The key, in place of the template's.")
@click.option("--value", "-v", metavar="TEMPLATE", help="The value, in place of the template's.")
@click.option(
    "--schema",
    metavar="SCHEMA",
    help="Random values of this schema: SUBJECT, SUBJECT:VERSION, or a file, which is registered as TOPIC-value. With "
    "--value or --template, their JSON is written with it.",
)
@click.option("--key-schema", metavar="SCHEMA", help="The same for keys; a file is registered as TOPIC-key.")
@registry_option
@click.option("--header", "-H", "headers", multiple=True, metavar="NAME=TEMPLATE", help="One more header.")
@click.option("--keys", type=click.IntRange(1, KEYS_MAX), help="How many keys the pool has.")
@click.option("--skew", type=click.FloatRange(0, SKEW_MAX), help="0: all keys as often; 1: Zipf's law.")
@click.option("--null-percent", type=click.FloatRange(0, 100), help="Percentage of tombstones.")
@click.option(
    "--rate", "-r", type=click.FloatRange(0), default=10.0, show_default=True, help="Events/s; 0: as fast as it goes."
)
@click.option("--count", "-n", type=click.IntRange(1), help="Stop after this many events; Ctrl+C stops it too.")
@click.option("--duration", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End after so long.")
@click.option("--seed", type=click.IntRange(0, SEED_MAX), help="The same seed makes the same events.")
@click.option("--dry-run", is_flag=True, help="Write the events as JSON lines, and send nothing (10 if no --count).")
@partitioner_option
@json_option
@target_options
def generate(
    topic: str,
    template: str | None,
    key: str | None,
    value: str | None,
    schema: str | None,
    key_schema: str | None,
    registry_url: str | None,
    headers: tuple[str, ...],
    keys: int | None,
    skew: float | None,
    null_percent: float | None,
    rate: float,
    count: int | None,
    duration: float | None,
    seed: int | None,
    dry_run: bool,
    partitioner: str,
    as_json: bool,
    target: Target,
) -> None:
    """Send generated events to TOPIC at a rate, until the count, the duration or Ctrl+C."""
    if template is None and value is None and schema is None:
        raise click.UsageError(f"name a --template ({_NAMES}, or a file) or a --schema, or write a --value")
    found = EventTemplate(value, value_schema=schema or "") if template is None else _template(template, target)
    chosen = EventTemplate(
        value=found.value if value is None else value,
        key=found.key if key is None else key,
        headers=found.headers + tuple(_header(header) for header in headers),
        null_percent=found.null_percent if null_percent is None else null_percent,
        keys=found.keys if keys is None else keys,
        skew=found.skew if skew is None else skew,
        key_schema=found.key_schema if key_schema is None else key_schema,
        value_schema=found.value_schema if schema is None else schema,
    )
    drawn = random.SystemRandom().randrange(1, 1_000_000) if seed is None else seed
    # The producer decides who has the file, so it comes before the registry is asked.
    producer = None if dry_run else _producer(target, partitioner)
    with schema_encoders(target, registry_url) as encoders:
        for part, name in (("key", chosen.key_schema), ("value", chosen.value_schema)):
            if name:
                encoders.named(name, topic, part, register=not dry_run)
        if producer is None:
            for event in chosen.events(drawn, 10 if count is None else count, encoders=encoders.find):
                click.echo(_line(topic, _readable(event, chosen, encoders)))
            return
        events = chosen.events(drawn, count, encoders=encoders.find)
        _send(topic, events, rate, count, duration, producer, as_json, drawn)


def _producer(target: Target, partitioner: str) -> "Producer":
    return target.producer(partitioner=PARTITIONERS[partitioner].librdkafka, linger_ms=5, max_in_flight=1)


def _readable(event: NewEvent, template: EventTemplate, encoders: SchemaEncoders) -> NewEvent:
    """Return an event with the JSON of a key and value that are written with schemas."""
    parts: dict[str, Any] = {}
    for part, name, data in (("key", template.key_schema, event.key), ("value", template.value_schema, event.value)):
        if name and data is not None:
            from sandbox.schemas.json_text import value_text

            parts[part] = value_text(encoders.find(name).decode(data)).encode("utf-8", "surrogatepass")
    return event._replace(**parts) if parts else event


def _send(
    topic: str,
    events: Iterator[NewEvent],
    rate: float,
    count: int | None,
    duration: float | None,
    producer: "Producer",
    as_json: bool,
    seed: int,
) -> None:
    sender = Sender(producer)
    started_s = time.monotonic()
    ended = False
    with interrupted_by_sigterm(), progress_bar(f"Sending to {topic}", count) as advance:
        try:
            for number, event in enumerate(events):
                due_s = started_s + (number / rate if rate else 0)
                if duration is not None and max(due_s, time.monotonic()) >= started_s + duration:
                    break
                _rest(producer, due_s)
                sender.send(topic, EventLine(event.value, event.key, event.headers), f"event {number + 1}")
                advance(1)
                if sender.failed:
                    break
        except KeyboardInterrupt:
            ended = True
        except TemplateRefused as refused:
            sender.finish()
            raise Failed(f"{refused}. {sender.stored_before()}") from refused
        # A second Ctrl+C, while the rest is being stored, ends the command immediately.
        sender.finish()
    took_s = max(0.001, time.monotonic() - started_s)
    if as_json:
        show_json({"topic": topic, "events": sender.total, "rate": round(sender.total / took_s, 1), "seed": seed})
        return
    told = f"{sender.summary()}; {sender.total / took_s:,.4g} events/s, seed {seed}."
    click.echo(f"\n{told}" if ended and sys.stdout.isatty() else told)


def _rest(producer: object, due_s: float) -> None:
    """Wait until an event is due, and handle the acknowledgements of earlier events meanwhile."""
    while (left_s := due_s - time.monotonic()) > 0:
        if left_s > 0.01:
            producer.poll(min(left_s - 0.005, 0.5))  # type: ignore[attr-defined]
        if (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.05))


def _template(name: str, target: Target) -> EventTemplate:
    if name in EXAMPLES:
        return EXAMPLES[name]
    path = Path(name)
    if path.suffix == ".json" or path.is_file():
        try:
            return template_from_json(without_byte_order_mark(path.read_bytes()).decode("utf-8"))
        except (OSError, UnicodeDecodeError, LineRefused) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Failed(f"{path} cannot be read: {reason}") from error
    if target.file is not None:
        from sandbox.storage.resources import read_template

        text = None
        with suppress(OSError):
            text = read_template(target.file, name)
        if text is not None:
            return template_from_json(text)
    where = f"; none of that name is saved in {target.file}" if target.file else ""
    raise Failed(f"There is no template {name!r}: they are {_NAMES}{where}. A file is named NAME.json.")


def _header(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise click.BadParameter(f"{text!r} is not NAME=TEMPLATE", param_hint="--header")
    return name, value if equals else None


def _line(topic: str, event: NewEvent) -> str:
    import json

    made = json.loads(to_line(Event(topic, 0, 0, 0, 0, event.key, event.value, event.headers)))
    return json_text(json.dumps({name: made[name] for name in ("key", "value", "headers")}, ensure_ascii=False))
