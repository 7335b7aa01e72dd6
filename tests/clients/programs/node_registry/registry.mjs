// Registers a schema of each format, encodes a value with each, and decodes a payload that another client wrote.
//   node registry.mjs URL PAYLOAD-AS-HEX
import registry from '@kafkajs/confluent-schema-registry';

const { SchemaRegistry, SchemaType } = registry;
const [url, payload] = process.argv.slice(2);
const client = new SchemaRegistry({ host: url });

const avro = { type: 'record', name: 'User', namespace: 'node', fields: [{ name: 'id', type: 'int' }] };
const json = { title: 'User', type: 'object', properties: { id: { type: 'integer' } } };
const schemas = [
  [SchemaType.AVRO, JSON.stringify(avro), 'node-avro'],
  [SchemaType.JSON, JSON.stringify(json), 'node-json'],
  [SchemaType.PROTOBUF, 'syntax = "proto3"; package node; message User { int32 id = 1; }', 'node-proto'],
];
const found = [];
for (const [type, schema, subject] of schemas) {
  const { id } = await client.register({ type, schema }, { subject });
  const encoded = await client.encode(id, { id: 7 });
  const decoded = await client.decode(encoded);
  found.push({ type, id, latest: await client.getLatestSchemaId(subject), hex: encoded.toString('hex'), value: decoded.id });
}
const decoded = await client.decode(Buffer.from(payload, 'hex'));
console.log(JSON.stringify({ found, decoded: decoded.id }));
