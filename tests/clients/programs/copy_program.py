"""Copies events from one topic to another exactly once: each transaction holds some events and the offset after them.

Arguments: source, target, group, bootstrap address. It runs until it is killed, aborts every fourth transaction, and
says `{"copied": N}` after each that it committed.
"""

from __future__ import annotations

import sys

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from tests.clients.programs.lines import say

EVENTS_MAX = 25
ABORTS_EVERY = 4


def run(source: str, target: str, group: str, bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": group, "linger.ms": 1})
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.instance.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    producer.init_transactions(30)
    consumer.subscribe([source])
    copied = transactions = 0
    while True:
        messages = [message for message in consumer.consume(EVENTS_MAX, 0.2) if not failed(message)]
        if not messages:
            continue
        transactions += 1
        producer.begin_transaction()
        for message in messages:
            producer.produce(target, message.value(), message.key(), partition=partition_of(message))
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        if transactions % ABORTS_EVERY == 0:
            producer.flush()
            producer.abort_transaction()
            for start in starts(messages):
                consumer.seek(start)
            continue
        producer.commit_transaction()
        copied += len(messages)
        say(copied=copied)


def failed(message: Message) -> bool:
    error = message.error()
    if error is not None and not error.retriable():
        raise KafkaException(error)
    return error is not None


def partition_of(message: Message) -> int:
    partition = message.partition()
    assert partition is not None
    return partition


def starts(messages: list[Message]) -> list[TopicPartition]:
    """Where each partition of these begins."""
    first: dict[int, Message] = {}
    for message in messages:
        first.setdefault(partition_of(message), message)
    return [TopicPartition(str(one.topic()), partition, one.offset() or 0) for partition, one in first.items()]


if __name__ == "__main__":
    run(*sys.argv[1:])
