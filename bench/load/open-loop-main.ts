/**
 * Open-loop generator: sends at a fixed rate whatever the answers do, so that a slow answer delays no other request.
 *
 * Usage: node open-loop-main.ts PORT RATE SECONDS CONNECTIONS [ADDRESS]; prints one JSON object. A request takes a free
 * connection; without a free one it is counted as failed, never queued. Latency is from the write of the request to the
 * last byte of its answer; how late the timer was is told apart.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { percentile } from '../scenario.ts'

const [port = 0, rate = 0, seconds = 0, connections = 0] = process.argv.slice(2, 6).map(Number)
const host = process.argv[6] ?? '127.0.0.1'
const request = Buffer.from('GET / HTTP/1.1\r\nHost: bench\r\n\r\n')
const latencies: number[] = []
const lateness: number[] = []
const free: Line[] = []
let failed = 0
let answerBytes = 0

interface Line {
  readonly socket: Socket
  sentAt: number
  missing: number
}

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host, noDelay: true })
    const line: Line = { socket, sentAt: 0, missing: 0 }
    socket.once('connect', () => {
      free.push(line)
      resolve()
    })
    socket.once('error', reject)
    socket.on('data', (chunk: Buffer) => {
      if (answerBytes === 0) answerBytes = chunk.length
      line.missing -= chunk.length
      if (line.missing > 0) return
      latencies.push(performance.now() - line.sentAt)
      free.push(line)
    })
  })
}

function send(): void {
  const line = free.pop()
  if (line === undefined) {
    failed++
    return
  }
  line.missing = answerBytes
  line.sentAt = performance.now()
  line.socket.write(request)
}

/** The first answer, which comes in one piece, tells how long every answer is. */
async function learnLength(): Promise<void> {
  send()
  while (latencies.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  latencies.length = 0
}

for (let opened = 0; opened < connections; opened++) await open()
await learnLength()
const startedAt = performance.now()
const total = rate * seconds
let sent = 0
while (sent < total) {
  const now = performance.now()
  let dueAt = startedAt + (sent * 1000) / rate
  while (sent < total && dueAt <= now) {
    lateness.push(now - dueAt)
    send()
    sent++
    dueAt = startedAt + (sent * 1000) / rate
  }
  await new Promise((resolve) => setTimeout(resolve, 1))
}
await new Promise((resolve) => setTimeout(resolve, 500))
failed += total - latencies.length - failed
console.log(
  JSON.stringify({
    sent: total,
    failed,
    p50Ms: percentile(latencies, 0.5),
    p90Ms: percentile(latencies, 0.9),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    latenessP99Ms: percentile(lateness, 0.99),
  }),
)
process.exit(0)
