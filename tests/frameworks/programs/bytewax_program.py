"""Bytewax: a dataflow from a topic to a topic."""

import os
from importlib.metadata import version

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer

BROKERS = [os.environ["KAFKA_BOOTSTRAP_SERVERS"]]
ORDERS = 20

producer = Producer({"bootstrap.servers": BROKERS[0]})
for number in range(ORDERS):
    producer.produce("orders", str(number), key=f"user-{number % 3}")
producer.flush()

flow = Dataflow("billing")
orders = kafka.input("orders", flow, brokers=BROKERS, topics=["orders"], starting_offset=OFFSET_BEGINNING, tail=False)
bills = op.map("bill", orders.oks, lambda order: KafkaSinkMessage(order.key, b"%d" % (int(order.value) * 2)))
kafka.output("bills", bills, brokers=BROKERS, topic="bills")
run_main(flow)

consumer = Consumer({"bootstrap.servers": BROKERS[0], "group.id": "check", "auto.offset.reset": "earliest"})
consumer.subscribe(["bills"])
found = [int(message.value()) for message in consumer.consume(ORDERS, timeout=30)]
consumer.close()
assert sorted(found) == [number * 2 for number in range(ORDERS)], found
print(f"Bytewax {version('bytewax')} ok")
