"""Pathway: a table over a topic, grouped and summed, written to a topic."""

import json
import os
import threading
from importlib.metadata import version

import pathway as pw
from confluent_kafka import Consumer, Producer

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
ORDERS, USERS = 20, 3
SETTINGS = {"bootstrap.servers": BOOTSTRAP, "group.id": "billing", "auto.offset.reset": "earliest"}


class Order(pw.Schema):
    user: str
    amount: int


producer = Producer({"bootstrap.servers": BOOTSTRAP})
for number in range(ORDERS):
    producer.produce("orders", json.dumps({"user": f"user-{number % USERS}", "amount": number}))
producer.flush()

orders = pw.io.kafka.read(SETTINGS, topic="orders", format="json", schema=Order, autocommit_duration_ms=200)
totals = orders.groupby(pw.this.user).reduce(pw.this.user, total=pw.reducers.sum(pw.this.amount))
pw.io.kafka.write(totals, {"bootstrap.servers": BOOTSTRAP}, topic_name="bills", format="json")
threading.Thread(target=pw.run, kwargs={"monitoring_level": pw.MonitoringLevel.NONE}, daemon=True).start()

consumer = Consumer({**SETTINGS, "group.id": "check"})
consumer.subscribe(["bills"])
expected = {f"user-{user}": sum(range(user, ORDERS, USERS)) for user in range(USERS)}
found: dict[str, int] = {}
while found != expected:
    message = consumer.poll(60)
    assert message is not None, found
    row = json.loads(message.value())
    if row["diff"] == 1:
        found[row["user"]] = row["total"]
consumer.close()
print(f"Pathway {version('pathway')} ok", flush=True)
# The dataflow of a stream has no end.
os._exit(0)
