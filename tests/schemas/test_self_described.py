"""MessagePack and CBOR: read as their libraries read them, recognized without a schema, never mistaken for text."""

import math
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import cbor2
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.model.deserializers import CBOR, MESSAGEPACK
from sandbox.schemas.decoding import EventDecoder, nowhere
from sandbox.schemas.schema import InvalidValue
from sandbox.schemas.self_described import SELF_DESCRIBED_CBOR, read_cbor, read_messagepack, recognized

INTEGERS = st.integers(-(2**63), 2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_values_are_those_of_the_libraries(value: Any) -> None:
    assert read_messagepack(msgpack.packb(value)) == value
    assert read_cbor(cbor2.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x01\xff", "Af8="),
        ({7: "seven", b"k": 1, None: 2}, {"7": "seven", "aw==": 1, "null": 2}),
        (msgpack.ExtType(5, b"ab"), {"extension": 5, "base64": "YWI="}),
        (msgpack.Timestamp(1), "1970-01-01T00:00:01Z"),
        (msgpack.Timestamp(1, 5_000_000), "1970-01-01T00:00:01.005Z"),
        (msgpack.Timestamp(-1, 1), "1969-12-31T23:59:59.000000001Z"),
        (msgpack.Timestamp(2**60, 0), 2**60),
        (["x" * 300, [0] * 70_000], ["x" * 300, [0] * 70_000]),
    ],
)
def test_messagepack_without_a_json_form(value: Any, shown: Any) -> None:
    assert read_messagepack(msgpack.packb(value)) == shown


def test_nanoseconds_of_more_than_a_second_are_carried() -> None:
    assert read_messagepack(bytes.fromhex("d7fffffffffc00000005")) == "1970-01-01T00:00:06.073741823Z"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x01\xff", "Af8="),
        ({7: "seven", (1, 2): 3}, {"7": "seven", "[1,2]": 3}),
        (2**80, 2**80),
        (-(2**80), -(2**80)),
        (Decimal("1.50"), Decimal("1.50")),
        (Decimal("-123456789012345678901234567890.12345"), Decimal("-123456789012345678901234567890.12345")),
        (UUID(int=5), str(UUID(int=5))),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024-01-02T03:04:05Z"),
        (cbor2.CBORTag(1, 1.5), "1970-01-01T00:00:01.500Z".replace("500", "5")),
        (cbor2.CBORTag(4000, [1]), {"tag": 4000, "value": [1]}),
        (cbor2.undefined, None),
        (cbor2.CBORSimpleValue(200), {"simple": 200}),
    ],
)
def test_cbor_without_a_json_form(value: Any, shown: Any) -> None:
    assert read_cbor(cbor2.dumps(value)) == shown


def test_indefinite_lengths_and_half_floats_of_cbor() -> None:
    assert read_cbor(bytes.fromhex("9f018202039fff ff")) == [1, [2, 3], []]
    assert read_cbor(bytes.fromhex("bf6161 01 ff")) == {"a": 1}
    assert read_cbor(bytes.fromhex("7f 6161 6162 ff")) == "ab"
    assert read_cbor(bytes.fromhex("f93e00")) == 1.5
    assert math.isnan(read_cbor(bytes.fromhex("f97e00")))


@pytest.mark.parametrize("pack", [msgpack.packb, cbor2.dumps])
def test_maps_and_lists_with_text_are_recognized(pack: Any) -> None:
    name = MESSAGEPACK if pack is msgpack.packb else CBOR
    for value in ({"id": 7, "tags": ["a"]}, [1, "two"], [{"k": 1}], {"a" * 40: {"b" * 300: 1}}):
        assert recognized(pack(value)) == (name, value)
    assert recognized(SELF_DESCRIBED_CBOR + cbor2.dumps(5)) == (CBOR, 5)


def test_other_bytes_are_not_recognized() -> None:
    for data in (
        msgpack.packb({}),
        msgpack.packb([1, 2]),
        cbor2.dumps([1, 2]),
        cbor2.dumps({1: 2}),
        b"\x89PNG\r\n\x1a\n",
    ):
        assert recognized(data) is None, data
    rng = random.Random(7)
    assert not any(recognized(rng.randbytes(rng.randrange(1, 60))) for _ in range(20_000))


@given(st.text(min_size=1))
@settings(max_examples=300, deadline=None)
def test_text_is_never_decoded(text: str) -> None:
    data = text.encode("utf-8", "replace")
    if data[0]:
        assert EventDecoder(nowhere).decode("t", data) is None


@pytest.mark.parametrize("read", [read_messagepack, read_cbor])
def test_hostile_bytes_end_soon_with_a_clear_error(read: Any) -> None:
    bombs = (b"\x91" * 100_000, b"\x81" * 100_000, b"\x9f" * 100_000, b"\xdd\xff\xff\xff\xff", b"\x9b" + b"\xff" * 8)
    for data in (
        *bombs,
        b"\xdb\xff\xff\xff\xff",
        b"\xc1",
        b"",
        b"\x01\x01",
        b"\xa1\xff\x01",
        b"\xd8\x02" * 60_000,
    ):
        with pytest.raises(InvalidValue, match=r"not (MessagePack|CBOR): "):
            read(data)
    rng = random.Random(3)
    for _ in range(5_000):
        try:
            read(rng.randbytes(rng.randrange(1, 80)))
        except InvalidValue:
            pass
