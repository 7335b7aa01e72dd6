"""A short and repeatable part of the fuzzing; `make torture` runs more."""

import logging
import tracemalloc
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from sandbox.api.sandbox import Sandbox
from sandbox.model.sql_result import Bounds, SqlRefused
from tests.torture import served
from tests.torture.fuzz import feed, fuzz
from tests.torture.mutation import mutated
from tests.torture.targets import OUTPUT_MAX, QUERIES, TARGETS, Target, compressed_corpus, feed_compressed

INPUTS = 1_500


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs_are_read_or_refused(name: str) -> None:
    assert fuzz(name, INPUTS, seed=1) == []


def test_changed_requests_to_a_broker_are_answered_or_end_their_connection(file: Path) -> None:
    assert served.run(file, 400, seed=1) == []


def test_changed_queries_run_or_are_refused_and_change_nothing(box: Sandbox) -> None:
    dice = Random(1)
    box.append("orders", '{"id": 1}')
    for _ in range(150):
        query = mutated(dice, dice.choice(QUERIES), dice.choice(QUERIES)).decode("utf-8", "replace")
        with suppress(SqlRefused):
            box.queries.run(query, {"name": 1}, Bounds(1.0, 100))
    assert [event.value for event in box.read("orders")] == [b'{"id": 1}']


def test_bombs_of_64_mib_are_refused_within_the_memory_that_is_allowed() -> None:
    bombs = [data for data in compressed_corpus() if len(data) > 10_000 or data[0] == 4]
    tracemalloc.start()
    try:
        for bomb in bombs:
            feed_compressed(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(bombs) >= 4
    assert peak_bytes < 16 * OUTPUT_MAX


def test_a_defect_is_found() -> None:
    def broken(data: bytes) -> None:
        assert b"\xff\xff" not in data

    found = feed("broken", Target(broken, lambda: [b""], 1), b"\xff\xff")
    assert found is not None
    assert found.what.startswith("AssertionError")


def test_a_traceback_in_the_log_is_found() -> None:
    tracebacks = served.Tracebacks()
    logger = logging.Logger("broken")
    logger.addHandler(tracebacks)
    logger.warning("a request was refused")
    try:
        raise ZeroDivisionError("a bug")
    except ZeroDivisionError:
        logger.exception("a request failed")
    (found,) = tracebacks.found
    assert found.startswith("a request failed ZeroDivisionError: a bug (test_fuzz.py:")
