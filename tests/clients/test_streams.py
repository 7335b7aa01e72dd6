"""Kafka Streams 4.4.0: exactly-once through a failure, a standby replica that takes over, and a restored store."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.catalogue import ClientUnavailableError, environment, java
from tests.clients.conftest import Kafka
from tests.clients.processes import ROOT

pytestmark = [pytest.mark.clients, pytest.mark.timeout(180)]

WORDS = ("ant", "bee", "cat", "dog", "eel")
PROGRAM_S = 150


def test_streams_counts_each_word_exactly_once(kafka: Kafka, unique: Callable[[str], str], tmp_path: Path) -> None:
    quiet = tmp_path / "log4j2.properties"
    quiet.write_text("status=off\nrootLogger.level=off\n")
    try:
        command = java("StreamsProgram")
    except ClientUnavailableError as missing:
        pytest.skip(f"no Kafka Streams: {missing}")
    command[1:1] = [f"-Dlog4j2.configurationFile={quiet}"]
    done = subprocess.run(
        [*command, str(tmp_path / "state"), unique("words"), kafka.bootstrap],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    steps = {step["step"]: step for step in map(json.loads, done.stdout.splitlines())}
    for total, step in zip((20, 40, 60, 80), ("first", "failed", "taken over", "restored"), strict=True):
        assert steps[step]["stored"] == dict.fromkeys(WORDS, total)
    assert steps["restored"]["counts"] == {word: list(range(1, 81)) for word in WORDS}, "each count is committed once"
    failed = steps["failed"]
    assert failed["events"] == ["thread replaced"]
    assert failed["processed"] > 200, "the records of the aborted transaction were processed again"
    taken_over = steps["taken over"]
    assert "promoted" in taken_over["events"]
    assert taken_over["restored after promotion"] == 0, "the standby replica has the store already"
    restored = steps["restored"]
    assert restored["restored"] >= len(WORDS), "the state directory was empty"
