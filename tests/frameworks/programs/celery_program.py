"""Celery: tasks go through Kafka by kombu's transport `confluentkafka://`, and a worker runs them."""

import os
import tempfile
from importlib.metadata import version

from celery import Celery
from celery.contrib.testing.worker import start_worker
from confluent_kafka.admin import AdminClient

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
ORDERS = 20
app = Celery(
    "billing",
    broker=f"confluentkafka://{BOOTSTRAP}",
    backend=f"file://{tempfile.mkdtemp()}",
)
app.conf.update(
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "allow_create_topics": True,
        "kafka_consumer_config": {"auto.offset.reset": "earliest"},
    },
)


@app.task
def bill(amount: int) -> int:
    return amount * 2


with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
    waiting = [bill.delay(number) for number in range(ORDERS)]
    bills = [one.get(timeout=60) for one in waiting]
assert bills == [number * 2 for number in range(ORDERS)], bills
assert "celery" in AdminClient({"bootstrap.servers": BOOTSTRAP}).list_topics(timeout=10).topics
print(f"Celery {version('celery')} (kombu {version('kombu')}) ok", flush=True)
# The worker's threads do not end before the process.
os._exit(0)
