"""Programs that do what the Produce pages do, with the values of their forms. They run against any cluster."""

import json
import shlex

from sandbox.generator.template import EventTemplate
from sandbox.kafka.event import Headers, NewEvent
from sandbox.kafka.partitioner import PARTITIONERS
from sandbox.web.programs import DEFAULT_ADDRESS, ShownProgram, render, shown

SHOWN_MAX = 2000


def event_programs(
    address: str | None, topic: str, event: NewEvent, partitioner: str, *, turn: bool = False
) -> list[ShownProgram]:
    """Return programs that send one event, in each language that can.

    In Python, data too long to show is read from files: key.bin, value.bin, header-1.bin etc. Other languages show
    text; they are left out for bytes that are not UTF-8, and for long data.

    Args:
        address: of the Kafka port; None if it is closed.
        topic: the target topic.
        event: the event; if it has a partition, the program sets it.
        partitioner: a name of `PARTITIONERS`.
        turn: True if round robin chose the partition.
    """
    notes: list[str] = []
    arguments = [
        ("key", _argument(event.key, "key.bin", "the key", notes)),
        ("value", _argument(event.value, "value.bin", "the value", notes)),
    ]
    if event.headers:
        pairs = (
            f"({name!r}, {_argument(value, f'header-{number}.bin', f'header {number}', notes)})"
            for number, (name, value) in enumerate(event.headers, 1)
        )
        arguments.append(("headers", f"[{', '.join(pairs)}]"))
    if event.timestamp_ms is not None:
        arguments.append(("timestamp", str(event.timestamp_ms)))
    if event.partition is not None:
        arguments.append(("partition", str(event.partition)))
    if turn:
        notes.append(f"Round robin, whatever the key: it is the turn of partition {event.partition}.")
    row = PARTITIONERS.get(partitioner)
    texts = [_text(part) for part in (event.key, event.value, *(value for _, value in event.headers))]
    return shown(
        "produce",
        address=address or DEFAULT_ADDRESS,
        topic=topic,
        partitioner=row.librdkafka if row else "",
        explain=False,
        notes=notes,
        arguments=arguments,
        key=texts[0],
        value=texts[1],
        headers=[(name, text) for (name, _), text in zip(event.headers, texts[2:], strict=True)],
        js_headers=", ".join(
            f"{json.dumps(name)}: {json.dumps(text)}" for (name, _), text in zip(event.headers, texts[2:], strict=True)
        ),
        partition=event.partition,
        timestamp_ms=event.timestamp_ms,
        is_text=all(_is_text(part) for part in (event.key, event.value, *(value for _, value in event.headers))),
    )


def event_program(address: str | None, topic: str, event: NewEvent, partitioner: str, *, turn: bool = False) -> str:
    """Return the Python program of `event_programs`."""
    return event_programs(address, topic, event, partitioner, turn=turn)[0].text


def many_programs(address: str | None, topic: str, partitioner: str) -> list[ShownProgram]:
    """Return programs that send one event per line of standard input."""
    row = PARTITIONERS.get(partitioner)
    chosen = row.librdkafka if row else ""
    return shown("many", address=address or DEFAULT_ADDRESS, topic=topic, partitioner=chosen)


def generator_programs(
    address: str | None,
    topic: str,
    template: EventTemplate,
    *,
    rate: float,
    count: int | None,
    seed: int,
    name: str = "orders",
    file: str = "dev.db",
) -> list[ShownProgram]:
    """Return the programs that send events from a template at a rate.

    Args:
        address: of the Kafka port; None if it is closed.
        topic: the target topic.
        template: the template of the events.
        rate: events/s.
        count: the number of events; None for no limit.
        seed: the same seed generates the same events.
        name: the template's name on the command line; a template with schemas is written as options instead.
        file: the sandbox file.
    """
    options = [("--template", name)]
    by_schema = bool(template.key_schema or template.value_schema)
    if by_schema:
        given = {"--schema": template.value_schema, "--value": template.value}
        given |= {"--key-schema": template.key_schema, "--key": template.key}
        options = [(option, text) for option, text in given.items() if text]
        options += [("--keys", str(template.keys)), ("--skew", f"{template.skew:g}")]
    return shown(
        "generator",
        address=address or DEFAULT_ADDRESS,
        topic=topic,
        template=_json(template),
        rate=f"{rate:g}",
        count=count,
        seed=seed,
        options=" ".join(f"{option} {shlex.quote(text)}" for option, text in options),
        by_schema=by_schema,
        file=file,
    )


def generator_program(
    address: str | None, topic: str, template: EventTemplate, *, rate: float, count: int | None, seed: int
) -> str:
    """Return the Python program of `generator_programs`."""
    return generator_programs(address, topic, template, rate=rate, count=count, seed=seed)[0].text


def many_program(address: str | None, topic: str, partitioner: str) -> str:
    """Return the Python program of `many_programs`."""
    return render(
        "many",
        "py",
        address=address or DEFAULT_ADDRESS,
        topic=topic,
        partitioner=row.librdkafka if (row := PARTITIONERS.get(partitioner)) else "",
    )


def _json(template: EventTemplate) -> str:
    text = template.to_json()
    if "'''" in text:
        return repr(text)
    return f"r'''{text}'''"


def _argument(data: bytes | None, file: str, what: str, notes: list[str]) -> str:
    """Return bytes as a Python expression; long ones are read from a file, with a note about its content."""
    if data is None or len(data) <= SHOWN_MAX:
        return _shown(data)
    notes.append(f"{file} holds {what}: {len(data):,} bytes, too long to show here.")
    return f'open("{file}", "rb").read()'


def _is_text(data: bytes | None) -> bool:
    return data is None or (len(data) <= SHOWN_MAX and _text(data) is not None and b"\0" not in data)


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _shown(data: bytes | None) -> str:
    if data is None:
        return "None"
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)


def headers_text(headers: Headers) -> str:
    """Format headers in one line, for a preview."""
    return ", ".join(
        f"{name}: {len(value):,} bytes" if value is not None and len(value) > SHOWN_MAX else f"{name}: {_shown(value)}"
        for name, value in headers
    )
