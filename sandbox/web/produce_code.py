"""The Python that does what the Produce pages do, with what is in their forms. It runs against any cluster."""

from sandbox.event import Headers, NewEvent
from sandbox.generator.template import EventTemplate
from sandbox.partitioner import PARTITIONERS

SHOWN_MAX = 2000
DEFAULT_ADDRESS = "127.0.0.1:9092"


def event_program(address: str | None, topic: str, event: NewEvent, partitioner: str) -> str:
    """Send one event.

    Args:
        address: of the Kafka port; None where none is open.
        topic: where to.
        event: what to send; a fixed partition is kept.
        partitioner: a name of `PARTITIONERS`.
    """
    fields = [f"key={_shown(event.key)}", f"value={_shown(event.value)}"]
    if event.headers:
        fields.append(f"headers=[{', '.join(_pair(name, value) for name, value in event.headers)}]")
    if event.timestamp_ms is not None:
        fields.append(f"timestamp={event.timestamp_ms}")
    if event.partition is not None:
        fields.append(f"partition={event.partition}")
    lines = "".join(f"    {field},\n" for field in fields)
    return (
        "from confluent_kafka import Producer\n\n"
        f"{_producer(address, partitioner)}"
        f"producer.produce(\n    {topic!r},\n{lines})\n"
        "producer.flush()\n"
    )


def many_program(address: str | None, topic: str, partitioner: str) -> str:
    """Send one event for each line of standard input."""
    return (
        "import sys\n\n"
        "from confluent_kafka import Producer\n\n"
        f"{_producer(address, partitioner)}"
        "for line in sys.stdin.buffer:  # python this.py < events.txt\n"
        f'    producer.produce({topic!r}, value=line.rstrip(b"\\r\\n"))\n'
        "    producer.poll(0)\n"
        "producer.flush()\n"
    )


def generator_program(
    address: str | None, topic: str, template: EventTemplate, *, rate: float, count: int | None, seed: int
) -> str:
    """Send events from a template at a rate.

    Args:
        address: of the Kafka port; None where none is open.
        topic: where to.
        template: what the events look like.
        rate: events/s.
        count: how many; None for no end.
        seed: the same seed makes the same events.
    """
    return (
        "import time\n\n"
        "from confluent_kafka import Producer\n\n"
        "from sandbox.generator.template import template_from_json\n\n"
        f"template = template_from_json({_json(template)})\n"
        f"{_producer(address, 'murmur2')}"
        "started_s = time.monotonic()\n"
        f"for number, event in enumerate(template.events(seed={seed}, count={count})):\n"
        f"    time.sleep(max(0, started_s + number / {rate:g} - time.monotonic()))\n"
        f"    producer.produce({topic!r}, key=event.key, value=event.value, headers=list(event.headers))\n"
        "    producer.poll(0)\n"
        "producer.flush()\n"
    )


def generator_command(topic: str, file: str, name: str, *, rate: float, count: int | None, seed: int) -> str:
    """The same from a shell. The words must be quoted already."""
    end = f" --count {count}" if count else ""
    return f"sandbox generate {topic} --template {name} --rate {rate:g}{end} --seed {seed} --file {file}\n"


def _producer(address: str | None, partitioner: str) -> str:
    row = PARTITIONERS.get(partitioner)
    chosen = f', "partitioner": "{row.librdkafka}"' if row else ""
    return f'producer = Producer({{"bootstrap.servers": {address or DEFAULT_ADDRESS!r}{chosen}}})\n'


def _json(template: EventTemplate) -> str:
    text = template.to_json()
    if "'''" in text:
        return repr(text)
    return f"r'''{text}'''"


def _pair(name: str, value: bytes | None) -> str:
    return f"({name!r}, {_shown(value)})"


def _shown(data: bytes | None) -> str:
    if data is None:
        return "None"
    if len(data) > SHOWN_MAX:
        return f'open("value.bin", "rb").read()  # {len(data):,} bytes, too long to show'
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)


def headers_text(headers: Headers) -> str:
    """Headers in one line, for a preview."""
    return ", ".join(f"{name}: {_shown(value)}" for name, value in headers)
