"""Python programs that do what the Playground does, ready to run, using only confluent_kafka."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.playground.spec import ConsumerSpec

_HEAD = """\
from confluent_kafka import NAMES
from confluent_kafka.admin import AdminClient, NewTopic
MORE
SERVERS = {"bootstrap.servers": ADDRESS}
TOPIC = GROUP = THING

admin = AdminClient(SERVERS)
try:
    admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result()
except KafkaException as error:
    print(error.args[0].str())  # it is there from the last time

"""

LOSE_NO_EVENT = '''\
producer = Producer(SERVERS)
for number in range(20):
    producer.produce(TOPIC, f"event {number}")
producer.flush()


def work(commit_first):
    """Process four events. In the fifth it crashes: between the two lines whose order matters."""
    consumer = Consumer({**SERVERS, "group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([TOPIC])
    processed = []
    while True:
        message = consumer.poll(10)
        if message is None:
            raise SystemExit("no event came")
        crash = len(processed) == 4
        if commit_first:
            consumer.commit(message=message, asynchronous=False)
        if crash:
            break
        processed.append(message.offset())
        if not commit_first:
            consumer.commit(message=message, asynchronous=False)
    consumer.close()  # nothing more is committed: enable.auto.commit is off
    return processed


for commit_first in (True, False):
    offsets = work(commit_first) + work(commit_first)
    lost = sorted(set(range(offsets[0], offsets[-1] + 1)) - set(offsets))
    order = "commit, then process" if commit_first else "process, then commit"
    print(f"{order}: processed {offsets}, lost {lost}")
'''

WHY_TWICE = '''\
producer = Producer(SERVERS)
for number in range(10):
    producer.produce(TOPIC, f"event {number}")
producer.flush()


def work(count, commit):
    """Process some events, and end; a crash is an end without a commit."""
    consumer = Consumer({**SERVERS, "group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([TOPIC])
    processed = []
    while len(processed) < count:
        message = consumer.poll(10)
        if message is None:
            raise SystemExit("no event came")
        processed.append((message.partition(), message.offset()))
    if commit:
        consumer.commit(asynchronous=False)
    consumer.close()
    return processed


first = work(5, commit=False)  # as if killed before the automatic commit
second = work(5, commit=True)
print("processed", first)
print("and again", [place for place in second if place in first])
third = work(5, commit=False)
print("after a commit, again", [place for place in third if place in second])
'''

HOT_PARTITION = '''\
producer = Producer(SERVERS)


def send(hot_key):
    """Send 400 events, three of four with one key; how many went to each partition."""
    went = Counter()

    def delivered(error, message):
        if error:
            raise KafkaException(error)
        went[message.partition()] += 1

    for number in range(400):
        key = hot_key(number) if number % 4 else f"customer-{2 + number % 50}"
        producer.produce(TOPIC, f"event {number}", key=key, on_delivery=delivered)
    producer.flush()
    return dict(sorted(went.items()))


print("one key:    ", send(lambda number: "customer-1"))
print("with suffix:", send(lambda number: f"customer-1/{number % 50}"))
'''

IDLE_MEMBERS = """\
members = []
for number in range(3):
    # Members hear of a rebalance in the answer to a heartbeat; by default they send one every 3 s.
    consumer = Consumer({**SERVERS, "group.id": GROUP, "heartbeat.interval.ms": 300})
    consumer.subscribe([TOPIC])
    members.append(consumer)

# Each must poll, so that the group can agree; then nothing moves any more.
settled, last = 0, None
while settled < 20:
    for consumer in members:
        consumer.poll(0.05)
    shares = [[one.partition for one in consumer.assignment()] for consumer in members]
    settled = settled + 1 if shares == last and sum(map(len, shares)) == PARTITIONS else 0
    last = shares

for number, partitions in enumerate(last):
    print(f"member-{number} reads", partitions or "nothing: it is idle")
for consumer in members:
    consumer.close()
"""

REBALANCE_STORM = '''\
def storm(assignor):
    """Let a fourth member come and go twice; how many partitions the other three had to give up."""
    given_up = 0

    def revoked(consumer, partitions):
        nonlocal given_up
        given_up += len(partitions)

    def member(**callbacks):
        # Members hear of a rebalance in the answer to a heartbeat; by default they send one every 3 s.
        settings = {"partition.assignment.strategy": assignor, "heartbeat.interval.ms": 300}
        consumer = Consumer({**SERVERS, "group.id": GROUP, **settings})
        consumer.subscribe([TOPIC], **callbacks)
        return consumer

    def settle(members):
        until = time.monotonic() + 30
        calm = 0
        while calm < 10 and time.monotonic() < until:
            for consumer in members:
                consumer.poll(0.02)
            shares = [len(consumer.assignment()) for consumer in members]
            calm = calm + 1 if sum(shares) == PARTITIONS and min(shares) > 0 else 0

    steady = [member(on_revoke=revoked) for _ in range(3)]
    settle(steady)
    given_up = 0
    for _ in range(2):
        restless = member()
        settle([*steady, restless])
        restless.close()
        settle(steady)
    result = given_up
    for consumer in steady:
        consumer.close()
    return result


for assignor in ("range", "cooperative-sticky"):
    print(f"{assignor}: the three gave up {storm(assignor)} partitions")
'''

DEAD_LETTERS = '''\
LETTERS = TOPIC + ".dlq"
try:
    admin.create_topics([NewTopic(LETTERS, 1)])[LETTERS].result()
except KafkaException as error:
    print(error.args[0].str())

producer = Producer(SERVERS)
for number in range(10):
    amount = '"12,50"' if number == 4 else f"{number}.50"  # number 4 is poison: text, where a number belongs
    producer.produce(TOPIC, f'{{"number": {number}, "amount": {amount}}}')
producer.flush()


def work(message):
    event = json.loads(message.value())
    if not isinstance(event["amount"], float):
        raise ValueError(f"the amount is {event['amount']!r}")


def refuse(message, why):
    """Keep an event for later, and say in its headers why, and where it was."""
    place = {"dlq.topic": message.topic(), "dlq.partition": message.partition(), "dlq.offset": message.offset()}
    headers = [(name, str(told)) for name, told in {"dlq.error": why, **place}.items()]
    producer.produce(LETTERS, message.value(), message.key(), headers=headers)
    producer.flush()  # stored before the offset is committed: else it could be lost


def read(topic, count, handle):
    """Handle events, each three times at most; how many became dead letters."""
    consumer = Consumer({**SERVERS, "group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    refused = 0
    for _ in range(count):
        message = consumer.poll(10)
        if message is None:
            raise SystemExit("no event came")
        why = ""
        for _attempt in range(3):
            try:
                handle(message)
                break
            except ValueError as error:
                why = str(error)
        else:
            refuse(message, why)
            refused += 1
        consumer.commit(message=message, asynchronous=False)
    consumer.close()
    return refused


def mend(message):
    """Send it back as a new event, with the comma mended and without the headers of its refusal."""
    place = f"{message.topic()}/{message.partition()}/{message.offset()}"
    mended = message.value().replace(b'"12,50"', b"12.50")
    producer.produce(TOPIC, mended, message.key(), headers=[("dlq.sent-back-from", place)])
    producer.flush()


print("ten events:", read(TOPIC, 10, work), "dead letter, and nothing waited behind it")
read(LETTERS, 1, mend)
print("mended and sent back:", read(TOPIC, 1, work), "dead letters")
'''


EVOLVE_A_SCHEMA = """\
registry = SchemaRegistryClient({"url": REGISTRY})  # pip install 'confluent-kafka[avro,schemaregistry]'
producer = Producer(SERVERS)
value = SerializationContext(TOPIC, MessageField.VALUE)


def schema(*added):
    fields = [{"name": "number", "type": "int"}, *added]
    return json.dumps({"type": "record", "name": "Order", "fields": fields})


def send(text, order):
    # The serializer registers its schema. The registry checks it, at the level BACKWARD by default.
    producer.produce(TOPIC, AvroSerializer(registry, text)(order, value))
    producer.flush()


send(schema(), {"number": 1})
try:
    send(schema({"name": "currency", "type": "string"}), {"number": 2, "currency": "USD"})
except SchemaRegistryError as error:
    print("refused without a default:", error.http_status_code)
send(schema({"name": "currency", "type": "string", "default": "EUR"}), {"number": 3, "currency": "USD"})

consumer = Consumer({**SERVERS, "group.id": GROUP, "auto.offset.reset": "earliest"})
consumer.subscribe([TOPIC])
read = AvroDeserializer(registry, schema())  # the old consumer
for _ in range(2):
    message = consumer.poll(10)
    if message is None:
        raise SystemExit("no event came")
    print("the old consumer reads", read(message.value(), value))
consumer.close()
"""


@dataclass(frozen=True, slots=True)
class Program:
    """The program of a scenario.

    Attributes:
        body: the code after the common header.
        partitions: the topic's number of partitions.
        names: what it imports from confluent_kafka.
        library: the import line for Python's standard library; "" if none.
        more: other import lines.
    """

    body: str
    partitions: int
    names: str
    library: str = ""
    more: str = ""


REGISTRY_IMPORTS = """\
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
"""
DEFAULT_REGISTRY = "http://127.0.0.1:8081"
BOTH = "Consumer, KafkaException, Producer"
READS = "Consumer, KafkaException"
PROGRAMS = {
    "lose-no-event": Program(LOSE_NO_EVENT, 1, BOTH),
    "why-twice": Program(WHY_TWICE, 1, BOTH),
    "hot-partition": Program(HOT_PARTITION, 4, "KafkaException, Producer", "from collections import Counter\n\n"),
    "idle-members": Program(IDLE_MEMBERS, 2, READS),
    "rebalance-storm": Program(REBALANCE_STORM, 6, READS, "import time\n\n"),
    "dead-letters": Program(DEAD_LETTERS, 1, BOTH, "import json\n\n"),
    "evolve-a-schema": Program(EVOLVE_A_SCHEMA, 1, BOTH, "import json\n\n", REGISTRY_IMPORTS),
}

CONSUMER = """\
from confluent_kafka import NAMES

PRODUCERconsumer = Consumer({
SETTINGS})
consumer.subscribe(TOPICS)
try:
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            print(message.error())
            continue
BODYfinally:
    consumer.close()
"""
_PROCESS = "print(message.topic(), message.partition(), message.offset(), message.key(), message.value())"
_COMMIT = "consumer.commit(message=message, asynchronous=False)"
_PRODUCER = """\
producer = Producer({"bootstrap.servers": ADDRESS})
failed = []


def delivered(error, message):
    if error:
        failed.append(error.str())


"""
_REFUSE = """\
if any(POISON in (part or b"") for part in (message.key(), message.value())):  # what your program cannot handle
    why = {"dlq.error": WHY, "dlq.group": GROUP, "dlq.topic": message.topic()}
    why |= {"dlq.partition": str(message.partition()), "dlq.offset": str(message.offset())}
    headers = [*(message.headers() or []), *why.items()]
    place = message.topic() + ".dlq"
    producer.produce(place, message.value(), message.key(), headers=headers, on_delivery=delivered)
    if producer.flush(10) or failed:SAFE
        raise SystemExit(f"no dead letter was stored in {place}: {failed or 'no answer in time'}")
else:
    PROCESS"""
_SAFE = "  # its offset is not committed: the event is read again"


def scenario_program(name: str, address: str, registry: str = DEFAULT_REGISTRY) -> str:
    """Return a program that demonstrates a scenario; it creates its own topic and group.

    Args:
        name: the scenario's name.
        address: the cluster's address.
        registry: the schema registry's URL.
    """
    program = PROGRAMS[name]
    gap = "\n" if program.body.startswith("def ") else ""
    values = {"NAMES": program.names, "ADDRESS": repr(address), "PARTITIONS": str(program.partitions)}
    values |= {"MORE": program.more, "REGISTRY": repr(registry)}
    values["THING"] = repr(f"playground-{name}-python")
    return _filled(program.library + _HEAD + gap + program.body, values)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Replace placeholders with their values, in one pass because a value may contain placeholders."""
    return re.sub("|".join(values), lambda word: values[word[0]], text)


def consumer_program(spec: ConsumerSpec, address: str) -> str:
    """Return a program that reads like a Playground consumer, without its faults. It only keeps the refusal of events
    by their content, which become dead letters.
    """
    told = spec.kafka(spec.client_id or "my-program")
    settings: dict[str, object] = {"bootstrap.servers": address}
    settings |= {name: told[name] for name in ("group.id", "client.id", "auto.offset.reset")}
    if spec.protocol == "consumer":
        settings |= {"group.protocol": "consumer", "group.remote.assignor": spec.assigns_by}
    else:
        settings |= {name: told[name] for name in ("partition.assignment.strategy", "session.timeout.ms")}
    settings["enable.auto.commit"] = spec.commit == "auto"
    if spec.commit == "auto":
        settings["auto.commit.interval.ms"] = spec.auto_commit_ms
    refuses = spec.fail_contains != "" and spec.then == "dlq"
    process = _PROCESS
    if refuses:
        safe = _SAFE if spec.commit == "after" else ""
        text = spec.fail_contains
        told = {"POISON": repr(text.encode("utf-8", "replace")), "WHY": repr(f"it contains {text!r}")}
        process = _filled(_REFUSE, told | {"GROUP": repr(spec.group), "PROCESS": _PROCESS, "SAFE": safe})
    done = {"after": (process, _COMMIT), "before": (_COMMIT, process)}.get(spec.commit, (process,))
    lines = "\n".join(done).splitlines()
    return _filled(
        CONSUMER,
        {
            "NAMES": "Consumer, Producer" if refuses else "Consumer",
            "PRODUCER": _filled(_PRODUCER, {"ADDRESS": repr(address)}) if refuses else "",
            "SETTINGS": "".join(f'    "{name}": {value!r},\n' for name, value in settings.items()),
            "TOPICS": repr(list(spec.topics)),
            "BODY": "".join(f"        {line}\n" for line in lines),
        },
    )
