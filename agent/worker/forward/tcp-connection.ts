import { MeshError } from '../../../contracts/errors.ts'
import { encodeProxyV1, encodeProxyV2 } from '../../../contracts/proxy-protocol.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import type { DialUser, PendingDial } from '../connect/dialer.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { MovedPair } from '../listen/movable.ts'
import { chooseDestination, clusterKeyFor } from '../route/destination.ts'
import { connectionHash } from '../route/hash-key.ts'
import { matchTcpRoute } from '../route/tcp-route.ts'
import type { ConnectionView } from '../route/types.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import { loggedConnection } from './logged-request.ts'
import type { EndedConnection } from './logged-request.ts'
import { Pair } from './pair.ts'
import type { Road } from './road.ts'

/** Endpoints that are tried for one connection; nothing was sent to those that failed. */
const maxDials = 3

/**
 * A raw TCP connection from its accept to the moment when it is a pair: route, pick, dial, and other endpoints where a dial fails. The caller is not read meanwhile, so what it
 * sends waits in the kernel.
 */
export class TcpConnection implements ConnectionView, DialUser, TransportOwner {
  private readonly road: Road
  private readonly accepted: Accepted
  private readonly transport: Transport
  private readonly tried: EndpointState[] = []
  private received: Buffer | null = null
  private upstream: Upstream | null = null
  private state: EndpointState | null = null
  private dial: PendingDial | null = null
  private dialledAt = 0
  private dials = 0
  private isOver = false

  constructor(road: Road, accepted: Accepted, transport: Transport) {
    this.road = road
    this.accepted = accepted
    this.transport = transport
    transport.owner = this
  }

  get localPort(): number {
    return this.accepted.listener.port
  }
  get localAddress(): string {
    return this.accepted.proxy?.destinationAddress ?? this.transport.peer().localAddress
  }
  get sourceAddress(): string {
    return this.accepted.proxy?.sourceAddress ?? this.transport.peer().address
  }
  get source(): SourceAppSpec | undefined {
    return this.accepted.source
  }

  open(received: Buffer | null): void {
    const { road } = this
    this.received = received
    const host = road.state.names.host(this.accepted.listener.virtualHost ?? '')
    const route = host === undefined ? undefined : matchTcpRoute(host, this)
    const destination = route === undefined ? undefined : chooseDestination(route, road.random())
    const upstream =
      destination === undefined ? undefined : road.state.upstream(clusterKeyFor(destination, 0, this.localPort))
    if (upstream === undefined) {
      this.refuse('NR')
      return
    }
    this.upstream = upstream
    upstream.uses++
    const refusal = upstream.cluster.admit(road.clock.now)
    if (refusal !== null) {
      this.upstream = null
      this.refuse(refusal.flag)
      return
    }
    this.tryNext()
  }

  private tryNext(): void {
    const { road } = this
    const { cluster, hashKey } = this.upstream!
    const now = road.clock.now
    const hash = hashKey === null ? undefined : connectionHash(hashKey, this)
    const picked = cluster.pick({
      now,
      random: road.random,
      hash: hash ?? 0,
      hasHash: hash !== undefined,
      tried: this.tried.length > 0 ? this.tried : null,
      original: '',
    })
    if (picked.kind === 'refusal') {
      this.refuse(picked.flag)
      return
    }
    if (!cluster.tryConnection()) {
      this.refuse('UO')
      return
    }
    this.state = picked
    this.dials++
    this.dialledAt = now
    cluster.beginAttempt(picked, now)
    this.dial = road.dialer.dial(picked.address, picked.port, cluster.policy.pool, this)
  }

  onDialFailed(outcome: Outcome): void {
    const { road, state } = this
    const { cluster } = this.upstream!
    this.dial = null
    road.tallies.tcpConnectFailures++
    cluster.endConnection()
    cluster.endAttempt(state!, outcome, 0, -1, road.clock.now)
    this.tried.push(state!)
    if (this.dials < maxDials && cluster.states.length > this.tried.length) this.tryNext()
    else this.refuse('UF')
  }

  onDialed(up: Transport): void {
    const { accepted, road } = this
    const upstream = this.upstream!
    const state = this.state!
    const { cluster } = upstream
    this.dial = null
    // The endpoint proved itself by the handshake; from here on the connection only counts as load on it.
    cluster.endAttempt(state, Outcome.ok, 0, road.clock.now - this.dialledAt, road.clock.now)
    cluster.beginAttempt(state, road.clock.now)
    this.isOver = true
    const first = [this.proxyHeader(), this.received].filter((bytes) => bytes !== null)
    const pair = relayPair(road, accepted, 'tcp', upstream, state, this.transport, up)
    road.tcpMetrics.opened(countedPair(pair))
    pair.open(first.length === 0 ? null : Buffer.concat(first), null, null)
  }

  private proxyHeader(): Buffer | null {
    const version = this.upstream!.cluster.policy.proxyProtocol
    if (version === 'off') return null
    const peer = this.transport.peer()
    const source = { address: this.sourceAddress, port: this.accepted.proxy?.sourcePort ?? peer.port }
    const destination = { address: this.localAddress, port: this.accepted.proxy?.destinationPort ?? peer.localPort }
    if (version === 'v1') return encodeProxyV1(source, destination)
    return encodeProxyV2({ command: 'proxy', source, destination, tlvs: [] })
  }

  private refuse(flag: string): void {
    if (this.isOver) return
    this.isOver = true
    const { accepted, road, state, upstream } = this
    if (upstream !== null) upstream.cluster.release()
    const service = upstream?.cluster.service
    const counted = { accepted, bytesUp: 0, bytesDown: 0, startedAt: accepted.acceptedAt, state, service }
    road.tcpMetrics.opened(counted)
    road.tcpMetrics.ended(counted, flag)
    const { dials, sourceAddress } = this
    logEnd(road, { ...counted, cluster: upstream?.cluster.name, dials, sourceAddress }, flag)
    // The caller asked for bytes of a service that cannot be reached: a reset says so, an orderly end would look like an empty answer.
    this.transport.reset()
    accepted.onEnd()
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrained(): void {}

  onClosed(): void {
    if (this.isOver) return
    this.dial?.cancel()
    if (this.dial !== null) {
      const { cluster } = this.upstream!
      cluster.endConnection()
      cluster.endAttempt(this.state!, Outcome.cancelled, 0, -1, this.road.clock.now)
    }
    this.refuse('DC')
  }
}

function logEnd(road: Road, ended: EndedConnection, flag: string): void {
  const { accessLog } = road
  if (accessLog.isOn && accessLog.wants({ status: 0, code: undefined, flag })) {
    accessLog.write(loggedConnection(road, ended, flag))
  }
}

function countedPair(pair: Pair) {
  const { accepted, bytesDown, bytesUp, startedAt, state } = pair
  return { accepted, bytesDown, bytesUp, startedAt, state, service: pair.upstream.cluster.service }
}

/** A pair that holds one connection slot, one admission and one attempt of its cluster, and gives them back at its end. */
function relayPair(
  road: Road,
  accepted: Accepted,
  protocol: 'tcp' | 'websocket',
  upstream: Upstream,
  state: EndpointState,
  down: Transport,
  up: Transport,
): Pair {
  upstream.tcpConnections++
  return new Pair(
    road,
    {
      protocol,
      accepted,
      upstream,
      state,
      idleTimeoutMs: upstream.cluster.policy.pool.tcpIdleTimeoutMs,
      onEnd(pair, flag) {
        const { cluster } = upstream
        upstream.tcpConnections--
        cluster.endAttempt(state, Outcome.cancelled, 0, -1, road.clock.now)
        cluster.endConnection()
        cluster.release()
        upstream.pools.pump()
        if (flag !== 'moved') {
          if (protocol === 'tcp') {
            road.tcpMetrics.ended(countedPair(pair), flag)
            logEnd(
              road,
              { ...countedPair(pair), cluster: cluster.name, dials: 1, sourceAddress: pair.sourceAddress },
              flag,
            )
          } else road.tcpMetrics.webSocketEnded(countedPair(pair))
        }
        accepted.onEnd()
      },
    },
    down,
    up,
  )
}

/**
 * Goes on with a pair of another process. It is let in past the limits: it was admitted before. Where its endpoint left the set meanwhile it counts as load of another one.
 * E_HANDOFF_REFUSED when the cluster is unknown or empty; the transports are then given up.
 */
export function adoptPair(road: Road, accepted: Accepted, moved: MovedPair, down: Transport, up: Transport): Pair {
  const upstream = road.state.upstream(moved.cluster)
  const states = upstream?.cluster.states
  const state = states?.find(({ id }) => id === moved.endpoint) ?? states?.[0]
  if (upstream === undefined || state === undefined) {
    down.release()
    up.release()
    const why = upstream === undefined ? 'is not known here' : 'has no endpoint any more'
    throw new MeshError('E_HANDOFF_REFUSED', `${moved.cluster} ${why}; the connection is closed`)
  }
  const { cluster } = upstream
  cluster.numbers.activeRequests++
  cluster.numbers.connections++
  cluster.beginAttempt(state, road.clock.now)
  const pair = relayPair(road, accepted, moved.protocol, upstream, state, down, up)
  pair.open(Buffer.from(moved.toUpstream, 'base64'), Buffer.from(moved.toDownstream, 'base64'), moved)
  return pair
}
