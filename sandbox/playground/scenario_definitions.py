"""The guided scenarios as data: what is set up, what to do, and which facts complete a step."""

import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sandbox.model.registry import DEFAULT_CONTEXT, DEFAULT_LEVEL, SchemaRequest, Subject
from sandbox.playground.run import Action, Run, Scenario, Step
from sandbox.playground.spec import DEAD_LETTERS, SENT_BACK_HEADER, SHARE

if TYPE_CHECKING:
    from sandbox.schemas.schema import ParsedSchema

EVERY, FIRST = 20, 6
"""One event out of EVERY is poison, starting with event FIRST."""
POISON, MENDED = '"12,50"', "12.50"
"""The amount of a poison event (text with a comma), and the correct number."""
FLUSH_S = 10.0
CLEAN = 15
"""The number of events without a dead letter that shows that the source is corrected."""


def _key(number: int, mended: bool) -> str:
    return f"customer-{number % 97}"


def _value(number: int, mended: bool) -> str:
    poison = number % EVERY == FIRST
    amount = (MENDED if mended else POISON) if poison else f"{3 + number % 40}.{number % 9}0"
    return f'{{"number": {number}, "amount": {amount}}}'


def _dead(run: Run) -> int:
    return run.seen.counts.get("dead_lettered", 0)


def _lag(run: Run) -> int:
    return sum(run.lags.values())


def _drained(run: Run) -> bool:
    """True if the lag is at most 3, or at most half of its maximum."""
    run.peak["lag"] = max(run.peak.get("lag", 0), _lag(run))
    return run.stable and _lag(run) <= max(3, run.peak["lag"] // 2)


def _given_up(run: Run) -> bool:
    return all(one.spec.then == "dlq" for one in run.room.consumers(run.scenario.thing))


def _mended_processed(run: Run) -> bool:
    """True if an event was processed whose amount only a corrected event has."""
    return any(
        one.outcome == "processed" and f'"amount": {MENDED}'.encode() in (one.value or b"")
        for consumer in run.seen.consumers
        for one in consumer.events
    )


def _clean(run: Run) -> bool:
    """True if at least CLEAN events were processed since the last dead letter, or since the source was corrected."""
    processed = run.seen.counts.get("processed", 0)
    if not run.spread or run.peak.get("dead") != _dead(run):
        run.peak["dead"], run.peak["from"] = _dead(run), processed
    return run.spread and processed - run.peak["from"] >= CLEAN


def send_back(run: Run) -> None:
    """Correct each dead letter that was not sent back yet, and append it to its original topic."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    topic, letters = run.scenario.thing, run.scenario.thing + DEAD_LETTERS
    told = {**run.room.connection(), "log_level": 2}
    producer = Producer(told)
    consumer = Consumer({**told, "group.id": topic, "enable.auto.commit": False})
    try:
        for partition in consumer.list_topics(letters, timeout=FLUSH_S).topics[letters].partitions:
            place = TopicPartition(letters, partition)
            low, high = consumer.get_watermark_offsets(place, timeout=FLUSH_S)
            place.offset = max(low, run.sent_back.get(partition, low))
            consumer.assign([place])
            until_s = time.monotonic() + FLUSH_S
            while run.sent_back.get(partition, place.offset) < high and time.monotonic() < until_s:
                message = consumer.poll(0.2)
                if message is None or message.error():
                    continue
                value = (message.value() or b"").replace(POISON.encode(), MENDED.encode())
                offset = int(message.offset() or 0)
                headers: Any = [one for one in message.headers() or [] if not one[0].startswith("dlq.")]
                headers.append((SENT_BACK_HEADER, f"{letters}/{partition}/{offset}".encode()))
                producer.produce(topic, value, message.key(), headers=headers)
                run.sent_back[partition] = offset + 1
        producer.flush(FLUSH_S)
    finally:
        consumer.close()
    run.look_soon()


def _nothing_to_send(run: Run) -> str | None:
    if not _dead(run):
        return "There is no dead letter yet."
    return "All were sent back." if sum(run.sent_back.values()) >= _dead(run) else None


DEAD = Scenario(
    name="dead-letters",
    title="A poison event",
    goal="Move a failing event to a dead-letter topic, fix it, and reprocess it.",
    story="A topic with one partition, four events per second, and one consumer. One event of twenty is poison: its "
    f"amount is the text {POISON} instead of a number. The consumer retries it forever.",
    lesson="An event that always fails blocks its partition while it is retried. A dead-letter topic stores it with "
    "the reason in its headers, and the other events continue. A fixed event is appended as a new one at the end of "
    "the log, after events that were written later. Fix the source too.",
    partitions=1,
    rate=4,
    key=_key,
    value=_value,
    setup=lambda run: run.add(fail_contains=POISON, retries=2, then="stuck"),
    steps=(
        Step(
            "Watch a poison event arrive. It is retried again and again, and the events behind it wait: the lag grows.",
            lambda run: any(one.stuck for one in run.working()) and _lag(run) >= 4,
        ),
        Step(
            "Let the consumer give up after three attempts and move the event to the dead-letter topic.",
            lambda run: run.since("dead_lettered") > 0,
            ("give-up",),
        ),
        Step("Watch the lag fall to 0.", _drained),
        Step(
            f"Fix one and resend it: open playground-dead-letters{DEAD_LETTERS}, choose an event, “Fix and resend”, "
            f"set the amount to {MENDED}, and send. Or let the button fix all of them. It is processed.",
            _mended_processed,
            ("send-back",),
        ),
        Step(
            f"Fix the source, so that it writes {MENDED}. Watch {CLEAN} events pass without a dead letter.",
            _clean,
            ("source",),
        ),
    ),
    actions=(
        Action(
            "give-up",
            "Give up after three attempts",
            lambda run: run.change(then="dlq"),
            lambda run: "It already does." if _given_up(run) else None,
        ),
        Action("send-back", "Fix all and resend", send_back, _nothing_to_send),
        Action(
            "source",
            "Fix the source",
            lambda run: setattr(run, "spread", True),
            lambda run: "It is already fixed." if run.spread else None,
        ),
    ),
    note=lambda run: f"a lag of {_lag(run)}, {_dead(run)} dead letters",
)


HOT_KEY = "customer-1"


def _spread_keys(number: int, spread: bool) -> str:
    return f"customer-{number % 97}"


def _hot_keys(number: int, spread: bool) -> str:
    """Three of four events have the hot key. With `spread`, a suffix splits it into 50 keys."""
    if number % 4 == 0:
        return f"customer-{2 + number % 50}"
    return f"{HOT_KEY}/{number % 50}" if spread else HOT_KEY


def _none_alive(run: Run) -> str | None:
    return None if run.alive() else "No consumer is running: start one."


def _one_alive(run: Run) -> str | None:
    return "One is already running: crash it first." if run.alive() else None


CRASH = Action("crash", "Crash the consumer", Run.crash, _none_alive)
START = Action("another", "Start another", Run.another, _one_alive)
MORE = Action("another", "Start another", Run.another)
COMMIT_AFTER = Action(
    "after",
    "Commit after each event",
    lambda run: run.change(commit="after"),
    lambda run: "It already does." if _commits_after(run) else None,
)


def _commits_after(run: Run) -> bool:
    return all(one.spec.commit == "after" for one in run.room.consumers(run.scenario.thing))


LOSE = Scenario(
    name="lose-no-event",
    title="Lose no event",
    goal="Crash a consumer, and still process every event.",
    story="A topic with one partition, three events per second, and one consumer that commits each event before it has "
    "processed it, which takes 400 ms.",
    lesson="Commit before processing: a crash loses the event (at most once). Process before committing: a crash never "
    "loses one (at least once). Only the order of two lines differs.",
    partitions=1,
    rate=3,
    key=_spread_keys,
    setup=lambda run: run.add(commit="before", slow_ms=400),
    steps=(
        Step("Watch three events pass. Each is committed before it is processed.", lambda run: _processed(run, 3)),
        Step("Crash the consumer while it works on an event.", lambda run: run.since("crashes") > 0, ("crash",)),
        Step(
            "Start another. When the first one's session has ended, it continues after the committed offset: the event "
            "in between was never processed.",
            lambda run: run.since("missing") > 0,
            ("another",),
        ),
        Step(
            "Fix it: commit after each event. Watch two events pass.",
            lambda run: bool(run.working()) and _commits_after(run) and run.since("processed") >= 2,
            ("after",),
        ),
        Step("Crash it again.", lambda run: run.since("crashes") > 0, ("crash",)),
        Step(
            "Start another, and watch three events go by: nothing is missing this time.",
            lambda run: bool(run.working()) and _processed(run, 3) and run.since("missing") == 0,
            ("another",),
        ),
    ),
    actions=(CRASH, START, COMMIT_AFTER),
    note=lambda run: f"{_events(run.seen.facts.processed)} processed, {run.seen.facts.missing} lost",
)

TWICE = Scenario(
    name="why-twice",
    title="Duplicate delivery",
    goal="See an event delivered twice, and know why.",
    story="A topic with one partition, five events per second, and one consumer with Kafka's default: it commits "
    "automatically, every 5 seconds.",
    lesson="Whatever was processed since the last commit is delivered again after a crash. More commits make it less, "
    "and none makes it nothing: so make processing idempotent, for example by the key and offset of the event.",
    partitions=1,
    rate=5,
    key=_spread_keys,
    setup=lambda run: run.add(commit="auto", auto_commit_ms=5000),
    steps=(
        Step("Watch five events go by.", lambda run: _processed(run, 5)),
        Step(
            "Crash the consumer, some seconds after its last commit.", lambda run: run.since("crashes") > 0, ("crash",)
        ),
        Step(
            "Start another. When the session of the first has ended, events come that were processed before: they "
            "are marked “again”. If none are, it had only just committed: crash this one too, and start another.",
            lambda run: run.since("redelivered") > 0,
            ("another",),
        ),
        Step(
            "Commit after each event. Watch two go by.",
            lambda run: bool(run.working()) and _commits_after(run) and run.since("processed") >= 2,
            ("after",),
        ),
        Step("Crash it again.", lambda run: run.since("crashes") > 0, ("crash",)),
        Step(
            "Start another, and watch three events go by: at most one comes again, the one it was working on.",
            lambda run: (
                bool(run.working()) and _processed(run, 3) and 2 * run.since("redelivered") < run.since("processed")
            ),
            ("another",),
        ),
    ),
    actions=(CRASH, START, COMMIT_AFTER),
    note=lambda run: f"{_events(run.seen.facts.processed)} processed, {run.seen.facts.redelivered} of them again",
)


def _each_has_one(run: Run) -> bool:
    return run.stable and all(len(one.assigned) == 1 for one in run.working())


def _hot_lag(run: Run) -> int:
    """Return the lag of the partition with the hot key, and record its maximum."""
    ends = run.ends
    hot = max(ends, key=lambda partition: ends[partition], default=0)
    lag = run.lags.get(hot, 0)
    run.peak["lag"] = max(run.peak.get("lag", 0), lag)
    return lag


def _hot_share(run: Run) -> float:
    ends = run.ends
    return max(ends.values(), default=0) / max(1, sum(ends.values()))


def _drains(run: Run) -> bool:
    lag = _hot_lag(run)
    return run.spread and run.peak["lag"] > 0 and lag <= run.peak["lag"] * 2 // 3


def _two_slow(run: Run) -> None:
    run.add(slow_ms=200)
    run.add(slow_ms=200)


HOT = Scenario(
    name="hot-partition",
    title="A hot partition",
    goal="Find out why more consumers do not help, and what does.",
    story="A topic with four partitions, twelve events per second, three of four with the same key, and two consumers "
    "that need 200 ms for an event.",
    lesson="Events with one key go to one partition, and one partition is read by one member of a group. More members "
    "do not help a hot key. A more granular key does, if the order of its events need not be kept.",
    partitions=4,
    rate=12,
    key=_hot_keys,
    setup=_two_slow,
    steps=(
        Step(
            "Watch the partitions: one gets most of the events.",
            lambda run: sum(run.ends.values()) >= 24 and _hot_share(run) > 0.6,
        ),
        Step(
            "Help it: start consumers until each partition has its own.",
            lambda run: len(run.working()) >= 4 and _each_has_one(run),
            ("another",),
        ),
        Step("Watch the lag of the hot partition: it still grows.", lambda run: _hot_lag(run) >= 20),
        Step("Spread the key: give it a suffix.", lambda run: run.spread, ("spread",)),
        Step("Watch the hot partition drain, to two thirds of its highest lag.", _drains),
    ),
    actions=(
        Action(
            "another",
            "Start another",
            Run.another,
            lambda run: "Each partition has its own consumer already." if len(run.alive()) >= 4 else None,
        ),
        Action("spread", "Spread the key", lambda run: setattr(run, "spread", not run.spread)),
    ),
    note=lambda run: f"the fullest partition has {_hot_share(run):.0%} of the events, and a lag of {_hot_lag(run)}",
)


def _two(run: Run) -> None:
    run.add()
    run.add()


def _add_partition(run: Run) -> None:
    run.room.ground.create_partitions(run.scenario.thing, len(run.ends) + 1)


IDLE = Scenario(
    name="idle-members",
    title="More consumers than partitions",
    goal="See who gets nothing to do, what it is good for, and how to give it work.",
    story="A topic with two partitions, four events per second, and two consumers.",
    lesson="A partition has one reader in each group. A member too many is idle: a spare, that takes over when another "
    "goes. To read with more members at once, the topic needs more partitions.",
    partitions=2,
    rate=4,
    key=_spread_keys,
    setup=_two,
    steps=(
        Step(
            "Wait until each of the two has its partition.", lambda run: len(run.working()) == 2 and _each_has_one(run)
        ),
        Step(
            "Start a third. One of the three is idle.",
            lambda run: len(run.working()) >= 3 and run.stable and any(not one.assigned for one in run.working()),
            ("another",),
        ),
        Step(
            "Close one that works. The idle one takes its partition.",
            lambda run: run.since("ended") > 0 and len(run.working()) == 2 and _each_has_one(run),
            ("close",),
        ),
        Step(
            "Start a third again, and add a partition: now each of them has one.",
            lambda run: len(run.working()) >= 3 and len(run.ends) >= 3 and _each_has_one(run),
            ("another", "partition"),
        ),
    ),
    actions=(
        MORE,
        Action("close", "Close one that works", Run.close_busy, _none_alive),
        Action(
            "partition",
            "Add a partition",
            _add_partition,
            lambda run: "Twelve are enough." if len(run.ends) >= 12 else None,
        ),
    ),
    note=lambda run: (
        f"{len(run.working())} consumers, {len(run.ends)} partitions, "
        f"{sum(not one.assigned for one in run.working())} idle"
    ),
)


def _storms(run: Run) -> bool:
    return any(one.spec.flap_ms for one in run.alive())


def _start_storm(run: Run) -> None:
    assignor = next((one.spec.assigns_by for one in run.alive()), "range")
    run.add(flap_ms=2000, assignor=assignor)


def _stop_storm(run: Run) -> None:
    for one in run.alive():
        if one.spec.flap_ms:
            run.room.consumer(one.number).leave()


def _cooperative(run: Run) -> bool:
    ours = run.working()
    return bool(ours) and all(one.spec.assigns_by == "cooperative-sticky" for one in ours)


def _calm(run: Run) -> bool:
    if _storms(run) or not run.stable:
        run.peak["calm"] = 0
    run.peak["calm"] = run.peak.get("calm", 0) + 1
    return run.peak["calm"] > 8


def _three_with_range(run: Run) -> None:
    for _ in range(3):
        run.add(assignor="range")


STORM = Scenario(
    name="rebalance-storm",
    title="A rebalance storm",
    goal="See what one restless consumer costs the others, and make it cost less.",
    story="A topic with six partitions, twenty events per second, and three consumers with the assignor range.",
    lesson="With range every rebalance takes all partitions from all members: everyone stops. With cooperative-sticky "
    "a member keeps what it keeps, and only what moves is given up. The cure is a consumer that does not come and go.",
    partitions=6,
    rate=20,
    key=_spread_keys,
    setup=_three_with_range,
    steps=(
        Step(
            "Wait until three consumers share the six partitions.",
            lambda run: run.stable and [len(one.assigned) for one in run.working()] == [2, 2, 2],
        ),
        Step("Start the storm: a fourth comes and goes every 2 seconds.", _storms, ("storm",)),
        Step(
            "Watch three rebalances: each time all members revoke all partitions.",
            lambda run: run.since("generation") >= 3 and run.since("gave_up") >= 12,
        ),
        Step("Restart them with cooperative-sticky.", _cooperative, ("cooperative",)),
        Step(
            "Watch three rebalances again: partitions stay where they are, and few are revoked.",
            lambda run: run.since("generation") >= 3 and _storms(run) and all(one.assigned for one in run.working()),
        ),
        Step("Stop the storm. The group is calm.", _calm, ("calm",)),
    ),
    actions=(
        Action("storm", "Start the storm", _start_storm, lambda run: "It storms already." if _storms(run) else None),
        Action(
            "cooperative",
            "Restart with cooperative-sticky",
            lambda run: run.restart(assignor="cooperative-sticky"),
            lambda run: "They have it already." if _cooperative(run) else None,
        ),
        Action("calm", "Stop the storm", _stop_storm, lambda run: None if _storms(run) else "There is none."),
    ),
    note=lambda run: (
        f"generation {run.seen.counts.get('generation', 0)}, "
        f"{run.seen.facts.gave_up} partitions revoked so far by the running consumers"
    ),
)


def _schema(*added: dict[str, str]) -> str:
    fields = [{"name": "number", "type": "int"}, {"name": "amount", "type": "double"}, *added]
    return json.dumps({"type": "record", "name": "Order", "fields": fields})


CURRENCY = {"name": "currency", "type": "string"}
FIRST_SCHEMA, WITHOUT_DEFAULT, WITH_DEFAULT = _schema(), _schema(CURRENCY), _schema(CURRENCY | {"default": "EUR"})


def _register(run: Run, text: str) -> None:
    """Register a schema. If the registry accepts it, the consumers learn its id, and the producer writes with it."""
    from sandbox.registry.errors import RegistryError

    registry, subject = run.room.registry, Subject(DEFAULT_CONTEXT, run.scenario.subject or "")
    request = SchemaRequest(text)
    try:
        found = registry.register(subject, request)
    except RegistryError as error:
        run.refusal = f"{error.code}: {next(iter(registry.check(subject, request, None)), error.message)}"
    else:
        schemas = {**run.writer_schemas, found.schema_id: text}
        run.change(writer_schemas=tuple(schemas.items()))
        run.writer_schemas = schemas
    run.look_soon()


def _one_old_consumer(run: Run) -> None:
    if not run.writer_schemas:
        subject = Subject(DEFAULT_CONTEXT, run.scenario.subject or "")
        run.room.registry.update_config(subject, {"compatibility": DEFAULT_LEVEL})
        _register(run, FIRST_SCHEMA)
    run.add(reader_schema=FIRST_SCHEMA, writer_schemas=tuple(run.writer_schemas.items()), then="stuck")


def _order(run: Run, number: int) -> bytes:
    from sandbox.schemas.framing import classic_frame

    schema_id, text = list(run.writer_schemas.items())[-1]
    order: dict[str, Any] = {"number": number, "amount": 3 + number % 40 + 0.5}
    if text != FIRST_SCHEMA:
        order["currency"] = ("EUR", "USD", "CHF")[number % 3]
    return classic_frame(schema_id) + _parsed(text).encode(order)


@lru_cache
def _parsed(text: str) -> "ParsedSchema":
    from sandbox.schemas.parsing import parse_schema

    return parse_schema("AVRO", text)


def _evolve_note(run: Run) -> str:
    counts = run.seen.counts
    read = f"{_events(counts.get('processed', 0))} read, {counts.get('resolved', 0)} of them of version 2"
    return f"{read}. The registry refused the field without a default: {run.refusal}" if run.refusal else read


def _evolved(run: Run) -> bool:
    return len(run.writer_schemas) > 1


EVOLVE = Scenario(
    name="evolve-a-schema",
    title="Evolve a schema",
    goal="Add a field to a schema, and keep a consumer running that doesn't know it.",
    story="A topic with one partition, three orders per second, written with version 1 of an Avro schema, and one "
    "consumer that reads them with that version. The compatibility level is BACKWARD, the registry's default.",
    lesson="BACKWARD: a consumer with the new schema can read what was written with the previous one, so a new field "
    "needs a default. A consumer with the old schema skips the field, so this change is FORWARD compatible too: "
    "producers and consumers can be upgraded in any order. Check a schema before a release: sandbox schemas check.",
    partitions=1,
    rate=3,
    key=_spread_keys,
    setup=_one_old_consumer,
    encoded=_order,
    subject="playground-evolve-a-schema-value",
    steps=(
        Step("Watch three orders pass. They have a number and an amount.", lambda run: _processed(run, 3)),
        Step(
            "Add the field currency, without a default. The registry refuses it: a consumer with this schema could not "
            "read the orders that are there already.",
            lambda run: run.refusal is not None,
            ("without-default",),
        ),
        Step(
            "Fix it: give the field a default. The registry accepts it as version 2, and the producer writes with it.",
            _evolved,
            ("with-default",),
        ),
        Step(
            "Watch the consumer read three orders of version 2 with its version 1: it skips the new field.",
            lambda run: run.since("resolved") >= 3,
        ),
    ),
    actions=(
        Action(
            "without-default",
            "Try to add it without a default",
            lambda run: _register(run, WITHOUT_DEFAULT),
            lambda run: "The field is there already." if _evolved(run) else None,
        ),
        Action(
            "with-default",
            "Add it with a default",
            lambda run: _register(run, WITH_DEFAULT),
            lambda run: "The field is there already." if _evolved(run) else None,
        ),
        START,
    ),
    note=_evolve_note,
)

MEMBERS = 3


def _queue_lag(run: Run) -> int:
    group = run.seen.share_group
    return (group.lag or 0) if group is not None else 0


def _two_readers(run: Run) -> None:
    run.add(slow_ms=600)
    run.add(slow_ms=600)


def _start_queue(run: Run) -> None:
    for _ in range(MEMBERS):
        run.add(protocol=SHARE, slow_ms=600, lock_ms=15_000)


def _answer(run: Run, acknowledge: str, members: int = 1) -> None:
    """Change how the newest members of the share group acknowledge; the others accept."""
    for number, one in enumerate(reversed(run.sharing())):
        run.room.consumer(one.number).change(acknowledge=acknowledge if number < members else "accept")


def _acknowledges(name: str, label: str) -> Action:
    def why_not(run: Run) -> str | None:
        if not run.sharing():
            return "The share group has no members: start it."
        return "One already does." if any(one.spec.acknowledge == name for one in run.sharing()) else None

    return Action(name, label, lambda run: _answer(run, name), why_not)


def _crash_sharing(run: Run) -> None:
    run.crash_busy(run.sharing)


def _all_read(run: Run) -> bool:
    return sum(one.counts.get("processed", 0) >= 2 for one in run.seen.sharing) >= MEMBERS


def _all_accept(run: Run) -> bool:
    return bool(run.sharing()) and all(one.spec.acknowledge == "accept" for one in run.sharing())


QUEUE = Scenario(
    name="queue",
    title="A queue in Kafka",
    goal="Share one partition's work among several consumers, and retry single events.",
    story="A topic with one partition, three events per second, and a consumer group of two consumers that need 600 ms "
    "for an event. A share group will read the same topic.",
    lesson="In a consumer group a partition has one reader, and its progress is one offset. In a share group each "
    "event is locked by one member and acknowledged separately: accepted, released, rejected, or available again when "
    "its lock expires. More members than partitions help, a crash delays nothing, and a failing event blocks "
    "no other. The price is order: an event that is delivered again comes after later ones.",
    partitions=1,
    rate=3,
    key=_spread_keys,
    setup=_two_readers,
    shares=True,
    steps=(
        Step(
            "Watch the consumer group: one consumer has the only partition, the other is idle, and the lag grows.",
            lambda run: run.stable and any(not one.assigned for one in run.working()) and _lag(run) >= 5,
        ),
        Step(
            f"Start a share group of {MEMBERS} members. All of them get events of the one partition.",
            _all_read,
            ("share",),
        ),
        Step(
            "Let a member release its events: each is delivered again, and another member accepts it.",
            lambda run: run.since("share_released") > 0 and run.since("share_redeliveries") > 0,
            ("release",),
        ),
        Step(
            "Let it reject them: a rejected event is archived, and never delivered again.",
            lambda run: run.since("share_rejected") > 0,
            ("reject",),
        ),
        Step(
            "Crash a member while it works. Its event is available at once: no session has to end first.",
            lambda run: run.since("share_crashes") > 0 and run.since("share_redeliveries") > 0,
            ("crash",),
        ),
        Step(
            "Let one hold an event until its lock expires, after 15 s. It is available again, and a late "
            "acknowledgement changes nothing.",
            lambda run: run.since("share_expired") > 0,
            ("expire",),
        ),
        Step(
            "Let all members accept. The share group's lag falls to 3, while the consumer group's still grows.",
            lambda run: _all_accept(run) and run.since("share_processed") > 0 and _queue_lag(run) <= 3,
            ("accept",),
        ),
    ),
    actions=(
        Action(
            "share",
            "Start the share group",
            _start_queue,
            lambda run: "It has enough members." if len(run.sharing()) >= MEMBERS else None,
        ),
        _acknowledges("release", "One releases"),
        _acknowledges("reject", "One rejects"),
        _acknowledges("expire", "One lets a lock expire"),
        Action(
            "crash",
            "Crash a member",
            _crash_sharing,
            lambda run: None if run.sharing() else "The share group has no members: start it.",
        ),
        Action(
            "accept",
            "All accept",
            lambda run: _answer(run, "accept"),
            lambda run: "All do." if _all_accept(run) else None,
        ),
    ),
    note=lambda run: f"the consumer group's lag is {_lag(run)}, the share group's {_queue_lag(run)}",
)

SCENARIOS = (LOSE, TWICE, HOT, IDLE, STORM, DEAD, EVOLVE, QUEUE)


def _processed(run: Run, count: int) -> bool:
    return run.since("processed") >= count


def _events(count: int) -> str:
    return f"{count:,} event{'' if count == 1 else 's'}"
