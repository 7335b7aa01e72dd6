"""The Python that does what a page does, with the page's own topic and address in it, ready to run.

The same program runs against any cluster: only the address changes.
"""

from sandbox.web.page import overview

PRODUCE = """\
from confluent_kafka import Producer

producer = Producer({{"bootstrap.servers": {address!r}}})
producer.produce({topic!r}, key={key!r}, value={value!r})
producer.flush()
"""

CONSUME = """\
from confluent_kafka import Consumer

consumer = Consumer({{
    "bootstrap.servers": {address!r},
    "group.id": {group!r},
    "auto.offset.reset": "earliest",
}})
consumer.subscribe([{topic!r}])
try:
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            print(message.error())
        else:
            print(message.partition(), message.offset(), message.key(), message.value())
finally:
    consumer.close()
"""

CREATE = """\
from confluent_kafka.admin import AdminClient, NewTopic

admin = AdminClient({{"bootstrap.servers": {address!r}}})
for topic, done in admin.create_topics([NewTopic({topic!r}, num_partitions={partitions})]).items():
    done.result()
    print("created", topic)
"""

RESET = """\
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

admin = AdminClient({{"bootstrap.servers": {address!r}}})
offsets = [
{offsets}]
request = [ConsumerGroupTopicPartitions({group!r}, offsets)]
for done in admin.alter_consumer_group_offsets(request).values():
    print(done.result())
"""

DELETE = """\
from confluent_kafka.admin import AdminClient

admin = AdminClient({{"bootstrap.servers": {address!r}}})
for topic, done in admin.delete_topics([{topic!r}]).items():
    done.result()
    print("deleted", topic)
"""

TEMPLATES = {"produce": PRODUCE, "consume": CONSUME, "create": CREATE, "reset": RESET, "delete": DELETE}


def snippet(what: str, **values: object) -> str:
    """A program that runs as it stands.

    Args:
        what: "produce", "consume", "create", "reset" or "delete".
        **values: topic, group, key, value, partitions; `offsets` as (topic, partition, offset) for "reset".
    """
    filled: dict[str, object] = {
        "address": overview().kafka or "127.0.0.1:9092",
        "topic": "orders",
        "group": "my-group",
        "key": "user-42",
        "value": '{"hello": "world"}',
        "partitions": 3,
        **values,
    }
    if what == "reset":
        offsets = values.get("offsets", ())
        assert isinstance(offsets, list | tuple)
        filled["offsets"] = "".join(f"    TopicPartition({t!r}, {p}, {o}),\n" for t, p, o in offsets)
    return TEMPLATES[what].format(**filled)
