"""pytest and asyncio: a service over aiokafka runs in the test's event loop, and assertions are awaited."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sandbox.testing import Kafka


async def service(bootstrap_servers: str) -> None:
    """The code under test: it confirms payments."""
    consumer = AIOKafkaConsumer(
        "payments", bootstrap_servers=bootstrap_servers, group_id="confirmations", auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    async with consumer, producer:
        async for message in consumer:
            confirmed = {"payment": json.loads(message.value)["id"]}
            await producer.send_and_wait("confirmations", json.dumps(confirmed).encode(), key=message.key)
            await consumer.commit()


@pytest.mark.kafka(topics={"payments": 2})
def test_a_payment_is_confirmed(kafka: Kafka) -> None:
    async def test() -> None:
        task = asyncio.get_running_loop().create_task(service(kafka.bootstrap_servers))
        kafka.produce("payments", {"id": 7}, key="user-42")
        await kafka.aio.expect("confirmations", count=1, key="user-42", json={"payment": 7}, within="20s")
        await kafka.aio.wait_lag("confirmations", within="20s")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(test())
