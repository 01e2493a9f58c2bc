/**
 * Runs as root of a network namespace of its own: a worker on loopback, an endpoint on another address that can vanish
 * like a host whose link goes down. Prints one line of JSON: what became of each call, and after how many ms.
 */
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import { RawCaller } from '../http1/raw-caller.ts'
import { keyOf, snapshotOf } from './snapshots.ts'
import { startWorker } from './start-worker.ts'
import type { StartedWorker } from './start-worker.ts'

const address = '10.9.0.2'
const ip = (...words: string[]): void => void execFileSync('ip', words)
const appear = (): void => {
  ip('addr', 'replace', `${address}/32`, 'dev', 'lo')
}
const vanish = (): void => {
  ip('addr', 'del', `${address}/32`, 'dev', 'lo')
  ip('route', 'replace', 'blackhole', `${address}/32`)
}
const comeBack = (): void => {
  ip('route', 'del', 'blackhole', `${address}/32`)
  appear()
}

ip('link', 'set', 'lo', 'up')
appear()
const held: Socket[] = []
const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    if (bytes.toString().includes('/held')) held.push(socket)
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
})
await new Promise<void>((resolve) => server.listen(0, address, resolve))
const { port } = server.address() as AddressInfo

async function worker(tcpUserTimeoutMs: number): Promise<StartedWorker> {
  const policy = { pool: { ...defaultTrafficPolicy.pool, tcpUserTimeoutMs } }
  return startWorker({ services: [{ name: 'orders', endpoints: [{ address, port }], policy }] })
}

/** Status and time of one call. */
async function call(started: StartedWorker, path: string, afterSending: () => Promise<void>): Promise<object> {
  const caller = await RawCaller.open(started.port('orders'))
  const from = performance.now()
  caller.send(`POST ${path} HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi`)
  await afterSending()
  const isAnswered = await caller.until(() => caller.text.includes('\r\n\r\n'), 40_000)
  const ms = Math.round(performance.now() - from)
  caller.close()
  return { status: isAnswered ? Number(caller.text.slice(9, 12)) : 0, ms }
}

async function arrived(): Promise<void> {
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
}
const nothing = async (): Promise<void> => {}

async function removeEndpoint(started: StartedWorker): Promise<void> {
  const key = keyOf('orders')
  const before = snapshotOf({ services: [{ name: 'orders', endpoints: [] }], listen: {} }).services[key]!
  await started.change({ services: { [key]: before } })
}

const results: Record<string, object> = {}

const first = await worker(2000)
await call(first, '/warm', nothing)
results['waiting for its reply'] = await call(first, '/held', async () => {
  await arrived()
  vanish()
})
comeBack()
held.length = 0
await call(first, '/warm', nothing)
vanish()
results['sent on a pooled connection'] = await call(first, '/next', nothing)
comeBack()
first.stop()

const second = await worker(20_000)
results['its endpoint leaves and is gone'] = await call(second, '/held', async () => {
  await arrived()
  vanish()
  await removeEndpoint(second)
})
comeBack()
held.length = 0
second.stop()

const third = await worker(20_000)
results['its endpoint leaves and finishes its work'] = await call(third, '/held', async () => {
  await arrived()
  server.close()
  await removeEndpoint(third)
  setTimeout(() => held[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone'), 8000)
})
third.stop()
console.log(JSON.stringify(results))
process.exit(0)
