"""Assertions about topics and groups: they wait until they hold, and explain why they don't."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import sandbox.testing
from sandbox.testing import ExpectationFailed, Kafka


@pytest.fixture
def kafka() -> Iterator[Kafka]:
    with sandbox.testing.kafka(topics={"orders": 3}) as kafka:
        yield kafka


@contextmanager
def soon(action: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread while the test waits for its effect."""
    thread = threading.Timer(0.05, action)
    thread.start()
    yield
    thread.join()


@contextmanager
def reading(kafka: Kafka, *topics: str, group: str, start: str = "earliest") -> Iterator[list[bytes | None]]:
    """A consumer that reads in a thread, and what it received."""
    consumer = kafka.consumer(*topics, group=group, auto_offset_reset=start, auto_commit_interval_ms=50)
    received: list[bytes | None] = []
    ends = threading.Event()

    def read() -> None:
        while not ends.is_set():
            message = consumer.poll(0.02)
            if message is not None and message.error() is None:
                received.append(message.value())

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield received
    finally:
        ends.set()
        thread.join()


def failure(call: Callable[[], object]) -> str:
    with pytest.raises(ExpectationFailed) as failed:
        call()
    return str(failed.value)


def test_an_expected_event_is_awaited_and_returned(kafka: Kafka) -> None:
    with soon(lambda: kafka.produce("orders", {"id": 7, "status": "paid"}, key="user-42", headers={"trace": "a1"})):
        (event,) = kafka.expect("orders", count=1, key="user-42", json={"status": "paid"}, headers={"trace": "a1"})
    assert (event.json["id"], event.key_text, event.header("trace")) == (7, "user-42", b"a1")
    assert kafka.events("orders") == [event]


def test_a_topic_that_does_not_exist_yet_is_awaited(kafka: Kafka) -> None:
    with soon(lambda: kafka.produce("invoices", "1")):
        assert kafka.expect("invoices")[0].text == "1"


def test_a_failure_shows_what_was_seen_what_was_near_the_groups_and_the_file(kafka: Kafka) -> None:
    kafka.produce("orders", {"id": 1, "status": "open", "items": [{"sku": "a"}]}, key="user-42", partition=1)
    kafka.produce("orders", "not JSON", key="user-1", partition=0)
    kafka.produce("payments", "10")
    kafka.sandbox.commit("billing", "orders", 1, 0)
    wanted = {"status": "paid", "items": [{"sku": "a"}]}
    text = failure(lambda: kafka.expect("orders", count=1, key="user-42", json=wanted, within="50ms"))
    assert text.startswith(
        "Expected 1 event in orders with key 'user-42', json "
        '{"status": "paid", "items": [{"sku": "a"}]}, found 0 within 50ms.'
    )
    assert "1/0  key 'user-42'  value '{\"id\": 1" in text
    assert 'orders/1/0\n    $.status: expected "paid", found "open"\n' in text
    assert "found a value that isn't JSON: 'not JSON'" in text
    assert "Other topics: payments (1 event)" in text
    assert "  billing: Empty, 0 members, lag 1\n" in text
    assert "    orders-1: committed 0, end 1\n" in text
    assert f"sandbox up {kafka.file}" in text


def test_a_failure_about_a_misspelt_topic_names_the_near_one(kafka: Kafka) -> None:
    assert "There is no topic oders. Did you mean orders?" in failure(lambda: kafka.expect("oders", within="10ms"))


def test_more_events_than_expected_fail_at_once(kafka: Kafka) -> None:
    for _ in range(2):
        kafka.produce("orders", "same", partition=0)
    text = failure(lambda: kafka.expect("orders", count=1, value="same", within="1h"))
    assert text.startswith("Expected 1 event in orders with value 'same', found 2.")
    assert text.count("<- matches") == 2


def test_no_event_fails_as_soon_as_one_arrives(kafka: Kafka) -> None:
    kafka.expect_none("orders", within="20ms")
    with soon(lambda: kafka.produce("orders", "x")):
        text = failure(lambda: kafka.expect_none("orders", value="x", within="1h"))
    assert text.startswith("Expected no event in orders with value 'x', found 1.")
    kafka.expect_none("orders", value="y", within="20ms")


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ({"a": 1}, None),
        ({"list": [1, 2]}, None),
        ({"list": [1]}, "$.list: expected 1 elements, found 2: [1, 2]"),
        ({"inner": {"b": False}}, None),
        ({"inner": {"b": 0}}, "$.inner.b: expected 0, found false"),
        ({"a": pytest.approx(1.1, abs=0.2)}, None),
        ({"c": 1}, "$.c: expected 1, but it is missing"),
        ([], "$: expected [], found "),
    ],
)
def test_json_is_compared_by_what_it_contains(kafka: Kafka, expected: object, difference: str | None) -> None:
    kafka.produce("orders", {"a": 1, "list": [1, 2], "inner": {"b": False}})
    if difference is None:
        kafka.expect("orders", json=expected, within="10ms")
    else:
        assert difference in failure(lambda: kafka.expect("orders", json=expected, within="10ms"))


def test_an_order_holds_inside_one_partition(kafka: Kafka) -> None:
    for status in ("created", "checked", "paid"):
        kafka.produce("orders", {"status": status}, key="user-42", partition=2)
    kafka.produce("orders", {"status": "shipped"}, key="user-42", partition=1)
    found = kafka.expect_order("orders", {"status": "created"}, {"status": "paid"}, key="user-42")
    assert [event.offset for event in found] == [0, 2]
    before = failure(lambda: kafka.expect_order("orders", {"status": "paid"}, {"status": "created"}, within="10ms"))
    assert "Found the first 1 (up to orders/2/2)" in before
    assert "It is at orders/2/0, before." in before
    across = failure(lambda: kafka.expect_order("orders", {"status": "paid"}, {"status": "shipped"}, within="10ms"))
    assert "It is at orders/1/0, in another partition" in across


def test_exactly_once_finds_what_is_missing_and_what_is_there_twice(kafka: Kafka) -> None:
    for number in (1, 2):
        kafka.produce("orders", {"id": number}, key=f"order-{number}", partition=0)
    kafka.expect_exactly_once("orders", ["order-1", "order-2"], settle="1ms")
    kafka.expect_exactly_once("orders", [1, 2], by="$.id", settle="1ms")
    missing = failure(lambda: kafka.expect_exactly_once("orders", [1, 3], by="$.id", within="10ms"))
    assert "1 did not arrive: 3." in missing
    with soon(lambda: kafka.produce("orders", {"id": 2}, key="order-2", partition=1)):
        twice = failure(lambda: kafka.expect_exactly_once("orders", ["order-2"], settle="1h"))
    assert "more than once: 'order-2'. 'order-2' is at orders/0/1, orders/1/0." in twice


def test_events_of_open_and_aborted_transactions_do_not_count(kafka: Kafka) -> None:
    producer = kafka.producer(transactional_id="t")
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce("orders", "aborted")
    producer.flush()
    kafka.expect_none("orders", within="50ms")
    producer.abort_transaction()
    producer.begin_transaction()
    producer.produce("orders", "committed")
    producer.commit_transaction()
    assert [event.text for event in kafka.expect("orders", count=1)] == ["committed"]


def test_an_assigned_consumer_at_the_end_of_the_log_receives_what_is_produced_next(kafka: Kafka) -> None:
    with reading(kafka, "orders", group="billing", start="latest") as received:
        group = kafka.wait_assigned("billing", "orders", members=1)
        assert len(group.members) == 1
        kafka.produce("orders", "first", partition=2)
        kafka.wait_committed("billing", "orders", 1, partition=2)
        kafka.wait_lag("billing", topic="orders")
    assert received == [b"first"]


def test_waits_for_a_group_say_what_it_lacks(kafka: Kafka) -> None:
    missing = failure(lambda: kafka.wait_assigned("billing", within="10ms"))
    assert missing.startswith("Group billing was not assigned within 10ms: it does not exist.")
    kafka.produce("orders", "x", partition=0)
    kafka.sandbox.commit("billing", "orders", 0, 0)
    assert "it has no members" in failure(lambda: kafka.wait_assigned("billing", within="10ms"))
    lag = failure(lambda: kafka.wait_lag("billing", within="10ms"))
    assert "Expected a lag of at most 0 for group billing within 10ms; it is 1." in lag
    kafka.wait_lag("billing", 1, within="10ms")
    offset = failure(lambda: kafka.wait_committed("billing", "orders", 1, within="10ms"))
    assert "to commit offset 1 in orders-0 within 10ms; 0 is committed." in offset


def test_async_code_continues_while_an_expectation_waits(kafka: Kafka) -> None:
    async def test() -> None:
        async def produce_later() -> None:
            kafka.produce("orders", "later")

        task = asyncio.get_running_loop().create_task(produce_later())
        await kafka.aio.expect("orders", value="later", within="5s")
        await task

    asyncio.run(test())


def test_a_blocking_wait_in_async_code_says_how_to_wait(kafka: Kafka) -> None:
    async def test() -> None:
        kafka.expect("orders", within="10ms")

    assert "await kafka.aio.expect(...)" in failure(lambda: asyncio.run(test()))


def test_mistakes_are_refused(kafka: Kafka) -> None:
    with pytest.raises(ValueError, match="for none, use expect_none"):
        kafka.expect("orders", count=0)
    with pytest.raises(ValueError, match=r"'soon' isn't a duration\. Try 200ms, 5s"):
        kafka.expect("orders", within="soon")
    kafka.produce("orders", "x")
    with pytest.raises(TypeError, match="compare JSON with json="):
        kafka.expect("orders", value={"a": 1})  # type: ignore[arg-type]
