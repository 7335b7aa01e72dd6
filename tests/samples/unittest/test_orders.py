"""unittest: each test has a `with` block of its own."""

import unittest

from confluent_kafka import Consumer, Producer

import sandbox.testing


class OrdersTest(unittest.TestCase):
    """A producer and a consumer of orders."""

    def setUp(self) -> None:
        """Start Kafka for one test."""
        self.kafka = self.enterContext(sandbox.testing.kafka(topics={"orders": 3}))

    def test_orders_are_produced_with_their_key(self) -> None:
        """The code under test produces; the test looks into the topic."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers})
        producer.produce("orders", '{"id": 1}', key="user-42")
        producer.flush(10)
        self.kafka.expect("orders", count=1, key="user-42", json={"id": 1})

    def test_orders_are_committed(self) -> None:
        """The test produces; the code under test consumes and commits."""
        self.kafka.produce("orders", {"id": 1}, partition=0)
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "group.id": "billing",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["orders"])
        message = consumer.poll(10)
        assert message is not None
        assert message.value() == b'{"id": 1}'
        consumer.commit(asynchronous=False)
        self.kafka.wait_committed("billing", "orders", 1)
        consumer.close()


if __name__ == "__main__":
    unittest.main()
