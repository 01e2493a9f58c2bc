/**
 * A worker without a data path, for tests of the watchdog: real links, real sockets, real moves; HTTP and TCP as simple
 * as they can be.
 *
 * It listens on `--http PORT` and `--tcp PORT`. HTTP answers with who served it, `/slow/MS` later, `/held/NAME` when a
 * file of that name is in the run directory; TCP echoes. `--behave WORD` makes it a bad one.
 */
import { existsSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { acceptBacklog, probeRequest } from '../../../contracts/handoff.ts'
import type { ShardName } from '../../../contracts/handoff.ts'
import { connectWatchdog } from '../../../agent/worker/handoff/watchdog-link.ts'
import type { DescriptorCopies, Detached, LiveConnections, Movable } from '../../../agent/worker/listen/movable.ts'
import { descriptorOf } from '../../../native/frame-stream.ts'

const { values } = parseArgs({
  options: {
    'run-dir': { type: 'string' },
    generation: { type: 'string' },
    index: { type: 'string' },
    http: { type: 'string' },
    tcp: { type: 'string' },
    behave: { type: 'string', default: 'well' },
    name: { type: 'string', default: 'v1' },
  },
})
const behaviour = values.behave
const generation = Number(values.generation)
const index = Number(values.index)
if (behaviour === 'crash-at-start') throw new Error('this version is broken')
if (behaviour === 'hang-at-start') setInterval(() => {}, 1000)

class StandInConnection implements Movable {
  readonly id: number
  readonly protocol: 'http1' | 'tcp'
  readonly listener: string
  isReady = true
  private callback: ((connection: Movable) => void) | null = null
  private received = ''
  private served: number
  readonly socket: net.Socket

  constructor(socket: net.Socket, protocol: 'http1' | 'tcp', id: number, received = '', served = 0) {
    this.socket = socket
    this.protocol = protocol
    this.listener = protocol === 'http1' ? 'http' : 'tcp'
    this.id = id
    this.served = served
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => this.onData(bytes.toString('latin1')))
    if (received !== '') this.onData(received)
  }

  takeActivity(): boolean {
    return false
  }

  get isIdle(): boolean {
    return this.protocol === 'http1' && this.isReady
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.callback = callback
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    const fd = descriptorOf(this.socket)
    if (!this.isReady || fd < 0 || this.socket.writableLength > 0) return undefined
    this.socket.pause()
    const copy = copies.duplicate(fd)
    live.delete(this)
    this.socket.removeAllListeners()
    this.socket.on('error', () => {})
    this.socket.destroy()
    const state = { protocol: this.protocol, received: this.received, served: this.served }
    return { state: state as never, descriptors: [copy] }
  }

  drain(): void {}

  abort(): void {
    this.socket.destroy()
  }

  private onData(text: string): void {
    if (this.protocol === 'tcp') {
      this.socket.write(text, 'latin1')
      return
    }
    this.received += text
    for (;;) {
      const end = this.received.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.received.slice(0, end)
      this.received = this.received.slice(end + 4)
      this.answer(head)
    }
  }

  private answer(head: string): void {
    const waitMs = Number(/\/slow\/([0-9]+)/.exec(head)?.[1] ?? 0)
    const heldFor = /\/held\/([\w-]+)/.exec(head)?.[1]
    this.served++
    const body = JSON.stringify({ pid: process.pid, generation, index, version: values.name, served: this.served })
    const write = (): void => {
      this.isReady = true
      this.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      this.callback?.(this)
    }
    if (heldFor !== undefined) {
      this.isReady = false
      whenThere(join(values['run-dir']!, heldFor), write)
      return
    }
    if (waitMs === 0) {
      write()
      return
    }
    this.isReady = false
    setTimeout(write, waitMs)
  }
}

function whenThere(path: string, act: () => void): void {
  if (existsSync(path)) act()
  else setTimeout(() => whenThere(path, act), 20)
}

const live = new Set<StandInConnection>()
let lastId = 0
function take(socket: net.Socket, protocol: 'http1' | 'tcp', received = '', served = 0): StandInConnection {
  const connection = new StandInConnection(socket, protocol, ++lastId, received, served)
  live.add(connection)
  socket.on('close', () => live.delete(connection))
  connections.onNew?.(connection)
  return connection
}

const connections: LiveConnections = {
  get size() {
    return live.size
  },
  arriving: 0,
  list: () => [...live],
  takeActive: () => [],
  listPooled: () => [],
  listCohorts: () => [],
  adopt(state, descriptors) {
    const { protocol, received, served } = state as { protocol: 'http1' | 'tcp'; received: string; served: number }
    const socket = new net.Socket({ fd: descriptors[0]!, readable: true, writable: true })
    return take(socket, protocol, received, served)
  },
  onNew: null,
}

/** What it would be compared by. */
const signals = { requests: 0, failed: 0, durations: [] }
const servers = new Map<string, net.Server>()
const keyOf = (shard: ShardName): string => `${shard.name}#${shard.shard}`
const imported: Record<string, unknown> = {}

function listenOn(shard: ShardName, descriptor: number): void {
  const server = net.createServer((socket) => void take(socket, shard.name === 'http' ? 'http1' : 'tcp'))
  server.on('error', () => {})
  server.listen({ fd: descriptor }, acceptBacklog)
  servers.set(keyOf(shard), server)
}

const link = await connectWatchdog({
  runDir: values['run-dir']!,
  generation,
  index,
  now: () => performance.now(),
  log: (level, message, fields) =>
    process.stdout.write(`${JSON.stringify({ level, process: 'worker', index, ...fields, msg: message })}\n`),
  connections,
  balanced: { givenConnections: 0, takenConnections: 0 },
  exportState: () => ({ counters: { handedOver: generation, before: imported['counters'] } }),
  exportRest: () => ({}),
  importState: (part, body) => {
    imported[part] = body
  },
  signals: () => signals,
  onCover: (held) => listenOn(held, held.descriptor),
  onUncover: (shard) => {
    servers.get(keyOf(shard))?.close()
    servers.delete(keyOf(shard))
  },
  stopAccepting: () => {
    for (const server of servers.values()) server.close()
    servers.clear()
  },
  onEnd: () => process.exit(0),
})

const probe = net.createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', (bytes: Buffer) => {
    const isGood = behaviour !== 'fail-self-test' && bytes.toString().includes(probeRequest.path)
    socket.end(`HTTP/1.1 ${isGood ? '200 OK' : '500 Broken'}\r\ncontent-length: 0\r\n\r\n`)
  })
})
await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
if (behaviour !== 'hang-at-start') {
  link.ready({ address: '127.0.0.1', port: (probe.address() as net.AddressInfo).port })
  await link.permission
  const held = link.takeListeners()
  for (const one of held) listenOn(one, one.descriptor)
  for (const [name, port] of [
    ['http', values.http],
    ['tcp', values.tcp],
  ] as const) {
    if (port === undefined || held.some((one) => one.name === name && one.shard === index)) continue
    const server = net.createServer((socket) => void take(socket, name === 'http' ? 'http1' : 'tcp'))
    await new Promise<void>((resolve) =>
      server.listen({ port: Number(port), host: '127.0.0.1', reusePort: true }, resolve),
    )
    const shard = { name, shard: index, address: '127.0.0.1', port: Number(port) }
    servers.set(keyOf(shard), server)
    link.deposit(shard, descriptorOf(server))
  }
  link.serving(servers.size)
  if (behaviour === 'crash-after-serving') setTimeout(() => process.exit(7), 100)
  if (behaviour === 'crash-when-told') whenThere(join(values['run-dir']!, 'may-crash'), () => process.exit(7))
  if (behaviour === 'block-after-serving') {
    setTimeout(() => {
      const until = Date.now() + 30_000
      while (Date.now() < until);
    }, 100)
  }
  if (behaviour === 'grow-after-serving') {
    const hoard: Buffer[] = []
    setInterval(() => hoard.push(Buffer.alloc(16 * 1024 * 1024, 1)), 50)
  }
}
