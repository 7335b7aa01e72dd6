"""Frames in front of payloads, and headers instead of them."""

import uuid

import pytest

from sandbox.schemas.framing import (
    Frame,
    classic_frame,
    header_content,
    indexes_bytes,
    read_frame,
    read_indexes,
    split_indexes,
)
from sandbox.schemas.schema import InvalidValue

GUID = uuid.UUID("89791762-2336-4186-9674-299b90a802e2")


def test_a_classic_frame_has_a_zero_and_the_id() -> None:
    assert classic_frame(7) == b"\0\0\0\0\7"
    assert read_frame(b"\0\0\0\0\7abc") == Frame(7, b"abc")


@pytest.mark.parametrize("data", [b"", b"\0\0\0\0", b"\1\0\0\0\7", b"\0\0\0\0\0x", b"\0\xff\xff\xff\xffx", b'{"a":1}'])
def test_other_bytes_have_no_frame(data: bytes) -> None:
    assert read_frame(data) is None


def test_the_header_wins_and_belongs_to_key_or_value() -> None:
    headers = [("__value_schema_id", header_content(GUID))]
    assert read_frame(b"\0\0\0\0\7abc", headers) == Frame(GUID, b"\0\0\0\0\7abc", b"")
    assert read_frame(b"abc", headers, is_key=True) is None
    assert read_frame(b"abc", [("__key_schema_id", header_content(7))], is_key=True) == Frame(7, b"abc", b"")


@pytest.mark.parametrize("content", [None, b"", b"\1short", b"\2" + GUID.bytes, b"\0\0\0"])
def test_a_header_that_is_no_schema_id_is_ignored(content: bytes | None) -> None:
    assert read_frame(b"abc", [("__value_schema_id", content)]) is None


@pytest.mark.parametrize(
    ("indexes", "data"),
    [((0,), b"\0"), ((1,), b"\2\2"), ((2, 0), b"\4\4\0"), ((300,), b"\2\xd8\4"), ((0, 0), b"\4\0\0")],
)
def test_message_indexes_are_zig_zag_varints(indexes: tuple[int, ...], data: bytes) -> None:
    assert indexes_bytes(indexes) == data
    assert read_indexes(data + b"rest") == (indexes, len(data))


def test_message_indexes_are_in_the_frame_or_in_the_header() -> None:
    frame = read_frame(classic_frame(7, (2, 0)) + b"payload")
    assert frame is not None
    assert split_indexes(frame) == ((2, 0), b"payload")
    frame = read_frame(b"payload", [("__value_schema_id", header_content(GUID, (1,)))])
    assert frame is not None
    assert split_indexes(frame) == ((1,), b"payload")


@pytest.mark.parametrize("data", [b"", b"\2", b"\1", b"\xff\xff\xff\xff\xff\xff", b"\xd0\x0f" + b"\0" * 1000, b"\2\1"])
def test_bytes_that_lie_about_indexes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue, match="index"):
        read_indexes(data)
