"""The demo's clients: one producer and two consumers, each a thread around an ordinary Kafka client."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaException, Producer

from sandbox.demo.samples import PAYMENTS
from sandbox.kafka.errors import BrokerError
from sandbox.kafka.event import NewEvent
from sandbox.runtime.clock import system_clock

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox


DEFAULT_SEED = 20220501
LESSON_TIMESTAMP_MS = 1_651_363_200_000  # 2022-05-01T00:00:00Z

# Uneven on purpose: one hot key makes one partition longer than the others.
_KINDS: Sequence[tuple[str, int]] = (
    ("Credit Card Payment", 45),
    ("Mobile Payment", 17),
    ("Bank Transfer Payment", 14),
    ("Debit Card Payment", 12),
    ("Gift Card Payment", 5),
    ("Voucher Payment", 4),
    ("Refund", 3),
)
_ITEMS: Sequence[tuple[str, int, int]] = (
    ("a ham sandwich", 950, 1450),
    ("a cheese toastie", 600, 980),
    ("a flat white", 320, 480),
    ("an oat milk latte", 380, 560),
    ("two croissants", 440, 700),
    ("a bowl of ramen", 1150, 1700),
    ("a slice of carrot cake", 390, 620),
    ("a café crème", 280, 420),
    ("a jalapeño burrito", 890, 1390),
    ("a week's train pass", 2800, 4600),
    ("a paperback", 799, 1599),
    ("a bunch of tulips", 700, 1800),
    ("a pair of running shoes", 6900, 15900),
    ("a bicycle repair", 2500, 12000),
    ("a concert ticket", 3500, 18000),
    ("a month of internet", 2999, 5999),
)
_CUSTOMERS: Sequence[str] = (
    "Amara", "Bjørn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Inés", "Jonas", "Kwame", "Léa", "Mei",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma", "Viktor", "Wanjiru", "Yusuf", "Zoë",
)  # fmt: skip
_GAP_MEAN_MS = 45_000

LESSON_PAYMENT = NewEvent(
    value=b"Paid $12.50 for a ham sandwich", key=b"Credit Card Payment", timestamp_ms=LESSON_TIMESTAMP_MS
)


def payments(seed: int = DEFAULT_SEED, count: int | None = None) -> Iterator[NewEvent]:
    """Yield payments in time order; the lesson's payment is first.

    seed: any int; the same seed gives the same payments. count: 0 or more; None for an endless iterator.
    Raises ValueError for a negative count when the first payment is requested.
    """
    if count is not None and count < 0:
        raise ValueError(f"count is {count}; it must be 0 or more")
    random = Random(seed)
    at_ms = LESSON_TIMESTAMP_MS
    made = 0
    while count is None or made < count:
        yield LESSON_PAYMENT if made == 0 else _payment(random, at_ms)
        made += 1
        at_ms += 1 + _below(random, 2 * _GAP_MEAN_MS)


def _payment(random: Random, at_ms: int) -> NewEvent:
    kind = _weighted(random)
    item, cents_min, cents_max = _ITEMS[_below(random, len(_ITEMS))]
    cents = cents_min + _below(random, cents_max - cents_min + 1)
    verb = "Got back" if kind == "Refund" else "Paid"
    # Squared: a few customers pay often, most rarely.
    customer = _CUSTOMERS[int(random.random() ** 2 * len(_CUSTOMERS))]
    return NewEvent(
        timestamp_ms=at_ms,
        key=kind.encode(),
        value=f"{verb} ${cents // 100}.{cents % 100:02d} for {item}".encode(),
        headers=(("customer", customer.encode()),),
    )


def _weighted(random: Random) -> str:
    at = _below(random, sum(weight for _, weight in _KINDS))
    for kind, weight in _KINDS:
        if at < weight:
            return kind
        at -= weight
    raise AssertionError("the weights add up to less than their sum")


def _below(random: Random, limit: int) -> int:
    return int(random.random() * limit)


FRAUD_CHECK = "fraud-check"
DAILY_REPORT = "daily-report"
GROUPS = (FRAUD_CHECK, DAILY_REPORT)
REPORT_EVENTS_MIN = 8
STOP_S = 15.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DemoRates:
    """Rates of the demo's clients.

    payments_per_s: more than 0. rest_s: how long `daily-report` pauses before it catches up, 0 or more. events_max: the
    producer pauses while the topic holds this many events; retention, if configured, frees space first.
    schemas_after_s: how long after the start the topics with schemas are filled, 0 or more; None for no such topics.
    schemas_per_s: events per second that each of them then gets, more than 0.
    """

    payments_per_s: float = 5.0
    rest_s: float = 20.0
    events_max: int = 100_000
    schemas_after_s: float | None = 2.0
    schemas_per_s: float = 1.0


class DemoClients:
    """The clients of one run of the demo. They run until `stop` is called.

    address: the Kafka port, "host:port".
    """

    def __init__(self, sandbox: Sandbox, address: str, pace: DemoRates) -> None:
        self._sandbox = sandbox
        self._address = address
        self._pace = pace
        self._stopping = threading.Event()
        works: Sequence[tuple[Callable[[], None], str]] = (
            (self._send_payments, "demo-payments"),
            (self._check_fraud, f"demo-{FRAUD_CHECK}"),
            (self._report_daily, f"demo-{DAILY_REPORT}"),
            *([] if pace.schemas_after_s is None else [(self._send_with_schemas, "demo-schemas")]),
        )
        # Daemons: a program that forgets to stop the demo still ends.
        self._threads = [threading.Thread(target=work, name=name, daemon=True) for work, name in works]
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = STOP_S) -> bool:
        """Make the clients leave their groups and end. Returns False if one still runs after `within_s` seconds."""
        self._stopping.set()
        until = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _send_payments(self) -> None:
        producer = Producer(self._producer_settings("demo-payments"))
        source = islice(payments(seed=self._payments_end()), 1, None)
        while not self._stopping.wait(1 / self._pace.payments_per_s):
            if self._room(PAYMENTS):
                self._produce(producer, PAYMENTS, next(source))
        producer.flush(2.0)

    def _producer_settings(self, client_id: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": self._address,
            "client.id": client_id,
            "partitioner": "murmur2_random",  # same partitioner as the sample data
            "allow.auto.create.topics": False,  # don't create a topic again that the user deleted
            "log_level": 2,
        }

    @staticmethod
    def _produce(producer: Any, topic: str, event: NewEvent) -> None:
        try:
            producer.produce(topic, event.value, key=event.key, headers=list(event.headers))
            producer.poll(0)
        except (BufferError, KafkaException) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else error
            _log.warning("An event of the demo was not sent to %s: %s", topic, reason)

    def _send_with_schemas(self) -> None:
        if self._stopping.wait(self._pace.schemas_after_s):
            return
        from sandbox.demo.schema_topics import live_events, load_schema_topics

        topics = load_schema_topics(self._sandbox, self._stopping)
        sources = {one.topic: live_events(self._sandbox, one, system_clock) for one in topics}
        producer = Producer(self._producer_settings("demo-schemas"))
        while not self._stopping.wait(1 / self._pace.schemas_per_s):
            for topic, source in sources.items():
                if not self._room(topic):
                    continue
                self._produce(producer, topic, next(source))
        producer.flush(2.0)

    def _payments_end(self) -> int:
        """Return the sum of the end offsets: a seed that differs at each start, so that payments don't repeat."""
        try:
            return sum(self._sandbox.end_offsets(PAYMENTS).values())
        except BrokerError:
            return 0

    def _room(self, topic: str) -> bool:
        """True if the topic exists (producing would create it again) and is below the limit."""
        try:
            stored = self._sandbox.topic(topic).events
        except BrokerError:
            return False
        return stored < self._pace.events_max

    def _check_fraud(self) -> None:
        consumer = self._consumer(FRAUD_CHECK)
        try:
            while not self._stopping.is_set():
                _read(consumer, events_max=100, wait_s=0.1)
        finally:
            consumer.close()

    def _report_daily(self) -> None:
        consumer = self._consumer(DAILY_REPORT)
        try:
            while not self._stopping.is_set():
                self._catch_up(consumer)
                self._rest(consumer)
        finally:
            consumer.close()

    def _consumer(self, group: str) -> Any:
        consumer = Consumer(
            {
                "bootstrap.servers": self._address,
                "client.id": f"demo-{group}",
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 2,
            }
        )
        consumer.subscribe([PAYMENTS])
        return consumer

    def _catch_up(self, consumer: Any) -> None:
        """Read slowly enough to be watched, until a poll returns less than was requested.

        Payments of half a second arrive during a poll, so it requests a whole second's worth: otherwise it would never
        end.
        """
        events_max = max(REPORT_EVENTS_MIN, math.ceil(self._pace.payments_per_s))
        while not self._stopping.wait(0.2):
            read = _read(consumer, events_max=events_max, wait_s=0.5)
            if read < events_max and consumer.assignment():
                return

    def _rest(self, consumer: Any) -> None:
        """Poll without reading: a consumer that does not poll would hold up the rebalances of its group."""
        until = time.monotonic() + self._pace.rest_s
        while time.monotonic() < until and not self._stopping.is_set():
            # Pause on every pass: partitions that are assigned in a rebalance are not paused.
            _for_assigned(consumer, consumer.pause)
            _read(consumer, events_max=1, wait_s=0.2)
        _for_assigned(consumer, consumer.resume)


def _for_assigned(consumer: Any, act: Callable[[list[Any]], None]) -> None:
    assignment = consumer.assignment()
    if not assignment:
        return
    try:
        act(assignment)
    except KafkaException as error:
        # A rebalance took a partition away in between; the next round sees the new assignment.
        _log.debug("the assignment changed: %s", error)


def _read(consumer: Any, *, events_max: int, wait_s: float) -> int:
    """Read up to `count` events within `wait_s` seconds, and commit. Returns the number of events."""
    read = sum(message.error() is None for message in consumer.consume(events_max, timeout=wait_s))
    if read:
        # Asynchronous: if a rebalance makes this commit fail, the next one covers it.
        consumer.commit(asynchronous=True)
    return read
