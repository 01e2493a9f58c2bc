import { LogPause } from '../../../contracts/log-pause.ts'
import { keyOfSender } from '../../../native/datagram-batch.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { BoundListener } from '../listen/bound-listeners.ts'
import type { ListenerContext } from '../listen/listener-context.ts'
import type { MovedDatagrams } from '../listen/movable.ts'
import { Edge } from '../transport/epoll/loop.ts'
import type { Watched } from '../transport/epoll/loop.ts'
import type { TransportListener } from '../transport/transport.ts'
import type { Nowhere } from './destination.ts'
import { SessionTable } from './session-table.ts'
import type { NoRoom } from './session-table.ts'
import type { PortCounts } from './udp-counts.ts'
import type { DatagramIo, UdpDeps } from './udp-deps.ts'
import { UdpSession } from './udp-session.ts'
import type { SessionPort } from './udp-session.ts'

/** One listener gets at most this part of the sessions of a worker, so that a flood at one leaves room at others. */
const listenerPart = 2

export interface UdpPortOptions {
  readonly name: string
  readonly shard: number
  readonly socket: number
  readonly address: string
  readonly port: number
  readonly counts: PortCounts
  /** The listener as it is now; undefined = it has just left. */
  readonly bound: () => BoundListener | undefined
  /** Sessions of all ports of the worker. */
  readonly sessions: () => number
  readonly onClosed: (port: UdpPort) => void
}

/**
 * A socket at which UDP callers are. Takes at most one batch per wake-up, so that others get their turn; what comes
 * faster waits in the kernel, which drops what finds its queue full.
 */
export class UdpPort implements Watched, TransportListener, SessionPort {
  isQueued = false
  readonly descriptor: number
  readonly counts: PortCounts
  private readonly deps: UdpDeps
  private readonly io: DatagramIo
  private readonly options: UdpPortOptions
  private readonly table = new SessionTable<UdpSession>()
  private readonly pause = new LogPause()
  private isReading = false
  private isClosed = false
  private lastContext: ListenerContext | undefined

  constructor(deps: UdpDeps, io: DatagramIo, options: UdpPortOptions) {
    this.deps = deps
    this.io = io
    this.options = options
    this.descriptor = options.socket
    this.counts = options.counts
  }

  get name(): string {
    return this.options.name
  }
  get shard(): number {
    return this.options.shard
  }
  get port(): number {
    return this.options.port
  }
  get address(): string {
    return this.options.address
  }
  get size(): number {
    return this.table.size
  }
  get context(): ListenerContext {
    const bound = this.options.bound()
    if (bound !== undefined) this.lastContext = bound.context
    return this.lastContext!
  }
  get source(): SourceAppSpec | undefined {
    return this.options.bound()?.spec.source
  }

  sessions(): Iterable<UdpSession> {
    return this.table.all()
  }

  /** Datagrams that found the kernel's queue full. */
  get lost(): number {
    return this.isClosed ? 0 : this.io.sockets.lostBefore(this.descriptor)
  }

  /** Throws when the system refuses. */
  read(): void {
    if (this.isReading || this.isClosed) return
    const refused = this.io.loop.add(this.descriptor, this, Edge.in)
    if (refused !== 0) throw new Error(`${this.name}: errno ${refused}`)
    this.isReading = true
  }

  /** Takes nothing any more; sessions still answer. */
  rest(): void {
    if (!this.isReading) return
    this.isReading = false
    this.io.loop.remove(this.descriptor)
  }

  /** Ends its sessions, too. */
  close(): void {
    if (this.isClosed) return
    this.rest()
    for (const session of this.table.all()) session.end('DC')
    this.isClosed = true
    this.io.sockets.close(this.descriptor)
    this.options.onClosed(this)
  }

  onTurn(): void {}

  onEvents(): void {
    const { batch } = this.io
    const count = batch.receive(this.descriptor)
    if (count <= 0) return
    this.deps.clock.refresh()
    let from = 0
    while (from < count) {
      let to = from + 1
      while (to < count && batch.isSameSender(from, to)) to++
      const session = this.table.get(batch.senderOf(from)) ?? this.begin(from, to)
      session?.forward(from, to)
      from = to
    }
  }

  /** A session of another process. undefined where there is one of this caller already; the socket is then closed. */
  adopt(moved: MovedDatagrams, socket: number): UdpSession | string {
    const name = Buffer.from(moved.caller, 'base64')
    const session = new UdpSession(this.deps, this.io, this, keyOfSender(name), name)
    this.table.get(session.key)?.end('-')
    const problem = session.resume(moved, socket)
    if (problem !== null) return problem
    this.table.add(session)
    return session
  }

  // ---- for its sessions

  reply(from: number, to: number, name: Buffer): void {
    const { bytes, datagrams, drops } = this.counts
    const { batch } = this.io
    let at = from
    while (at < to) {
      const sent = batch.sendTo(this.descriptor, at, to, name)
      if (sent <= 0) {
        drops.reply++
        at++
        continue
      }
      datagrams.sent += sent
      for (const end = at + sent; at < end; at++) bytes.sent += batch.lengthOf(at)
    }
  }

  prove(session: UdpSession): void {
    this.table.prove(session)
  }

  left(session: UdpSession): void {
    this.table.remove(session)
  }

  makeWay(source: string): NoRoom | null {
    return this.table.makeWay(source, this.bound, this.deps.clock.now)
  }

  /** Most sessions of this port. */
  private get bound(): number {
    return Math.max(1, Math.floor(this.deps.limits().maxUdpSessions / listenerPart))
  }

  drop({ reason, text }: Nowhere, count: number): void {
    this.counts.drops[reason] += count
    if (text !== undefined) this.say(reason, text)
  }

  private begin(from: number, to: number): UdpSession | undefined {
    const { deps, io, options, table } = this
    const name = io.batch.nameOf(from)
    const session = new UdpSession(deps, io, this, io.batch.senderOf(from), name)
    if (this.options.bound() === undefined) return undefined
    const { bound } = this
    let refused: NoRoom | null = table.makeRoom(session.sourceAddress, bound, deps.clock.now)
    if (refused === null && options.sessions() >= deps.limits().maxUdpSessions)
      refused = this.makeWay(session.sourceAddress)
    if (refused !== null) {
      this.counts.drops[refused] += to - from
      this.say('flood', `UDP callers are refused new sessions (${refused}; ${table.size} of ${bound} are open)`)
      return undefined
    }
    const nowhere = session.begin()
    if (nowhere !== null) {
      this.drop(nowhere, to - from)
      return undefined
    }
    this.counts.sessions.opened++
    table.add(session)
    return session
  }

  private say(kind: string, text: string): void {
    if (this.pause.allows(this.deps.clock.now, kind)) this.deps.warn(`${this.name}: ${text}`)
  }
}
