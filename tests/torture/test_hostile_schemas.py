"""Hostile schemas are answered in bounded time and memory, and do not hold up a producer's acknowledgements."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.registry import parsing
from sandbox.registry.parsing import Source
from tests.torture.hostile_schemas import HOSTILE
from tests.torture.stalls import peak_memory_mib
from tests.web.registry.client import Registry

SERVED = """
import sys
from sandbox import Sandbox
with Sandbox(sys.argv[1]) as box:
    box.serve(kafka_port=0, web_port=None)
    box.create_topic("steady")
    print(box.kafka_address, box.registry_address, flush=True)
    sys.stdin.readline()
"""
ACKNOWLEDGED_WITHIN_MS = 5_000
"""Usually some 100 ms, for the largest schemas up to 400 ms; the test must not fail on a busy machine."""
MEMORY_MIB_MAX = 900
REMOTE = ("a remote reference", "a file reference", "an import outside")
REFUSED = (*REMOTE, "deep Avro arrays", "deep JSON", "deep lists", "4 MB of text", "a bomb of base64")


class Served(NamedTuple):
    """A sandbox in another process."""

    pid: int
    kafka: str
    registry: Registry


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SERVED, str(Path(folder, "dev.db"))]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            try:
                assert process.stdout is not None
                kafka, registry = process.stdout.readline().split()
                yield Served(process.pid, kafka, Registry(registry))
            finally:
                process.kill()


def test_hostile_schemas_are_answered_and_a_producer_is_not_held_up(served: Served) -> None:
    command = [sys.executable, "-m", "tests.torture.steady", served.kafka, "steady", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as producer:
        assert producer.stdout is not None
        producer.stdout.readline()
        for number, (name, body) in enumerate(HOSTILE.items()):
            registered = served.registry.ask(f"POST /subjects/s{number}/versions", body)
            assert registered.status in (200, 422), f"{name}: {registered}"
            assert (registered.status == 422) or name not in REFUSED, name
            renamed = body["schema"].replace("f1", "g1").replace("p1", "q1").replace("int32", "int64")
            checked = served.registry.ask(
                f"POST /compatibility/subjects/s{number}/versions", {**body, "schema": renamed}
            )
            assert checked.status in (200, 422), f"{name}: {checked}"
        out, _ = producer.communicate(timeout=60)
    assert max(json.loads(out)) < ACKNOWLEDGED_WITHIN_MS
    assert peak_memory_mib(served.pid) < MEMORY_MIB_MAX


@pytest.mark.parametrize("name", REMOTE)
def test_nothing_outside_is_read(served: Served, name: str) -> None:
    answer = served.registry.ask("POST /subjects/outside/versions", HOSTILE[name])
    assert answer.value["error_code"] == 42201
    assert "root:" not in answer.value["message"]


def test_parsed_schemas_are_cached_by_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "CACHED_CHARS_MAX", 1_000)
    cache = parsing._ParsedCache(parsing._parsed)
    for number in range(20):
        text = json.dumps({"type": "fixed", "name": f"F{number}", "size": 1, "doc": "x" * 100})
        cache(Source("AVRO", text, (), ()))
    assert 5 < len(cache._known) < 9
    assert cache._chars <= 1_000
    for number in range(6):
        cache(Source("AVRO", json.dumps({"type": "fixed", "name": f"L{number}", "size": 1, "doc": "x" * 900}), (), ()))
    assert len(cache._known) == parsing.CACHED_MIN
