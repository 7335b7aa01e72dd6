"""Framing and the order of answers, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.wire.connection import Connection, ProtocolViolation, Slot
from tests.wire.raw_client import framed


class Wire:
    """What a connection wrote."""

    def __init__(self, limit: int = 100) -> None:
        self.written: list[bytes] = []
        self.aborted = 0
        self.connection = Connection(self.written.append, self.abort, limit)

    def abort(self) -> None:
        self.aborted += 1


@given(st.lists(st.binary(max_size=20), max_size=6), st.data())
def test_requests_come_out_whole_however_their_bytes_arrive(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    connection = Wire().connection
    found: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += connection.receive(stream[start:stop])
    assert found == frames
    assert not connection.incomplete


@pytest.mark.parametrize("length", [b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x65"])
def test_a_length_that_cannot_be_is_refused_before_anything_is_kept(length: bytes) -> None:
    with pytest.raises(ProtocolViolation, match=r"a request of -?\d+ bytes; the limit is 100"):
        Wire().connection.receive(length)


def test_the_longest_request_that_is_allowed_is_taken() -> None:
    assert Wire().connection.receive(framed(b"x" * 100)) == [b"x" * 100]


def test_a_part_of_a_request_is_known_to_be_one() -> None:
    connection = Wire().connection
    connection.receive(framed(b"whole") + b"\0\0")
    assert connection.incomplete


def test_answers_are_sent_in_the_order_of_the_requests() -> None:
    wire = Wire()
    first, second, third = (wire.connection.slot() for _ in range(3))
    third.set(b"3")
    second.set(b"2")
    assert wire.written == []
    assert wire.connection.in_flight == 3
    first.set(b"1")
    assert b"".join(wire.written) == framed(b"1") + framed(b"2") + framed(b"3")
    assert wire.connection.in_flight == 0


def test_a_request_that_wants_no_answer_makes_room_and_sends_nothing() -> None:
    wire = Wire()
    first, second = wire.connection.slot(), wire.connection.slot()
    second.set(b"2")
    first.set(None)
    assert b"".join(wire.written) == framed(b"2")
    assert wire.connection.in_flight == 0


def test_answers_that_wait_for_an_earlier_one_are_counted() -> None:
    connection = Wire().connection
    first, second, third = (connection.slot() for _ in range(3))
    third.set(b"3" * 30)
    second.set(b"2" * 20)
    assert connection.kept_bytes == len(framed(b"3" * 30) + framed(b"2" * 20))
    first.set(b"1" * 10)
    assert connection.kept_bytes == 0
    connection.slot()
    connection.slot().set(b"x")
    connection.close()
    assert connection.kept_bytes == 0


def test_what_waits_on_a_connection_that_ends_is_dropped() -> None:
    wire = Wire()
    dropped: list[str] = []
    slots: list[Slot] = [wire.connection.slot() for _ in range(3)]
    slots[0].dropped = lambda: dropped.append("first")
    slots[2].dropped = lambda: dropped.append("third")
    slots[2].set(b"3")
    wire.connection.close()
    assert dropped == ["first"]
    slots[0].set(b"1")
    assert wire.written == []


def test_an_answer_that_was_sent_is_not_kept() -> None:
    wire = Wire()
    slot = wire.connection.slot()
    slot.set(b"x" * 1_000)
    assert wire.written
    assert slot.pieces == []
