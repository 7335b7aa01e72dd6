// What the Node.js client programs share: commands in, answers and reports out, one JSON object per line.
import { createInterface } from 'node:readline'

export function say(fields) {
  process.stdout.write(JSON.stringify(fields) + '\n')
}

export function reportPartitions(what, partitions) {
  const at = Math.round((performance.timeOrigin + performance.now()) * 1000)
  say({ report: what, at_us: at, partitions: [...partitions].sort((a, b) => a - b) })
}

export const bytes = text => (text === null ? null : Buffer.from(text, 'base64'))
export const text = data => (data === null || data === undefined ? null : Buffer.from(data).toString('base64'))

// A promise that is kept when `done()` says so, and broken after `withinMs`.
export function until(withinMs, what) {
  let keep, fail
  const promise = new Promise((resolve, reject) => {
    keep = resolve
    fail = reject
  })
  const timer = setTimeout(() => fail(new Error(`${what}: not within ${withinMs} ms`)), withinMs)
  return {
    promise,
    done: () => {
      clearTimeout(timer)
      keep()
    },
    failed: error => {
      clearTimeout(timer)
      fail(error)
    }
  }
}

// `handlers.join` gets a promise that is kept when the member is to leave.
export async function serve(info, handlers) {
  say({ ready: true, ...info })
  let leave = () => {}
  let turn = Promise.resolve()
  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => {
    const command = JSON.parse(line)
    if (command.do === 'leave') {
      leave()
      return
    }
    const left = new Promise(resolve => (leave = resolve))
    turn = turn.then(async () => {
      try {
        say(await handlers[command.do](command, left))
      } catch (error) {
        console.error(error)
        say({ error: `${error.type ?? error.name}: ${error.message}` })
      }
    })
  })
  lines.on('close', () => process.exit(0))
}
