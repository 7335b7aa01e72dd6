"""A program as in Confluent's lessons for Node.js, over node-rdkafka: `ready` and `data` events, run unchanged."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.clients.catalogue import ClientUnavailableError, environment, node_native
from tests.clients.conftest import Kafka

pytestmark = [pytest.mark.clients, pytest.mark.timeout(120)]

COUNT = 100


@pytest.fixture(scope="module")
def lesson() -> list[str]:
    """The command of the program."""
    try:
        return node_native("lesson.mjs")
    except ClientUnavailableError as missing:
        pytest.skip(f"no node-rdkafka: {missing}")


def test_the_lessons_consumer_is_ready_and_gets_its_data(
    kafka: Kafka, unique: Callable[[str], str], lesson: list[str]
) -> None:
    command = [*lesson, unique("lesson"), str(COUNT), kafka.bootstrap]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(event["value"] for event in found) == sorted(f"value {number}" for number in range(COUNT))
    offsets = defaultdict(list)
    for event in found:
        assert event["key"] == f"key {int(event['value'].split()[1]) % 7}"
        offsets[event["partition"]].append(event["offset"])
    assert all(each == list(range(len(each))) for each in offsets.values())
