"""The scenario of a poison event: it blocks its partition, becomes a dead letter, is corrected and sent again."""

import time
from typing import Any

from sandbox.playground.run import Action, Run, Scenario, Step
from sandbox.playground.spec import DEAD_LETTERS, SENT_BACK_HEADER

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
