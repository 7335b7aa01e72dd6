"""Faust (faust-streaming): an agent adds orders up in a table, whose changelog is a topic."""

import asyncio
import os
import tempfile
from importlib.metadata import version

import faust

ORDERS, USERS = 20, 3
app = faust.App(
    "billing",
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    datadir=tempfile.mkdtemp(),
    web_enabled=False,
    topic_disable_leader=True,
)


class Order(faust.Record):
    user: str
    amount: int


orders = app.topic("orders", value_type=Order)
totals = app.Table("totals", default=int, partitions=3)
seen = 0


@app.agent(orders)
async def bill(stream):
    global seen
    async for order in stream.group_by(Order.user, partitions=3):
        totals[order.user] += order.amount
        seen += 1
        if seen == ORDERS:
            finished.set()


finished = asyncio.Event()


@app.task
async def order():
    for number in range(ORDERS):
        await orders.send(key=f"user-{number % USERS}", value=Order(f"user-{number % USERS}", number))


async def main() -> None:
    await app.start()
    await asyncio.wait_for(finished.wait(), timeout=90)
    found = dict(totals.items())
    assert found == {f"user-{user}": sum(range(user, ORDERS, USERS)) for user in range(USERS)}, found
    await app.stop()


app.loop.run_until_complete(main())
print(f"Faust {version('faust-streaming')} ok")
