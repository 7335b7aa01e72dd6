"""The programs that the Produce pages show do, against a Kafka port, what the pages do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.generator.examples import EXAMPLES
from sandbox.generator.template import EventTemplate
from sandbox.kafka.event import NewEvent
from sandbox.web.produce.programs import event_program, generator_program, many_program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(file: Path) -> Iterator[Sandbox]:
    """A sandbox of today: a topic refuses the timestamps of a client whose clock is years ahead."""
    with Sandbox(file) as sandbox:
        sandbox.serve(kafka_port=0, web_port=None)
        yield sandbox


def run(program: str, stdin: bytes = b"") -> None:
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, input=stdin, check=True, timeout=60)


def test_the_program_of_one_event_sends_that_event(served: Sandbox) -> None:
    served.create_topic("orders", partitions=6)
    new = NewEvent(b'it\'s "x"\n\xe2\x82\xac', b"\xff\x00", (("h", b"\xfe"), ("n", None)), 1714566600123, None)
    run(event_program(served.kafka_address, "orders", new, "murmur2"))
    (event,) = served.read("orders")
    assert (event.key, event.value, event.headers, event.timestamp_ms) == (
        new.key,
        new.value,
        new.headers,
        new.timestamp_ms,
    )
    assert event.partition == served.partition_for("orders", new.key)


def test_the_program_of_many_sends_each_line(served: Sandbox) -> None:
    served.create_topic("orders", partitions=1)
    run(many_program(served.kafka_address, "orders", "murmur2"), b"one\r\ntwo\n")
    assert [event.value for event in served.read("orders", offset=0)] == [b"one", b"two"]


def test_the_program_of_a_generator_sends_what_the_generator_sends(served: Sandbox) -> None:
    for topic in ("page", "program"):
        served.create_topic(topic, partitions=3)
    template = EventTemplate(EXAMPLES["payments"].value, "it's {{pool}}", (("q", "'''{{seq}}\\"),), 5, 10, 1)
    served.generators.start("page", template, rate=2000, count=40, seed=5)
    served.generators.wait(1, 20)
    run(generator_program(served.kafka_address, "program", template, rate=2000, count=40, seed=5))
    page, program = (
        sorted((e.partition, e.key, e.value or b"", e.headers) for e in served.read(topic, limit=100))
        for topic in ("page", "program")
    )
    assert len(page) == 40
    assert page == program
