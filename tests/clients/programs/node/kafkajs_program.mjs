// The client program of kafkajs. It has no revoke callback, so a member commits as it goes.
import { lz4Compress, lz4Decompress } from '@platformatic/wasm-utils'
import kafkajs from 'kafkajs'
import SnappyCodec from 'kafkajs-snappy'
import { createRequire } from 'node:module'
import { bytes, reportPartitions, say, serve, text, until } from './lines.mjs'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, PartitionAssigners, Partitioners } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4Compress(encoder.buffer),
  decompress: async buffer => lz4Decompress(buffer)
})
const COMPRESSIONS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4
}

const kafka = new Kafka({
  clientId: 'kafkajs',
  brokers: [process.argv.at(-1)],
  logLevel: logLevel.WARN,
  logCreator: () => entry => console.error(JSON.stringify(entry)),
  retry: { initialRetryTime: 100 }
})

async function createTopic({ topic, partitions }) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
  return { created: true }
}

function headersIn(pairs) {
  const headers = {}
  for (const [name, value] of pairs) {
    const data = bytes(value)
    if (name in headers) headers[name] = [].concat(headers[name], data)
    else headers[name] = data
  }
  return headers
}

function headersOut(headers) {
  const pairs = []
  for (const [name, value] of Object.entries(headers ?? {})) {
    for (const each of Array.isArray(value) ? value : [value]) pairs.push([name, text(each)])
  }
  return pairs
}

async function produce({ topic, compression, idempotent, events }) {
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent,
    maxInFlightRequests: 1
  })
  await producer.connect()
  const messages = events.map(([timestamp, key, value, headers]) => ({
    timestamp: String(timestamp),
    key: bytes(key),
    value: bytes(value),
    headers: headersIn(headers)
  }))
  try {
    await producer.send({ topic, compression: COMPRESSIONS[compression], messages })
  } finally {
    await producer.disconnect()
  }
  return { produced: messages.length }
}

async function read({ topic, group, count }) {
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 200 })
  const events = []
  const ends = new Map()
  const all = until(30_000, `${count} events`)
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      const { offset, timestamp, key, value, headers } = message
      events.push([partition, Number(offset), Number(timestamp), text(key), text(value), headersOut(headers)])
      ends.set(partition, String(BigInt(offset) + 1n))
      if (events.length === count) all.done()
    }
  })
  await all.promise
  await consumer.commitOffsets([...ends].map(([partition, offset]) => ({ topic, partition, offset })))
  await consumer.disconnect()
  return { events }
}

async function join({ topic, group, session_ms: sessionTimeout }, left) {
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 200,
    partitionAssigners: [PartitionAssigners.roundRobin]
  })
  let owned = []
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    owned = payload.memberAssignment[topic] ?? []
    reportPartitions('assigned', owned)
  })
  consumer.on(consumer.events.REBALANCING, () => {
    reportPartitions('revoked', owned)
    owned = []
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommitInterval: 200,
    eachMessage: async ({ partition, message }) => {
      say({ report: 'events', positions: [[partition, Number(message.offset)]] })
    }
  })
  await left
  await consumer.stop()
  reportPartitions('revoked', owned)
  await consumer.disconnect()
  return { left: true }
}

const { version } = createRequire(import.meta.url)('kafkajs/package.json')
serve({ version }, { create_topic: createTopic, produce, read, join })
