import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { SenderKey } from '../../../native/datagram-batch.ts'
import { senderAddress } from '../../../native/datagram-batch.ts'
import type { ShareHolder } from '../balance/fair-share.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import { loggedConnection } from '../forward/logged-connection.ts'
import type { ListenerContext } from '../listen/listener-context.ts'
import type { ConnectionFacts, DescriptorCopies, Detached, Movable, MovedDatagrams } from '../listen/movable.ts'
import { movedConnectionFormat } from '../listen/movable.ts'
import type { ConnectionView } from '../route/types.ts'
import { Edge } from '../transport/epoll/loop.ts'
import type { Watched } from '../transport/epoll/loop.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import { noIdentity } from '../transport/transport.ts'
import { findUpstream, maxPicks, pickEndpoint } from './destination.ts'
import type { Nowhere } from './destination.ts'
import type { NoRoom, TableSession } from './session-table.ts'
import type { PortCounts } from './udp-counts.ts'
import type { DatagramIo, UdpDeps } from './udp-deps.ts'

/** errno: no descriptor left in this process, in the system. */
const [noDescriptor, noFile] = [-24, -23]
/**
 * -errno of an endpoint that cannot be reached, as an ICMP message or the own routes say: nobody listens there, a
 * firewall does not let through (of IPv4, of IPv6), no route.
 */
const unreachable: ReadonlySet<number> = new Set([-111, -113, -13, -101])
/** So long after its last datagram a session rests, and may be ended by a drain. */
const restMs = 1000

/** What a session needs of the port at which its caller is. */
export interface SessionPort {
  readonly context: ListenerContext
  readonly source: SourceAppSpec | undefined
  readonly shard: number
  readonly address: string
  readonly counts: PortCounts
  /** Slots `from..to` to the caller. */
  reply(from: number, to: number, name: Buffer): void
  prove(session: UdpSession): void
  /** It is over. */
  left(session: UdpSession): void
  /** One session that counts for less gives its place in the limits of the service to one of this address. */
  makeWay(source: string): NoRoom | null
  /** `count` datagrams go nowhere. */
  drop(nowhere: Nowhere, count: number): void
}

/**
 * A caller and an endpoint, between which datagrams pass unchanged: one address and port of a caller at one UDP port,
 * one connected socket towards the endpoint, so that answers find their caller.
 *
 * Nothing waits here: what the kernel does not take is lost, as UDP allows, and counted. An endpoint that is withdrawn
 * or not there (ICMP) is left at the next datagram for another one. No datagram in either direction for the idle time
 * ends it.
 */
export class UdpSession implements TableSession, Watched, TimerOwner, Movable, ConnectionView, ShareHolder {
  readonly id: number
  readonly key: SenderKey
  readonly protocol = 'udp'
  readonly serverName = ''
  readonly sourceAddress: string
  readonly sourcePort: number
  isProven = false
  isQueued = false
  share = ''
  startedAt: number
  private readonly deps: UdpDeps
  private readonly io: DatagramIo
  private readonly port: SessionPort
  private readonly name: Buffer
  private readonly timer: Timer
  private upstream: Upstream | null = null
  private state: EndpointState | null = null
  private socket = -1
  private hasSlot = false
  private lastAt: number
  private hasReply = false
  /** The endpoint is not there. */
  private isRefused = false
  private isOver = false
  private wasActive = false
  private bytesUp = 0
  private bytesDown = 0
  private binds = 0

  constructor(deps: UdpDeps, io: DatagramIo, port: SessionPort, key: SenderKey, name: Buffer) {
    this.deps = deps
    this.io = io
    this.port = port
    this.key = key
    this.name = name
    this.id = deps.live.nextId()
    const { address, port: sourcePort } = senderAddress(name)
    this.sourceAddress = address
    this.sourcePort = sourcePort
    this.startedAt = deps.clock.now
    this.lastAt = deps.clock.now
    this.timer = new Timer(this, 0)
  }

  get callerKey(): string {
    return this.source?.app ?? this.sourceAddress
  }
  get localPort(): number {
    return this.port.context.port
  }
  get localAddress(): string {
    return this.port.address
  }
  get source(): SourceAppSpec | undefined {
    return this.port.source
  }
  get listener(): string {
    return this.port.context.name
  }

  /** Policies, route and endpoint. null = it may carry; else nothing of it is left. */
  begin(): Nowhere | null {
    const found = findUpstream(this.deps, this.port.context.virtualHost ?? '', this, this, () => this.makeWay())
    if (found.kind === 'nowhere') return found
    this.upstream = found
    const problem = this.bind()
    if (problem === null) {
      this.touch()
      this.deps.wheel.arm(this.timer, this.lastAt + this.idleMs)
      return null
    }
    found.cluster.release(this.share, true)
    return problem
  }

  /** Slots `from..to` of the batch, from the caller. */
  forward(from: number, to: number): void {
    const { batch } = this.io
    const { bytes, datagrams } = this.port.counts
    this.touch()
    if (this.hasReply && !this.isProven) this.port.prove(this)
    let at = from
    let picks = 0
    while (at < to) {
      if (this.mustMove) {
        const problem =
          picks++ < maxPicks ? this.bind() : { kind: 'nowhere' as const, reason: 'send' as const, flag: 'UF' }
        if (problem !== null) {
          this.port.drop(problem, to - at)
          return
        }
      }
      const sent = batch.send(this.socket, at, to)
      if (sent > 0) {
        datagrams.received += sent
        for (const end = at + sent; at < end; at++) {
          bytes.received += batch.lengthOf(at)
          this.bytesUp += batch.lengthOf(at)
        }
      } else if (unreachable.has(sent) && picks < maxPicks) {
        // of an earlier datagram; this one was not sent
        this.refused()
      } else {
        this.port.counts.drops.send++
        at++
      }
    }
  }

  onEvents(): void {
    const { batch } = this.io
    this.deps.clock.refresh()
    const count = batch.receive(this.socket)
    if (count <= 0) {
      if (unreachable.has(count)) this.refused()
      return
    }
    this.touch()
    if (!this.hasReply) this.proved()
    for (let slot = 0; slot < count; slot++) this.bytesDown += batch.lengthOf(slot)
    this.port.reply(0, count, this.name)
  }

  onTurn(): void {}

  onTimer(): void {
    const now = this.deps.clock.refresh()
    const due = this.lastAt + this.idleMs
    if (now < due) {
      this.deps.wheel.arm(this.timer, due)
      return
    }
    this.port.counts.sessions.idle++
    this.end('-')
  }

  giveWay(): void {
    this.port.counts.sessions.evicted++
    this.end('UO')
  }

  end(flag: string): void {
    if (this.isOver) return
    const { state, upstream } = this
    this.leave()
    const { accessLog } = this.deps
    if (accessLog.isOn && accessLog.wants({ status: 0, code: undefined, flag, notes: '' }))
      accessLog.write(this.logged(upstream, state, flag))
  }

  /** As it was in another process. E_HANDOFF_REFUSED's reason where it cannot go on; the socket stays the caller's. */
  resume(moved: MovedDatagrams, socket: number): string | null {
    const upstream = this.deps.mesh.upstream(moved.cluster)
    const states = upstream?.cluster.states
    const state = states?.find(({ id }) => id === moved.endpoint) ?? states?.[0]
    if (upstream === undefined || state === undefined) return `${moved.cluster} is not known here, or has no endpoint`
    const refused = this.io.loop.add(socket, this, Edge.in)
    if (refused !== 0) return `its socket cannot be watched: errno ${refused}`
    const { clock, wheel } = this.deps
    this.upstream = upstream
    this.state = state
    this.socket = socket
    // withdrawn on the way: another one is found with the next datagram
    this.isRefused = state.id !== moved.endpoint
    upstream.cluster.readmit(clock.now, this, true)
    upstream.cluster.numbers.connections++
    upstream.cluster.beginAttempt(state, clock.now)
    upstream.tcpConnections++
    this.hasSlot = true
    this.binds = 1
    this.isProven = moved.isProven
    this.hasReply = moved.hasReply
    this.bytesUp = moved.bytesUp
    this.bytesDown = moved.bytesDown
    this.startedAt = clock.now - moved.ageMs
    this.lastAt = clock.now - moved.idleMs
    wheel.arm(this.timer, this.lastAt + this.idleMs)
    return null
  }

  // ---- its endpoint

  private get mustMove(): boolean {
    const { state, upstream } = this
    if (this.isRefused || state!.isGone) return true
    return !state!.isUsable && upstream!.cluster.numbers.usableEndpoints > 0
  }

  private bind(): Nowhere | null {
    const { deps, io } = this
    const { cluster } = this.upstream!
    const tried: EndpointState[] = this.isRefused && this.state !== null ? [this.state] : []
    let problem: Nowhere = { kind: 'nowhere', reason: 'no_endpoint', flag: 'UH' }
    for (let picks = 0; picks < maxPicks; picks++) {
      const picked = pickEndpoint(deps, this.upstream!, this, tried)
      if (picked.kind === 'nowhere') {
        problem = picked
        break
      }
      if (picked === this.state && this.socket >= 0) {
        this.isRefused = false
        return null
      }
      const full = this.hasSlot ? null : this.takeSlot()
      if (full !== null) return { kind: 'nowhere', reason: full, flag: 'UO' }
      let socket: number
      try {
        socket = io.sockets.connected(picked.address, picked.port)
      } catch (error) {
        const { errno } = error as { errno?: number }
        if (errno === noDescriptor || errno === noFile) {
          problem = { kind: 'nowhere', reason: 'descriptors', flag: 'UO', text: 'no descriptor left for a session' }
          break
        }
        cluster.beginAttempt(picked, deps.clock.now)
        cluster.endAttempt(picked, Outcome.connectFailure, 0, -1, deps.clock.now)
        tried.push(picked)
        continue
      }
      this.unbind()
      this.socket = socket
      this.state = picked
      this.isRefused = false
      this.hasReply = false
      io.loop.add(socket, this, Edge.in)
      cluster.beginAttempt(picked, deps.clock.now)
      if (this.binds++ > 0) this.port.counts.sessions.rebound++
      return null
    }
    if (this.hasSlot && this.state === null) this.giveSlot()
    return problem
  }

  private takeSlot(): NoRoom | null {
    const { cluster } = this.upstream!
    if (!cluster.tryConnection()) {
      const refused = this.makeWay()
      if (refused !== null) return refused
      if (!cluster.tryConnection()) return 'overflow'
    }
    this.hasSlot = true
    this.upstream!.tcpConnections++
    return null
  }

  private makeWay(): NoRoom | null {
    return this.port.makeWay(this.sourceAddress)
  }

  private giveSlot(): void {
    this.hasSlot = false
    this.upstream!.tcpConnections--
    this.upstream!.cluster.endConnection()
  }

  /** An answer came: the endpoint is there. From here on the session only counts as load on it. */
  private proved(): void {
    const { cluster } = this.upstream!
    const { now } = this.deps.clock
    this.hasReply = true
    cluster.endAttempt(this.state!, Outcome.ok, 0, -1, now)
    cluster.beginAttempt(this.state!, now)
  }

  private refused(): void {
    if (this.isRefused) return
    const { cluster } = this.upstream!
    const { now } = this.deps.clock
    this.isRefused = true
    this.port.counts.sessions.refused++
    cluster.endAttempt(this.state!, Outcome.connectFailure, 0, -1, now)
    cluster.beginAttempt(this.state!, now)
  }

  private unbind(): void {
    const { state, socket, upstream } = this
    if (state !== null) upstream!.cluster.endAttempt(state, Outcome.cancelled, 0, -1, this.deps.clock.now)
    this.state = null
    if (socket < 0) return
    this.socket = -1
    this.io.loop.remove(socket)
    this.io.sockets.close(socket)
  }

  /** Takes it out of everything that counts it. */
  private leave(): void {
    this.isOver = true
    this.deps.wheel.drop(this.timer)
    this.unbind()
    if (this.hasSlot) this.giveSlot()
    this.upstream?.cluster.release(this.share, true)
    this.port.left(this)
  }

  private touch(): void {
    this.lastAt = this.deps.clock.now
    this.wasActive = true
  }

  private get idleMs(): number {
    return this.deps.limits().udpIdleTimeoutMs
  }

  // ---- leaving this process

  get isReady(): boolean {
    return !this.isOver
  }

  get isIdle(): boolean {
    return this.deps.clock.refresh() - this.lastAt >= restMs
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    if (callback === null || this.isOver) return
    queueMicrotask(() => {
      if (this.isReady) callback(this)
    })
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (this.isOver) return undefined
    const now = this.deps.clock.refresh()
    const { port, socket, state, upstream } = this
    const copy = copies.duplicate(socket)
    const moved: MovedDatagrams = {
      format: movedConnectionFormat,
      protocol: 'udp',
      listener: this.listener,
      shard: port.shard,
      caller: this.name.toString('base64'),
      cluster: upstream!.key,
      endpoint: this.isRefused ? '' : state!.id,
      isProven: this.isProven,
      hasReply: this.hasReply,
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      ageMs: now - this.startedAt,
      idleMs: now - this.lastAt,
    }
    this.leave()
    return { state: moved, descriptors: [copy] }
  }

  takeActivity(): boolean {
    const { wasActive } = this
    this.wasActive = false
    return wasActive
  }

  /** It knows no end of its own. */
  drain(): void {}

  abort(): void {
    this.end('DC')
  }

  describe(): ConnectionFacts {
    const { bytesDown, bytesUp, source, sourceAddress: address, sourcePort: port, startedAt, state } = this
    const upstream = state?.id ?? '-'
    return { address, port, startedAt, sourceApp: source?.app, upstream, bytesUp, bytesDown }
  }

  private logged(upstream: Upstream | null, state: EndpointState | null, flag: string) {
    const { bytesDown, bytesUp, deps, port, source, sourceAddress, startedAt } = this
    const accepted = {
      listener: port.context,
      proxy: null,
      source,
      identity: noIdentity,
      serverName: '',
      acceptedAt: startedAt,
      onEnd: () => {},
    }
    const { name, service } = upstream!.cluster
    const counted = { accepted, bytesUp, bytesDown, startedAt, state, cluster: name, service }
    const ended = { ...counted, dials: this.binds, sourceAddress, protocol: 'UDP' }
    return loggedConnection(deps, ended, flag)
  }
}
