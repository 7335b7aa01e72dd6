// Node's test runner with kafkajs: sandbox run --topics orders:3 -- node --test
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kafka, logLevel } from "kafkajs";

const kafka = new Kafka({ brokers: process.env.KAFKA_BROKERS.split(","), logLevel: logLevel.ERROR });

test("an order is consumed with its key", async () => {
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "orders", messages: [{ key: "user-42", value: '{"id":1}' }] });
  await producer.disconnect();

  const consumer = kafka.consumer({ groupId: "billing" });
  await consumer.connect();
  await consumer.subscribe({ topic: "orders", fromBeginning: true });
  const message = await new Promise((resolve) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message) });
  });
  await consumer.disconnect();
  assert.equal(message.key.toString(), "user-42");
  assert.deepEqual(JSON.parse(message.value), { id: 1 });
});
