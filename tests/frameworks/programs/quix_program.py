"""Quix Streams: a stateful sum per user over a changelog topic, with exactly-once processing."""

import json
import os
import tempfile
from importlib.metadata import version

from confluent_kafka import Consumer, Producer
from quixstreams import Application

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
ORDERS, USERS = 20, 3

producer = Producer({"bootstrap.servers": BOOTSTRAP})
for number in range(ORDERS):
    producer.produce("orders", json.dumps({"amount": number}), key=f"user-{number % USERS}")
producer.flush()

app = Application(
    broker_address=BOOTSTRAP,
    consumer_group="billing",
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=tempfile.mkdtemp(),
)
orders = app.topic("orders", value_deserializer="json")
bills = app.topic("bills", value_serializer="json")


def add(order: dict, state) -> dict:
    total = state.get("total", 0) + order["amount"]
    state.set("total", total)
    return {"total": total}


app.dataframe(orders).apply(add, stateful=True).to_topic(bills)
app.run(count=ORDERS, timeout=60)

consumer = Consumer(
    {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": "check",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
)
consumer.subscribe(["bills"])
totals = {message.key(): json.loads(message.value())["total"] for message in consumer.consume(ORDERS, timeout=30)}
consumer.close()
assert totals == {b"user-%d" % user: sum(range(user, ORDERS, USERS)) for user in range(USERS)}, totals
print(f"Quix Streams {version('quixstreams')} ok")
