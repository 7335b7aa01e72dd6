"""Requests of a connection are counted, and its answers are timed."""

from sandbox.wire.connection import Connection

PRODUCE, FETCH = 0, 1


def test_requests_are_counted_by_api_and_only_answers_are_timed() -> None:
    connection = Connection(lambda data: None, lambda: None, 100)
    answered, waiting, other = connection.slot(), connection.slot(), connection.slot()
    answered.asked(PRODUCE, "shop")
    waiting.asked(PRODUCE, "shop")
    other.asked(FETCH, "shop")
    answered.set(b"x")
    usage = connection.usage
    assert usage.client_id == "shop"
    assert {key: (count.requests, count.answers) for key, count in usage.apis.items()} == {
        PRODUCE: (2, 1),
        FETCH: (1, 0),
    }
    mean_ms = usage.apis[PRODUCE].mean_ms
    assert mean_ms is not None
    assert 0 <= mean_ms < 10_000
    assert mean_ms <= (usage.apis[PRODUCE].max_ms or 0)
    assert usage.apis[FETCH].mean_ms is None
    assert usage.apis[FETCH].max_ms is None


def test_an_answer_that_is_none_counts_too() -> None:
    connection = Connection(lambda data: None, lambda: None, 100)
    slot = connection.slot()
    slot.asked(PRODUCE, None)
    slot.set(None)
    assert connection.usage.apis[PRODUCE].answers == 1
