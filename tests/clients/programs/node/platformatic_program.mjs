// The client program of @platformatic/kafka. It has no revoke callback, so a member commits as it goes.
import { Admin, Consumer, Producer } from '@platformatic/kafka'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { bytes, reportPartitions, say, serve, text } from './lines.mjs'

const options = { clientId: 'platformatic', bootstrapBrokers: [process.argv.at(-1)], retries: 5 }

async function createTopic({ topic, partitions }) {
  const admin = new Admin(options)
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  await admin.close()
  return { created: true }
}

async function produce({ topic, compression, idempotent, events }) {
  const producer = new Producer({ ...options, autocreateTopics: false })
  const messages = events.map(([timestamp, key, value, headers]) => ({
    topic,
    timestamp: BigInt(timestamp),
    key: bytes(key),
    value: bytes(value),
    headers: new Map(headers.map(([name, each]) => [Buffer.from(name), bytes(each)]))
  }))
  try {
    await producer.send({ messages, compression, idempotent, acks: -1 })
  } finally {
    await producer.close()
  }
  return { produced: messages.length }
}

function asRead({ partition, offset, timestamp, key, value, headers }) {
  const pairs = [...headers].map(([name, each]) => [name.toString(), text(each)])
  return [partition, Number(offset), Number(timestamp), text(key), text(value), pairs]
}

async function read({ topic, group, count }) {
  const consumer = new Consumer({ ...options, groupId: group, maxWaitTime: 500 })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  const events = []
  const last = new Map()
  for await (const message of stream) {
    events.push(asRead(message))
    last.set(message.partition, message)
    if (events.length >= count) break
  }
  const offsets = [...last.values()].map(({ partition, offset }) => ({
    topic,
    partition,
    offset: offset + 1n,
    leaderEpoch: 0
  }))
  await consumer.commit({ offsets })
  await consumer.close(true)
  return { events }
}

async function join({ topic, group, session_ms: sessionTimeout }, left) {
  const consumer = new Consumer({
    ...options,
    groupId: group,
    sessionTimeout,
    rebalanceTimeout: Math.max(sessionTimeout, 10_000),
    heartbeatInterval: 300,
    maxWaitTime: 200
  })
  let owned = []
  const positions = new Map()
  consumer.on('consumer:group:join', () => {
    // Without a rebalance before it, the member had been dropped.
    if (owned.length > 0) reportPartitions('lost', owned)
    owned = (consumer.assignments ?? []).flatMap(each => each.partitions)
    positions.clear()
    reportPartitions('assigned', owned)
  })
  consumer.on('consumer:group:rebalance', () => {
    reportPartitions('revoked', owned)
    owned = []
  })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  stream.on('data', ({ partition, offset }) => {
    say({ report: 'events', positions: [[partition, Number(offset)]] })
    positions.set(partition, offset + 1n)
  })
  stream.on('error', error => console.error('stream', error))
  consumer.on('error', error => console.error('consumer', error))

  // One commit at a time: every commit that fails makes the library join once more.
  let working = true
  const committing = (async () => {
    while (working) {
      await Promise.race([setTimeout(200), left])
      const offsets = [...positions].filter(([partition]) => owned.includes(partition))
      if (offsets.length === 0) continue
      positions.clear()
      try {
        await consumer.commit({ offsets: offsets.map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: 0 })) })
      } catch (error) {
        console.error('commit', error.message)
      }
    }
  })()
  await left
  working = false
  await committing
  await consumer.close(true)
  reportPartitions('revoked', owned)
  return { left: true }
}

const manifest = new URL('./node_modules/@platformatic/kafka/package.json', import.meta.url)
const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
serve({ version }, { create_topic: createTopic, produce, read, join })
