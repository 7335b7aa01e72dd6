"""Members of different libraries come and go, and the open page of their group shows it by itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Page, expect

from tests.browser.running import Running

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:.*_text is deprecated:DeprecationWarning")]

SHOWN_MS = 30_000
SESSION_MS = 6_000


@contextmanager
def polling(poll: Callable[[], Any], close: Callable[[], Any]) -> Iterator[None]:
    """A member of a group, which polls in a thread until the block ends and then leaves."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            poll()
        close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def confluent_member(address: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "billing",
            "client.id": "by-confluent",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": 300,
        }
    )
    consumer.subscribe(["orders"])
    return lambda: consumer.poll(0.1), consumer.close


def kafka_python_member(address: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    # It warns of itself when it is imported.
    import kafka

    consumer = kafka.KafkaConsumer(
        "orders",
        bootstrap_servers=address,
        group_id="billing",
        client_id="by-kafka-python",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=300,
    )
    return lambda: consumer.poll(timeout_ms=100), consumer.close


def test_a_rebalance_is_seen_on_the_open_page_while_it_happens(box: Running, window: Page) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    admin.create_topics([NewTopic("orders", 6)])["orders"].result(30)
    members = window.locator("#live-members tr[data-member]")
    with polling(*confluent_member(box.kafka)):
        window.goto("/groups")
        expect(window.locator('tr[data-group="billing"]')).to_be_visible(timeout=SHOWN_MS)
        window.goto("/groups/billing")
        expect(members).to_have_count(1, timeout=SHOWN_MS)
        with polling(*kafka_python_member(box.kafka)):
            expect(members).to_have_count(2, timeout=SHOWN_MS)
            expect(window.locator('#live-members tr[data-member^="by-kafka-python"]')).to_contain_text("orders")
            owners = window.locator("tr[data-topic='orders'][data-partition]")
            expect(owners.filter(has_text="by-kafka-python")).to_have_count(3, timeout=SHOWN_MS)
            expect(owners.filter(has_text="by-confluent")).to_have_count(3, timeout=SHOWN_MS)
        expect(members).to_have_count(1, timeout=SHOWN_MS)
        expect(owners.filter(has_text="by-confluent")).to_have_count(6, timeout=SHOWN_MS)
    expect(members).to_have_count(0, timeout=SHOWN_MS)
    left = window.locator("#live-members .rebalances .who").filter(has_text="left")
    expect(left.filter(has_text="by-kafka-python")).to_have_count(1)
