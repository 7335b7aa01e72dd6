// A program as in Confluent's lessons for Node.js: a producer, then a consumer with the events "ready" and "data".
//
//     node lesson.mjs TOPIC COUNT BOOTSTRAP
//
// Prints what it reads, one JSON object per line, and ends after COUNT events.
import Kafka from 'node-rdkafka'

const [topic, count, bootstrap] = process.argv.slice(2)
const config = { 'bootstrap.servers': bootstrap, 'group.id': `${topic}-readers` }

function consume() {
  const consumer = new Kafka.KafkaConsumer(config, { 'auto.offset.reset': 'earliest' })
  let found = 0
  consumer.connect()
  consumer
    .on('ready', () => {
      consumer.subscribe([topic])
      consumer.consume()
    })
    .on('data', message => {
      const { partition, offset, key, value } = message
      console.log(JSON.stringify({ partition, offset, key: key?.toString() ?? null, value: value.toString() }))
      found += 1
      if (found === Number(count)) consumer.disconnect()
    })
    .on('disconnected', () => process.exit(0))
    .on('event.error', error => console.error(error.message))
}

const producer = new Kafka.Producer({ 'bootstrap.servers': bootstrap, 'enable.idempotence': true, dr_cb: true })
let delivered = 0
producer
  .on('ready', () => {
    producer.setPollInterval(20)
    for (let number = 0; number < Number(count); number += 1) {
      producer.produce(topic, null, Buffer.from(`value ${number}`), `key ${number % 7}`)
    }
  })
  .on('delivery-report', error => {
    if (error) throw error
    delivered += 1
    if (delivered === Number(count)) producer.disconnect()
  })
  .on('disconnected', consume)
  .on('event.error', error => console.error(error.message))
producer.connect()
