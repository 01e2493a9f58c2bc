/**
 * All UDP of a worker: its ports with their sessions, the turns in which they are read, and what moves to another
 * process. Nothing of it is made before the first UDP listener.
 */
import { MeshError } from '../../../contracts/errors.ts'
import type { StatSeries } from '../../../contracts/control-link.ts'
import type { FastCalls } from '../../../native/fast-calls.ts'
import { lazily } from '../lazily.ts'
import type { BoundListener } from '../listen/bound-listeners.ts'
import type { Movable, MovedDatagrams } from '../listen/movable.ts'
import { misfit } from '../listen/shape.ts'
import type { TransportListener } from '../transport/transport.ts'
import type { ReadTurns } from './read-turns.ts'
import { UdpCounts } from './udp-counts.ts'
import type { DatagramIo, UdpDeps } from './udp-deps.ts'
import type * as UdpParts from './udp-parts.ts'
import type { UdpPort } from './udp-port.ts'

/**
 * A worker that leaves keeps its turns at most this long, ms: what could not move must not keep others from reading.
 */
const farewellMs = 1000

export interface UdpPlaneDeps extends UdpDeps {
  /** What the worker's own sockets are served with; absent: calls with their wrapper. */
  readonly calls: FastCalls | undefined
  /** Place of this worker among those that share its ports. */
  readonly shard: number
  /** Absent: nobody else reads these ports. */
  readonly turns: ReadTurns | undefined
  /** The listener as it is now. */
  readonly bound: (name: string) => BoundListener | undefined
}

const parts = lazily<typeof UdpParts>(import.meta.url, './udp-parts', 'UDP')

const movedShape = {
  listener: 'string',
  shard: 'number',
  caller: 'string',
  cluster: 'string',
  endpoint: 'string',
  isProven: 'boolean',
  hasReply: 'boolean',
  bytesUp: 'number',
  bytesDown: 'number',
  ageMs: 'number',
  idleMs: 'number',
} as const

export class UdpPlane {
  readonly counts = new UdpCounts()
  private readonly deps: UdpPlaneDeps
  private readonly ports = new Set<UdpPort>()
  private io: DatagramIo | undefined
  private isResting = false
  private farewell: NodeJS.Timeout | undefined

  constructor(deps: UdpPlaneDeps) {
    this.deps = deps
  }

  /** Throws with the system's name as `code`. Datagrams are taken as soon as it is our turn. */
  listen(name: string, address: string, port: number, sharesPort: boolean): TransportListener {
    const { sockets } = this.open()
    return this.add(name, this.deps.shard, sockets.bound(address, port, sharesPort))
  }

  /** Whether the address is free for us alone; throws like `listen`. */
  probe(address: string, port: number): void {
    const { sockets } = this.open()
    sockets.close(sockets.bound(address, port, false))
  }

  /** A bound socket of another process, from here on ours. */
  listenOn(name: string, descriptor: number, shard: number = this.deps.shard): TransportListener {
    return this.add(name, shard, descriptor)
  }

  get size(): number {
    let sum = 0
    for (const port of this.ports) sum += port.size
    return sum
  }

  *sessions(): Generator<Movable> {
    for (const port of this.ports) yield* port.sessions()
  }

  /** Goes on with a session of another process; the socket is ours from here on, also on failure. */
  adopt(moved: MovedDatagrams, socket: number): Movable {
    const problem = misfit(moved, movedShape)
    const port = problem === null ? this.portOf(moved.listener, moved.shard) : undefined
    const adopted = port?.adopt(moved, socket) ?? `no such UDP listener, or ${String(problem)}`
    if (typeof adopted !== 'string') return adopted
    this.open().sockets.close(socket)
    throw new MeshError('E_HANDOFF_REFUSED', `a moved UDP session: ${adopted}; it is closed`)
  }

  /** This worker drains: nothing is taken any more, sessions go on until they are moved or end. */
  rest(): void {
    if (this.isResting) return
    this.isResting = true
    for (const port of this.ports) port.rest()
    this.settled()
    this.farewell = setTimeout(() => this.deps.turns?.leaveAll(), farewellMs)
    this.farewell.unref()
  }

  /** What was on its way to another process has arrived. */
  settled(): void {
    if (!this.isResting || this.size > 0) return
    this.deps.turns?.leaveAll()
  }

  close(): void {
    clearTimeout(this.farewell)
    for (const port of this.ports) port.close()
    this.deps.turns?.leaveAll()
  }

  series(): StatSeries[] {
    const open = new Map<string, number>()
    const lost = new Map<string, number>()
    for (const port of this.ports) {
      open.set(port.name, (open.get(port.name) ?? 0) + port.size)
      lost.set(port.name, (lost.get(port.name) ?? 0) + port.lost)
    }
    return this.counts.series(open, lost)
  }

  /** The one of the shard, else the worker's own. */
  private portOf(name: string, shard: number): UdpPort | undefined {
    const named = [...this.ports].filter((port) => port.name === name)
    return named.find((port) => port.shard === shard) ?? named[0]
  }

  private add(name: string, shard: number, socket: number): UdpPort {
    const io = this.open()
    const at = io.sockets.localName(socket)
    if (at === undefined) {
      io.sockets.close(socket)
      throw new Error(`${name}: descriptor ${socket} is no UDP socket`)
    }
    let takeBack = (): void => {}
    const port = parts().makePort(this.deps, io, {
      name,
      shard,
      socket,
      address: at.address,
      port: at.port,
      counts: this.counts.of(name),
      bound: () => this.deps.bound(name),
      sessions: () => this.size,
      onClosed: (closed) => {
        takeBack()
        this.ports.delete(closed)
        const isLast = [...this.ports].every((other) => other.shard !== shard)
        if (isLast && shard !== this.deps.shard) this.deps.turns?.leave(shard)
      },
    })
    this.ports.add(port)
    const read = (): void => {
      try {
        if (!this.isResting) port.read()
      } catch (error) {
        this.deps.warn((error as Error).message)
      }
    }
    if (this.deps.turns === undefined) read()
    else takeBack = this.deps.turns.ask(shard, read)
    return port
  }

  private open(): DatagramIo {
    this.io ??= parts().openIo(this.deps.calls)
    return this.io
  }
}
