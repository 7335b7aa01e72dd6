"""Python programs that do what a page does, with the page's own topic and address, ready to run.

The same program runs against any cluster: only the address changes.
"""

import shlex
from collections.abc import Mapping, Sequence

from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.messages.dead_letters import BINARY_HEADERS, ORIGIN_HEADERS, REFUSAL_PREFIXES
from sandbox.web.produce.programs import ASK, CHECK, SAY_WHERE
from sandbox.web.proxied import the_proxy
from sandbox.web.responses import backend, overview
from sandbox.web.snapshots import programs as snapshots_code

PRODUCE = f"""\
from confluent_kafka import Producer

# Java's partitioner, so that a key goes where Java programs put it; without this, where other Python programs do.
producer = Producer({{{{"bootstrap.servers": {{address!r}}, "partitioner": "murmur2_random"}}}})
{ASK}{SAY_WHERE}

producer.produce({{topic!r}}, key={{key!r}}, value={{value!r}}, on_delivery=delivered)
{CHECK}"""

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

DELETE_GROUP = """\
from confluent_kafka.admin import AdminClient

admin = AdminClient({{"bootstrap.servers": {address!r}}})
for group, done in admin.delete_consumer_groups([{group!r}]).items():
    done.result()
    print("deleted", group)
"""

ALTER_TOPIC = """\
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions

admin = AdminClient({{"bootstrap.servers": {address!r}}})
entry = ConfigEntry("retention.ms", "604800000", incremental_operation=AlterConfigOpType.SET)
topic = ConfigResource(ConfigResource.Type.TOPIC, {topic!r}, incremental_configs=[entry])
admin.incremental_alter_configs([topic])[topic].result()
admin.create_partitions([NewPartitions({topic!r}, {partitions})])[{topic!r}].result()
"""

ADD_PARTITIONS = """\
from confluent_kafka.admin import AdminClient, NewPartitions

admin = AdminClient({{"bootstrap.servers": {address!r}}})
admin.create_partitions([NewPartitions({topic!r}, {partitions})])[{topic!r}].result()
"""

EMPTY_TOPIC = """\
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

admin = AdminClient({{"bootstrap.servers": {address!r}}})
partitions = admin.list_topics({topic!r}).topics[{topic!r}].partitions
places = [TopicPartition({topic!r}, partition, OFFSET_END) for partition in partitions]
for place, done in admin.delete_records(places).items():
    print(place.partition, "begins at", done.result().low_watermark)
"""

DELETE_RECORDS = """\
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

admin = AdminClient({{"bootstrap.servers": {address!r}}})
place = TopicPartition({topic!r}, 0, 10)  # partition 0, everything before offset 10
print("begins at", admin.delete_records([place])[place].result().low_watermark)
"""

COMPACT = """\
sandbox topics compact {topic} --file {file}
"""

APPLY_RETENTION = """\
sandbox topics apply-retention {topic} --file {file}
"""

COPY = """\
from confluent_kafka import Consumer, Producer, TopicPartition

picked = [  # partition and offset
{places}]
consumer = Consumer({{
    "bootstrap.servers": {address!r},
    "group.id": "copy",
    "enable.auto.commit": False,
    "isolation.level": "read_uncommitted",  # these are chosen already
    "fetch.wait.max.ms": 10,  # each event is fetched alone: do not wait for more
}})
producer = Producer({{"bootstrap.servers": {address!r}, "partitioner": {partitioner!r}}})
failed = []


def delivered(error, message):
    if error:
        failed.append(error.str())


{was_in}for number, (partition, offset) in enumerate(picked):
    consumer.assign([TopicPartition({topic!r}, partition, offset)])
    message = consumer.poll(10)
    if message is None or message.error() or message.offset() != offset:
        print("not found:", partition, offset)
        continue
{mend}    producer.produce(
        {target!r},
        key=message.key(),
        value=message.value(),
        headers={headers},
{more}        on_delivery=delivered,
    )
    if producer.flush(10) or failed:
        raise SystemExit(f"stopped at partition {{partition}} offset {{offset}}: {{failed or 'no answer in time'}}")
consumer.close()
"""

MEND = f"""\
    refusal = {REFUSAL_PREFIXES!r}
    headers = [one for one in message.headers() or [] if not one[0].startswith(refusal)]
    headers.append(({SENT_BACK_HEADER!r}, f"{{message.topic()}}/{{partition}}/{{offset}}"))
"""
MIXED = f"""\
    origin = {ORIGIN_HEADERS!r}
    if not any(name in origin and value == TARGET for name, value in message.headers() or []):
        headers = message.headers()  # it is no dead letter of this topic
"""
PLACES_IN_LINE = 8

CLUSTER = """\
from sandbox import Sandbox

with Sandbox("cluster.db", brokers=3) as sandbox:
    sandbox.serve(kafka_port=0, web_port=None)
    print("connect to", [broker.address for broker in sandbox.brokers.list()])
    with sandbox.inject("Produce", error="NOT_ENOUGH_REPLICAS", times=3) as injection:
        sandbox.brokers.stop(2)  # its port closes, its partitions get other leaders
        sandbox.brokers.start(2)
        print(injection.hits, "requests were hit")
    print(sandbox.brokers.elect_preferred_leaders(), "leaders went back")
"""

CLUSTER_COMMANDS = """\
sandbox brokers list --file {file}
sandbox faults inject Produce --error NOT_ENOUGH_REPLICAS --times 3 --file {file}
sandbox brokers stop 1 --file {file}
sandbox brokers start 1 --file {file}
sandbox brokers prefer --file {file}
sandbox faults list --file {file}
sandbox faults clear --file {file}
"""

REPLICATED = """\
sandbox topics create orders --partitions 6 --replication-factor 3 --file {file}
"""

SQL = """\
import json
from urllib.parse import urlencode
from urllib.request import urlopen

question = {question!r}
with urlopen({web!r} + "/sql.json?" + urlencode(question)) as answer:
    result = json.load(answer)
print(result["columns"])
for row in result["rows"]:
    print(row)
"""

SQL_COMMAND = """\
sandbox sql {arguments} --file {file}
"""

TEMPLATES = {
    "produce": PRODUCE,
    "consume": CONSUME,
    "create": CREATE,
    "reset": RESET,
    "delete": DELETE,
    "alter-topic": ALTER_TOPIC,
    "add-partitions": ADD_PARTITIONS,
    "clean-empty": EMPTY_TOPIC,
    "clean-delete-records": DELETE_RECORDS,
    "clean-compact": COMPACT,
    "clean-retention": APPLY_RETENTION,
    "delete-group": DELETE_GROUP,
    "copy": COPY,
    "cluster": CLUSTER,
    "sql": SQL,
    "sql-command": SQL_COMMAND,
    "cluster-commands": CLUSTER_COMMANDS,
    "replicated": REPLICATED,
    **snapshots_code.TEMPLATES,
}


def _origin(header: str, said: str) -> str:
    """Return an expression for a dead letter's partition in a header: digits, or binary as Spring writes it."""
    return f'int.from_bytes({said}, "big")' if header in BINARY_HEADERS else f"int({said})"


def _was_in(headers: Sequence[str]) -> tuple[str, str]:
    """Like `_origin`, for dead letters with different headers: a function, and a call of it."""
    if len(headers) == 1:
        return "", _origin(headers[0], f"dict(message.headers())[{headers[0]!r}]")
    lines = [
        "def was_in(headers):",
        '    """The partition that a dead letter was in, as those say it who refused it."""',
        "    said = dict(headers)",
    ]
    for header in headers:
        lines += [f"    if {header!r} in said:", f"        return {_origin(header, f'said[{header!r}]')}"]
    lines.append('    raise SystemExit(f"{said} does not say in which partition it was")')
    return "\n".join(lines) + "\n\n\n", "was_in(message.headers())"


def _copy(values: Mapping[str, object]) -> dict[str, object]:
    """The values of the program that copies events, derived from its preview."""
    places, how, target = values.get("places", ()), str(values.get("how")), str(values.get("target"))
    assert isinstance(places, list | tuple)
    count = next((len(one.partitions) for one in backend().topics() if one.topic == target), 1)
    placed_by = values.get("placed_by") or ()
    assert isinstance(placed_by, list | tuple)
    function, call = _was_in(placed_by) if placed_by else ("", "")
    chosen = {"kept": "partition", "round": f"number % {count}", "origin": call}
    more = f"        partition={chosen[how]},\n" if how in chosen else ""
    if values.get("keep_time"):
        more += "        timestamp=max(0, message.timestamp()[1]),  # 0, where it has none, is now\n"
    mend = ""
    if values.get("mended"):
        mend = MEND + (MIXED.replace("TARGET", repr(target.encode())) if values.get("mixed") else "")
    shown = [f"({partition}, {offset})" for partition, offset in places]
    lines = [shown[first : first + PLACES_IN_LINE] for first in range(0, len(shown), PLACES_IN_LINE)]
    return {
        "places": "".join(f"    {', '.join(line)},\n" for line in lines),
        "partitioner": "consistent_random" if how == "consistent_random" else "murmur2_random",
        "more": more,
        "mend": mend,
        "was_in": function if how == "origin" else "",
        "headers": "headers" if mend else "message.headers()",
    }


def snippet(what: str, **values: object) -> str:
    """Return a program that is ready to run.

    Args:
        what: a name of `TEMPLATES`.
        **values: topic, group, key, value, partitions; `offsets` as (topic, partition, offset) for "reset".
    """
    filled: dict[str, object] = {
        "address": overview().kafka or "127.0.0.1:9092",
        "topic": "orders",
        "group": "my-group",
        "key": "user-42",
        "value": '{"hello": "world"}',
        "partitions": 3,
        "file": shlex.quote(overview().file),
        "web": str(the_proxy().url or overview().web or "http://127.0.0.1:8080"),
        **values,
    }
    if what == "reset":
        offsets = values.get("offsets", ())
        assert isinstance(offsets, list | tuple)
        filled["offsets"] = "".join(f"    TopicPartition({t!r}, {p}, {o}),\n" for t, p, o in offsets)
    if what == "copy":
        filled |= _copy(values)
    return TEMPLATES[what].format(**filled)
