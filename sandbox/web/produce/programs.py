"""Python programs that do what the Produce pages do, with the values of their forms. They run against any cluster."""

import shlex

from sandbox.generator.template import EventTemplate
from sandbox.kafka.event import Headers, NewEvent
from sandbox.kafka.partitioner import PARTITIONERS

SHOWN_MAX = 2000
DEFAULT_ADDRESS = "127.0.0.1:9092"
ASK = """\
failed = []


def delivered(error, message):  # called for each event, by poll and flush
    if error:
        failed.append(error.str())
"""
"""The delivery callback: without it, a program doesn't notice refused events."""
SAY_WHERE = """\
    else:
        print("stored in partition", message.partition(), "at offset", message.offset())
"""
CHECK = """\
left = producer.flush(30)
if failed or left:
    raise SystemExit(f"{{len(failed)}} not stored: {{sorted(set(failed))}}; {{left}} without an answer")
"""
"""The end of a program with `ASK`: it fails if an event failed. A `str.format` template, as in `snippets`."""
WAIT = "while len(producer) > 50_000:  # librdkafka's queue of unsent events is limited\n"


def event_program(address: str | None, topic: str, event: NewEvent, partitioner: str, *, turn: bool = False) -> str:
    """Return a program that sends one event. Data too long to show is read from files: key.bin, value.bin, header-1.bin
    etc.

    Args:
        address: of the Kafka port; None if it is closed.
        topic: the target topic.
        event: the event; if it has a partition, the program sets it.
        partitioner: a name of `PARTITIONERS`.
        turn: True if round robin chose the partition.
    """
    notes: list[str] = []
    fields = [
        f"key={_argument(event.key, 'key.bin', 'the key', notes)}",
        f"value={_argument(event.value, 'value.bin', 'the value', notes)}",
    ]
    if event.headers:
        pairs = (
            f"({name!r}, {_argument(value, f'header-{number}.bin', f'header {number}', notes)})"
            for number, (name, value) in enumerate(event.headers, 1)
        )
        fields.append(f"headers=[{', '.join(pairs)}]")
    if event.timestamp_ms is not None:
        fields.append(f"timestamp={event.timestamp_ms}")
    if event.partition is not None:
        fields.append(f"partition={event.partition}")
    if turn:
        notes.append(f"Round robin, whatever the key: it is the turn of partition {event.partition}.")
    lines = "".join(f"    {field},\n" for field in fields)
    said = "".join(f"# {note}\n" for note in notes)
    return (
        "from confluent_kafka import Producer\n\n"
        f"{_producer(address, partitioner)}{ASK}{SAY_WHERE}\n\n"
        f"{said}producer.produce(\n    {topic!r},\n{lines}    on_delivery=delivered,\n)\n"
        f"{CHECK.format()}"
    )


def many_program(address: str | None, topic: str, partitioner: str) -> str:
    """Return a program that sends one event per line of standard input."""
    return (
        "import sys\n\n"
        "from confluent_kafka import Producer\n\n"
        f"{_producer(address, partitioner)}{ASK}\n\n"
        "for line in sys.stdin.buffer:  # python this.py < events.txt\n"
        f'    producer.produce({topic!r}, value=line.rstrip(b"\\r\\n"), on_delivery=delivered)\n'
        "    producer.poll(0)\n"
        f"    {WAIT}        producer.poll(0.1)\n"
        f"{CHECK.format()}"
    )


def generator_program(
    address: str | None, topic: str, template: EventTemplate, *, rate: float, count: int | None, seed: int
) -> str:
    """Return a program that sends events from a template at a rate.

    Args:
        address: of the Kafka port; None if it is closed.
        topic: the target topic.
        template: the template of the events.
        rate: events/s.
        count: the number of events; None for no limit.
        seed: the same seed generates the same events.
    """
    if template.key_schema or template.value_schema:
        return "# A schema of the registry is needed: the command line below does the same.\n"
    return (
        "import time\n\n"
        "from confluent_kafka import Producer\n\n"
        "from sandbox.generator.template import template_from_json\n\n"
        f"template = template_from_json({_json(template)})\n"
        f"{_producer(address, 'murmur2')}{ASK}\n\n"
        "started_s = time.monotonic()\n"
        f"for number, event in enumerate(template.events(seed={seed}, count={count})):\n"
        f"    time.sleep(max(0, started_s + number / {rate:g} - time.monotonic()))\n"
        "    headers = list(event.headers)\n"
        f"    producer.produce({topic!r}, event.value, event.key, headers=headers, on_delivery=delivered)\n"
        "    producer.poll(0)\n"
        f"    {WAIT}        producer.poll(0.1)\n"
        f"{CHECK.format()}"
    )


def generator_command(
    topic: str, file: str, template: EventTemplate, name: str, *, rate: float, count: int | None, seed: int
) -> str:
    """Return the shell command that does the same as `generator_program`.

    Args:
        name: the template's name; a template with schemas is written as options instead.
    """
    options = [("--template", name)]
    if template.key_schema or template.value_schema:
        given = {"--schema": template.value_schema, "--value": template.value}
        given |= {"--key-schema": template.key_schema, "--key": template.key}
        options = [(option, text) for option, text in given.items() if text]
        options += [("--keys", str(template.keys)), ("--skew", f"{template.skew:g}")]
    options += [("--rate", f"{rate:g}"), *([("--count", str(count))] if count else [])]
    options += [("--seed", str(seed)), ("--file", file)]
    words = " ".join(f"{option} {shlex.quote(text)}" for option, text in options)
    return f"sandbox generate {topic} {words}\n"


def _producer(address: str | None, partitioner: str) -> str:
    row = PARTITIONERS.get(partitioner)
    chosen = f', "partitioner": "{row.librdkafka}"' if row else ""
    return f'producer = Producer({{"bootstrap.servers": {address or DEFAULT_ADDRESS!r}{chosen}}})\n'


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
