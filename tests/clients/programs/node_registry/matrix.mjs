// Writes an event of each format with schemas that it registers, and reads the events of other clients.
//   node matrix.mjs URL
// prints its events as one line of JSON, reads a line with the events of all clients, and prints their values.
import { createInterface } from 'node:readline';

import registry from '@kafkajs/confluent-schema-registry';

const { SchemaRegistry, SchemaType } = registry;
const client = new SchemaRegistry({ host: process.argv[2] });
const value = { id: 2, name: 'node' };
const fields = [{ name: 'id', type: 'int' }, { name: 'name', type: 'string' }];
const properties = { id: { type: 'integer' }, name: { type: 'string' } };
const schemas = [
  [SchemaType.AVRO, JSON.stringify({ type: 'record', name: 'User', namespace: 'node', fields })],
  [SchemaType.JSON, JSON.stringify({ title: 'User', type: 'object', properties })],
  [SchemaType.PROTOBUF, 'syntax = "proto3"; package node; message User { int32 id = 1; string name = 2; }'],
];
const events = [];
for (const [type, schema] of schemas) {
  const { id } = await client.register({ type, schema }, { subject: `matrix-node-${type}` });
  events.push((await client.encode(id, value)).toString('hex'));
}
console.log(JSON.stringify(events));
for await (const line of createInterface({ input: process.stdin })) {
  const values = [];
  for (const event of JSON.parse(line)) values.push(await client.decode(Buffer.from(event, 'hex')));
  console.log(JSON.stringify(values));
  break;
}
process.exit(0);
