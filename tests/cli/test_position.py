"""Start positions: offsets and times, parsed and applied."""

import click
import pytest

from sandbox.cli.position import (
    EARLIEST,
    LATEST,
    OFFSET,
    SHIFT,
    TIME,
    Position,
    check_start,
    parse_reset,
    parse_start,
    parse_time,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", 1769860800000),
        ("2026-01-31T12:00:00", 1769860800000),
        ("2026-01-31T13:00:00.250+01:00", 1769860800250),
        ("2026-01-31", 1769817600000),
        ("@1769860800001", 1769860800001),
        ("10m", 400_000),
        ("2h", 0),
        ("1969-12-31T23:59:59Z", -1000),
    ],
)
def test_a_time_is_read(text: str, expected: int) -> None:
    assert parse_time(text, now_ms=1_000_000) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "@", "@-1", "10 m", "-10m", "2026-13-01", "²", "9" * 30 + "d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("earliest", Position(EARLIEST)),
        ("latest", Position(LATEST)),
        ("42", Position(OFFSET, 42)),
        ("@42", Position(TIME, 42)),
        ("offset:42", Position(OFFSET, 42)),
        ("time:2026-01-31", Position(TIME, 1769817600000)),
    ],
)
def test_a_start_is_read(text: str, expected: Position) -> None:
    assert parse_start(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("earliest", Position(EARLIEST)),
        ("latest", Position(LATEST)),
        ("offset:42", Position(OFFSET, 42)),
        ("time:2026-01-31T12:00:00Z", Position(TIME, 1769860800000)),
        ("time:1769860800000", Position(TIME, 1769860800000)),
        ("time:@1769860800000", Position(TIME, 1769860800000)),
        ("shift:-5", Position(SHIFT, -5)),
        ("shift:+5", Position(SHIFT, 5)),
        ("shift:5", Position(SHIFT, 5)),
    ],
)
def test_a_reset_is_read(text: str, expected: Position) -> None:
    assert parse_reset(text) == expected


@pytest.mark.parametrize("text", ["", "first", "earliest:", "offset:-1", "offset:", "shift:", "shift:x", "time:", "42"])
def test_what_is_no_reset_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_reset(text)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (Position(EARLIEST), 10),
        (Position(LATEST), 20),
        (Position(OFFSET, 15), 15),
        (Position(OFFSET, 5), 10),
        (Position(OFFSET, 25), 20),
        (Position(TIME, 1), 13),
        (Position(SHIFT, 2), 14),
        (Position(SHIFT, -9), 10),
        (Position(SHIFT, 99), 20),
    ],
)
def test_a_position_is_an_offset_inside_the_log(position: Position, expected: int) -> None:
    assert position.offset(10, 20, 13, 12) == expected


def test_a_time_after_the_last_event_is_the_end() -> None:
    assert Position(TIME, 1).offset(10, 20, None, 12) == 20


def test_a_shift_without_a_commit_counts_from_the_start() -> None:
    assert Position(SHIFT, 3).offset(10, 20, None, None) == 13


def test_a_timestamp_is_shown_in_utc() -> None:
    assert [time_text(timestamp_ms) for timestamp_ms in (1517363399650, 0, -1, 2**62)] == [
        "2018-01-31T01:49:59.650Z",
        "1970-01-01T00:00:00.000Z",
        "-",
        f"@{2**62}",
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1700000000000", "time:2023-11-14T22:13:20Z"),
        ("1700000000001", "time:2023-11-14T22:13:20.001Z"),
        ("1700000000", "time:2023-11-14T22:13:20Z"),
        ("1700000000000000", "time:2023-11-14T22:13:20Z"),
        ("1700000000000000000", "time:2023-11-14T22:13:20Z"),
        ("20231114", "time:2023-11-14,"),
    ],
)
def test_an_offset_beyond_the_end_that_looks_like_a_time_is_refused(text: str, meant: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        check_start(text, parse_start(text), [10, 20])
    assert meant in refused.value.message
    assert f"offset:{text}" in refused.value.message
    check_start(text, parse_start(text), [10, int(text)])
    check_start(f"offset:{text}", parse_start(f"offset:{text}"), [10])


@pytest.mark.parametrize("text", ["99", "20231399", "12345678901", "earliest", "@1700000000000", "2023-11-14"])
def test_what_looks_like_no_time_may_be_beyond_the_end(text: str) -> None:
    check_start(text, parse_start(text), [10])
