"""The memory that all connections may hold together."""

from sandbox.wire.held_bytes import ANSWER_BYTES_MAX, SHORT_ANSWER_BYTES_MAX, AnswerSize, HeldBytes


class Client:
    """A connection that notes why it was closed."""

    def __init__(self) -> None:
        self.reason = ""

    def drop(self, reason: str) -> None:
        self.reason = reason


def test_answers_are_short_while_much_is_held_or_being_read() -> None:
    held = HeldBytes(1_000, 100)
    one, answer = Client(), AnswerSize(held)
    held.hold(one, 99)
    assert held.answer_bytes_max == ANSWER_BYTES_MAX
    answer.add(1)
    assert held.answer_bytes_max == SHORT_ANSWER_BYTES_MAX
    answer.forget()
    assert held.answer_bytes_max == ANSWER_BYTES_MAX
    held.hold(one, 100)
    assert held.answer_bytes_max == SHORT_ANSWER_BYTES_MAX
    held.hold(one, 0)
    assert (held.size_bytes, held.answer_bytes_max) == (0, ANSWER_BYTES_MAX)


def test_an_answer_is_full_by_its_own_size() -> None:
    answer = AnswerSize(HeldBytes())
    answer.add(ANSWER_BYTES_MAX - 1)
    assert not answer.is_full
    answer.add(1)
    assert answer.is_full


def test_above_the_limit_the_connection_with_the_oldest_progress_is_closed() -> None:
    held = HeldBytes(100, 50)
    first, second, third = Client(), Client(), Client()
    held.hold(first, 40)
    held.hold(second, 40)
    held.hold(first, 41)
    held.hold(third, 30)
    assert (bool(first.reason), bool(second.reason), bool(third.reason)) == (False, True, False)
    assert "made no progress for the longest time" in second.reason
    assert held.size_bytes == 71
    held.hold(second, 0)
    assert held.size_bytes == 71, "it is closed once"


def test_one_connection_alone_is_not_closed() -> None:
    held = HeldBytes(100, 50)
    one = Client()
    held.hold(one, 1_000)
    assert one.reason == ""
