"""aiokafka: a group reads orders and writes bills exactly once, in transactions."""

import asyncio
import os
from importlib.metadata import version

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
ORDERS = 20


async def order() -> None:
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True) as producer:
        for number in range(ORDERS):
            await producer.send_and_wait("orders", b"%d" % number, key=b"user-%d" % (number % 3))


async def bill() -> None:
    consumer = AIOKafkaConsumer(
        "orders",
        bootstrap_servers=BOOTSTRAP,
        group_id="billing",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id="billing-0")
    billed = 0
    async with consumer, producer:
        while billed < ORDERS:
            batches = await consumer.getmany(timeout_ms=1000)
            async with producer.transaction():
                for records in batches.values():
                    for record in records:
                        await producer.send("bills", b"%d" % (int(record.value) * 2), key=record.key)
                        billed += 1
                offsets = {partition: records[-1].offset + 1 for partition, records in batches.items()}
                if offsets:
                    await producer.send_offsets_to_transaction(offsets, "billing")


async def check() -> None:
    consumer = AIOKafkaConsumer(
        "bills", bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer:
        bills = [int((await consumer.getone()).value) for _ in range(ORDERS)]
    assert sorted(bills) == [number * 2 for number in range(ORDERS)], bills
    group = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id="billing")
    async with group:
        committed = [await group.committed(TopicPartition("orders", one)) for one in range(3)]
    assert sum(one or 0 for one in committed) == ORDERS, committed


async def main() -> None:
    await order()
    await bill()
    await check()


asyncio.run(asyncio.wait_for(main(), timeout=60))
print(f"aiokafka {version('aiokafka')} ok")
