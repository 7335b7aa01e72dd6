"""FastStream: a subscriber bills each order and publishes the bill, over aiokafka and over confluent-kafka."""

import asyncio
import os
import sys
from importlib.metadata import version

from faststream import FastStream

if sys.argv[1] == "confluent":
    from faststream.confluent import KafkaBroker
else:
    from faststream.kafka import KafkaBroker

ORDERS = 20
broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
app = FastStream(broker)
bills: list[dict] = []
all_billed = asyncio.Event()


@broker.subscriber("orders", group_id="billing", auto_offset_reset="earliest")
@broker.publisher("bills")
async def bill(order: dict) -> dict:
    return {"order": order["id"], "total": order["amount"] * 2}


@broker.subscriber("bills", group_id="ledger", auto_offset_reset="earliest")
async def collect(one: dict) -> None:
    bills.append(one)
    if len(bills) == ORDERS:
        all_billed.set()
        app.exit()


@app.after_startup
async def order() -> None:
    for number in range(ORDERS):
        await broker.publish({"id": number, "amount": number}, "orders", key=b"user-%d" % (number % 3))


async def main() -> None:
    await asyncio.wait_for(app.run(), timeout=60)
    assert all_billed.is_set()
    assert sorted(one["order"] for one in bills) == list(range(ORDERS)), bills
    assert all(one["total"] == one["order"] * 2 for one in bills), bills


asyncio.run(main())
print(f"FastStream ({sys.argv[1]}) {version('faststream')} ok")
