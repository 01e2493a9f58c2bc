/**
 * Copies of requests to another destination. Fire and forget: the answer is read and thrown away, a failure is only counted, and the caller never waits.
 *
 * Bounds: `maxMirrors` copies in flight per worker; beyond it, and for bodies that are not whole within the replay bound when the request is routed, no copy is sent
 * (counted as skipped). The Host of a copy ends in `-shadow`, as in Istio, so that the other side can tell.
 */
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import { overflow, waiting } from '../connect/endpoint-pool.ts'
import type { ConnectionWaiter } from '../connect/endpoint-pool.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Upstream } from '../connect/upstream.ts'
import { BodyReader } from '../../../http1/body-reader.ts'
import { Head } from '../../../http1/head.ts'
import { readReply } from '../../../http1/read-reply.ts'
import { BodyKind } from '../../../http1/types.ts'
import type { Method } from '../../../http1/types.ts'
import { clusterKeyFor } from '../route/destination.ts'
import { chooseMirrors } from '../route/mirror.ts'
import type { Destination, Route } from '../route/types.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { TransportOwner } from '../transport/transport.ts'
import { HeldBytes } from './held-bytes.ts'
import type { IncomingRequest } from './incoming-request.ts'
import type { Road } from './road.ts'

export const maxMirrors = 256

/** A copy whose answer takes longer is given up. */
const timeLimitMs = 15_000

export class Mirrors {
  inFlight = 0
  sent = 0
  skipped = 0
  failed = 0
}

export function sendMirrors(road: Road, request: IncomingRequest, route: Route): void {
  chooseMirrors(route, road.random, (destination) => {
    const { mirrors } = road
    const upstream = road.state.upstream(clusterKeyFor(destination, request.namedPort, request.localPort))
    if (upstream === undefined || mirrors.inFlight >= maxMirrors || !request.isDone || !request.replay.isWhole) {
      mirrors.skipped++
      return
    }
    sendMirror(road, request, route, destination, upstream)
  })
}

function sendMirror(
  road: Road,
  request: IncomingRequest,
  route: Route,
  destination: Destination,
  upstream: Upstream,
): void {
  const { cluster } = upstream
  const { mirrors } = road
  if (cluster.admit(road.clock.now) !== null) {
    mirrors.skipped++
    return
  }
  const picked = cluster.pick({
    now: road.clock.now,
    random: road.random,
    hash: 0,
    hasHash: false,
    tried: null,
    original: '',
  })
  if (picked.kind === 'refusal') {
    cluster.release()
    mirrors.skipped++
    return
  }
  const { replay } = request
  const head = road.heads.copyOf(request, route, destination.requestEdits, shadowAuthority(request.authority))
  const bytes = Buffer.concat([head, replay.bytes.subarray(0, replay.length)])
  mirrors.inFlight++
  mirrors.sent++
  new MirrorAttempt(road, upstream, picked, bytes, request.head.methodId).begin()
}

function shadowAuthority(authority: string): string {
  const colon = authority.lastIndexOf(':')
  return colon < 0 || authority.endsWith(']')
    ? `${authority}-shadow`
    : `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`
}

class MirrorAttempt implements TransportOwner, TimerOwner, ConnectionWaiter {
  readonly callerKey = 'mirror'
  private readonly road: Road
  private readonly upstream: Upstream
  private readonly state: EndpointState
  private readonly bytes: Buffer
  private readonly methodId: Method
  private readonly head: Head
  private readonly body = new BodyReader()
  private readonly timer: Timer
  private readonly startedAt: number
  private connection: PooledConnection | null = null
  private held: HeldBytes | null = null
  private isHeadRead = false
  private isOver = false

  constructor(road: Road, upstream: Upstream, state: EndpointState, bytes: Buffer, methodId: Method) {
    this.road = road
    this.upstream = upstream
    this.state = state
    this.bytes = bytes
    this.methodId = methodId
    this.head = new Head(road.strings, road.state.limits.maxFields)
    this.timer = new Timer(this, 0)
    this.startedAt = road.clock.now
  }

  begin(): void {
    this.upstream.cluster.beginAttempt(this.state, this.startedAt)
    this.road.wheel.arm(this.timer, this.startedAt + timeLimitMs)
    const got = this.upstream.pools.of(this.state).acquire(this, false)
    if (got === overflow) this.end(Outcome.cancelled, false)
    else if (got !== waiting) this.onConnection(got)
  }

  onConnection(connection: PooledConnection): void {
    this.connection = connection
    connection.requests++
    connection.transport.owner = this
    const { output } = this.road
    output.append(this.bytes)
    connection.transport.write(output)
  }

  onConnectFailed(outcome: Outcome): void {
    this.end(outcome, false)
  }

  /** A copy goes where it was sent, or nowhere. */
  onEndpointLeft(): void {}

  onBytes(bytes: Buffer, length: number): void {
    this.road.clock.refresh()
    let buf = bytes
    let at = 0
    let end = length
    if (this.held !== null) {
      this.held.append(bytes, 0, length)
      buf = this.held.bytes
      at = this.held.start
      end = this.held.end
      this.head.moveTo(buf, at)
      this.held = null
    }
    while (!this.isHeadRead) {
      const { limits } = this.road.state
      const taken = at === end ? 0 : readReply(this.head, buf, at, end, limits, this.methodId, false)
      if (taken < 0) {
        this.end(Outcome.protocol, false)
        return
      }
      if (taken === 0) {
        if (at < end) {
          this.held = new HeldBytes(buf, at, end)
          this.head.moveTo(this.held.bytes, 0)
        }
        return
      }
      at += taken
      if (this.head.status < 200) continue
      this.isHeadRead = true
      this.body.begin(this.head.body, this.head.contentLength, true, false, limits)
    }
    while (at < end && !this.body.isDone) {
      const taken = this.body.feed(buf, at, end)
      if (taken <= 0) {
        this.end(Outcome.protocol, false)
        return
      }
      at += taken
    }
    if (this.body.isDone) this.finish(at === end && this.head.keepsAlive && this.body.kind !== BodyKind.untilClose)
  }

  onEnd(): void {
    this.road.clock.refresh()
    if (this.isHeadRead && this.body.endOfInput()) this.finish(false)
    else this.end(Outcome.reset, false)
  }

  onClosed(): void {
    this.road.clock.refresh()
    this.end(Outcome.reset, false)
  }

  onDrained(): void {}

  onTimer(): void {
    this.road.clock.refresh()
    this.end(Outcome.timeout, false)
  }

  private finish(isReusable: boolean): void {
    this.end(this.head.status >= 500 ? Outcome.serverError : Outcome.ok, isReusable)
  }

  private end(outcome: Outcome, isReusable: boolean): void {
    if (this.isOver) return
    this.isOver = true
    const { connection, road, state, upstream } = this
    const { cluster } = upstream
    road.wheel.drop(this.timer)
    const answered = outcome === Outcome.ok || outcome === Outcome.serverError
    if (!answered) road.mirrors.failed++
    cluster.endAttempt(
      state,
      outcome,
      answered ? this.head.status : 0,
      answered ? road.clock.now - this.startedAt : -1,
      road.clock.now,
    )
    cluster.release()
    road.mirrors.inFlight--
    if (connection === null) upstream.pools.of(state).forget(this)
    else connection.pool.release(connection, isReusable && connection.transport.pendingBytes === 0)
  }
}
