"""`sandbox export`: writes a topic as JSON lines, without loss."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from sandbox.cli.display import progress_bar, show_json
from sandbox.cli.status import Failed
from sandbox.cli.target import Target, json_option, target_options
from sandbox.kafka.event import Event
from sandbox.model.jsonl import to_line, topic_line


@click.command(
    "export",
    epilog="""\b
Examples:
  sandbox export orders -o orders.jsonl
  sandbox export orders --bootstrap broker:9092 | sandbox import - --topic orders-copy""",
)
@click.argument("topic")
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="PATH", help="Where to; stdout if absent.")
@click.option(
    "--decode", is_flag=True, help="Add the field decoded to each line, with what key and value hold as JSON."
)
@click.option(
    "--schema-registry", "registry_url", metavar="URL", help="With --decode: the registry; with --file, the file's own."
)
@json_option
@target_options
def export_command(
    topic: str, output: Path | None, decode: bool, registry_url: str | None, as_json: bool, target: Target
) -> None:
    """Write the events of TOPIC as JSON lines, partition by partition, each in offset order.

    `import` restores them exactly in a topic with the same number of partitions. Each line has that number, and the
    first line has the topic's changed settings. An empty topic is one line without an event. The file is created only
    when it is complete. Like a read_committed consumer, export leaves out events of aborted transactions and ends
    before an open transaction. `key` and `value` are always the stored bytes, so a file with --decode can be imported,
    too. With --json, -o also prints a line with the number of events.
    """
    from sandbox.cli.log_offsets import places_of, ranges, stable_ends_of, tell_held_back
    from sandbox.cli.reading import read_between

    target.require()
    admin = target.admin()
    stable = stable_ends_of(admin, places_of(admin, topic))
    settings = _settings(admin, topic)
    spans = {place: (start, stable[place]) for place, (start, _) in ranges(admin, stable).items()}
    total = sum(end - start for start, end in spans.values())
    events = 0
    consumer = target.consumer()
    try:
        with (
            _decoding(decode, target, registry_url) as decoded,
            _opened(output) as lines,
            progress_bar(f"Exporting {topic}", total) as advance,
        ):
            for place, span in spans.items():
                for batch in read_between(consumer, {place: span}):
                    if not events:
                        first = batch.pop(0)
                        lines.write(f"{to_line(first, len(stable), settings, decoded(first))}\n".encode())
                        events += 1
                        advance(1)
                    texts = (to_line(event, len(stable), None, decoded(event)) for event in batch)
                    lines.write("".join(f"{text}\n" for text in texts).encode())
                    events += len(batch)
                    advance(len(batch))
            if not events:
                lines.write(f"{topic_line(topic, len(stable), settings)}\n".encode())
    finally:
        consumer.close()
    if output is not None and as_json:
        show_json({"topic": topic, "events": events, "file": str(output)})
    elif output is not None:
        click.echo(f"{events} events of {topic} written to {output}.", err=True)
    tell_held_back(admin, spans)


@contextmanager
def _decoding(wanted: bool, target: Target, registry_url: str | None) -> Iterator[Callable[[Event], Mapping[str, str]]]:
    """Return a function that returns the JSON texts of an event's key and value; none if they are not wanted."""
    if not wanted:
        yield lambda event: {}
        return
    from sandbox.cli.decoding import decoded_parts, event_decoder

    with event_decoder(target, registry_url) as decoder:
        yield lambda event: decoded_parts(decoder, event)[0]


def _settings(admin: Any, topic: str) -> dict[str, str]:
    """Return the topic's changed settings, without secrets; none if this user may not read them."""
    from confluent_kafka import KafkaException

    from sandbox.cli.topics import changed_settings

    try:
        found = changed_settings(admin, topic)
    except KafkaException:
        return {}
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if output.exists() and not output.is_file():
        # A pipe or a device receives the lines directly, and must not be replaced.
        with output.open("wb") as lines:
            yield lines
        return
    unfinished = output.with_name(f"{output.name}.unfinished-{os.getpid()}")
    try:
        with unfinished.open("xb") as lines:
            yield lines
        unfinished.replace(output)
    except OSError as error:
        raise Failed(f"{output} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
