// kafkajs: a group reads orders and sends bills, both with their offsets in transactions.
import { createRequire } from "node:module";
import kafkajs from "kafkajs";

const ORDERS = 20;
const kafka = new kafkajs.Kafka({
  brokers: [process.env.KAFKA_BOOTSTRAP_SERVERS],
  logLevel: kafkajs.logLevel.ERROR,
});
const { version } = createRequire(import.meta.url)("kafkajs/package.json");

const producer = kafka.producer();
await producer.connect();
const messages = Array.from({ length: ORDERS }, (_, n) => ({ key: `user-${n % 3}`, value: String(n) }));
await producer.send({ topic: "orders", messages });
await producer.disconnect();

const billing = kafka.producer({ transactionalId: "billing-0", maxInFlightRequests: 1, idempotent: true });
await billing.connect();
const orders = kafka.consumer({ groupId: "billing" });
await orders.subscribe({ topic: "orders", fromBeginning: true });
await orders.run({
  autoCommit: false,
  eachMessage: async ({ topic, partition, message }) => {
    const transaction = await billing.transaction();
    await transaction.send({ topic: "bills", messages: [{ key: message.key, value: String(message.value * 2) }] });
    const offset = String(Number(message.offset) + 1);
    await transaction.sendOffsets({
      consumerGroupId: "billing",
      topics: [{ topic, partitions: [{ partition, offset }] }],
    });
    await transaction.commit();
  },
});

const bills = [];
const ledger = kafka.consumer({ groupId: "ledger" });
await ledger.subscribe({ topic: "bills", fromBeginning: true });
await new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`${bills.length} bills after 60 s`)), 60_000).unref();
  ledger.run({
    eachMessage: async ({ message }) => {
      if (bills.push(Number(message.value)) === ORDERS) resolve();
    },
  });
});
await Promise.all([orders.disconnect(), ledger.disconnect(), billing.disconnect()]);
const expected = messages.map(({ value }) => value * 2);
if (String(bills.sort((a, b) => a - b)) !== String(expected)) throw new Error(`bills: ${bills}`);
console.log(`kafkajs ${version} ok`);
