import { provedId } from '../../../contracts/peer-identity.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { ErrorCode } from '../../../contracts/errors.ts'
import { encodeProxyV1, encodeProxyV2 } from '../../../contracts/proxy-protocol.ts'
import type { NodeSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { ShareHolder } from '../balance/fair-share.ts'
import { Outcome } from '../balance/types.ts'
import type { CallerAccount } from '../callers/caller-account.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Dialer, DialUser, PendingDial } from '../connect/dialer.ts'
import type { Upstream } from '../connect/upstream.ts'
import { askAboutConnection } from '../filters/filter.ts'
import type { ConnectionRefusal } from '../filters/filter.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { MovedPair } from '../listen/movable.ts'
import type { TunnelProblem } from '../listen/tunnels/tunnel.ts'
import type { AccessLog } from '../observe/access-log.ts'
import type { TcpMetrics } from '../observe/tcp-metrics.ts'
import { chooseDestination, clusterKeyFor } from '../route/destination.ts'
import { connectionHash } from '../route/hash-key.ts'
import { matchTcpRoute } from '../route/tcp-route.ts'
import type { ConnectionView, TcpRoute, VirtualHost } from '../route/types.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import { loggedConnection } from './logged-connection.ts'
import type { EndedConnection } from './logged-connection.ts'
import type { TunnelDestination } from './tunnel.ts'
import { Pair } from './pair.ts'
import type { PairDeps } from './pair.ts'

export interface TcpDeps extends PairDeps {
  readonly random: () => number
  /** Whose share of bounds a connection uses. */
  readonly accountOf: (accepted: Accepted, transport: Transport) => CallerAccount
  readonly mesh: {
    readonly node: Pick<NodeSpec, 'tier'>
    readonly names: { host(name: string): VirtualHost | undefined }
    upstream(clusterKey: string): Upstream | undefined
  }
  readonly dialer: Pick<Dialer, 'dial'>
  readonly tcpMetrics: TcpMetrics
  readonly tallies: PairDeps['tallies'] & { tcpConnectFailures: number }
  readonly accessLog: Pick<AccessLog, 'isOn' | 'wants' | 'write'>
}

/** A raw connection says nothing of what it carries. */
const noProtocols: readonly string[] = []
/** Endpoints that are tried for one connection; nothing was sent to those that failed. */
const maxDials = 3

/**
 * A raw TCP connection from its accept to the moment when it is a pair: route, pick, dial, and other endpoints where a
 * dial fails. The caller is not read meanwhile, so what it sends waits in the kernel.
 */
export class TcpConnection implements ConnectionView, DialUser, TransportOwner, ShareHolder {
  private readonly deps: TcpDeps
  private readonly accepted: Accepted
  private readonly transport: Transport
  share = ''
  private readonly tried: EndpointState[] = []
  private received: Buffer | null = null
  private upstream: Upstream | null = null
  private state: EndpointState | null = null
  private dial: PendingDial | null = null
  private dialledAt = 0
  private dials = 0
  private isOver = false
  /** What policies say of it beside what becomes of it. */
  private notes = ''

  constructor(deps: TcpDeps, accepted: Accepted, transport: Transport) {
    this.deps = deps
    this.accepted = accepted
    this.transport = transport
    transport.owner = this
  }

  get callerKey(): string {
    return this.deps.accountOf(this.accepted, this.transport).name
  }
  get localPort(): number {
    return this.accepted.listener.port
  }
  /** By the caller of a tunnel; 0 = none. */
  private get namedPort(): number {
    return this.accepted.tunnel?.port ?? 0
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
  get serverName(): string {
    return this.accepted.serverName
  }

  open(received: Buffer | null): void {
    const { deps } = this
    this.received = received
    const problem = this.accepted.tunnel?.opening?.problem
    if (problem !== undefined) {
      this.refuse('NC', problem)
      return
    }
    const host = deps.mesh.names.host(this.accepted.listener.virtualHost ?? '')
    const route = host === undefined ? undefined : matchTcpRoute(host, this)
    const refused: ConnectionRefusal | null =
      route === undefined || route.filters.length === 0 ? null : this.runFilters(route)
    if (refused !== null) {
      this.refuse(refused.flag, refused)
      return
    }
    const destination = route === undefined ? undefined : chooseDestination(route, deps.random())
    const upstream =
      destination === undefined
        ? undefined
        : deps.mesh.upstream(clusterKeyFor(destination, this.namedPort, this.localPort))
    if (upstream === undefined) {
      this.refuse('NR')
      return
    }
    this.upstream = upstream
    upstream.uses++
    const refusal = upstream.cluster.admitConnection(deps.clock.now, this)
    if (refusal !== null) {
      this.upstream = null
      this.refuse(refusal.flag)
      return
    }
    this.tryNext()
  }

  private runFilters({ filters }: TcpRoute): ConnectionRefusal | null {
    const { accepted, deps } = this
    const note = (text: string): void => {
      this.notes = this.notes === '' ? text : `${this.notes}, ${text}`
    }
    const context = { view: this, peer: accepted.identity, now: deps.clock.now, random: deps.random, note }
    for (const filter of filters) {
      const refusal = askAboutConnection(filter, context)
      if (refusal !== null) return refusal
    }
    return null
  }

  private tryNext(): void {
    const { deps } = this
    const { cluster, hashKey } = this.upstream!
    const now = deps.clock.now
    const hash = hashKey === null ? undefined : connectionHash(hashKey, this)
    const picked = cluster.pick({
      now,
      random: deps.random,
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
    this.dial = deps.dialer.dial(
      picked,
      cluster,
      { identity: this.accepted.source?.identity, protocols: noProtocols, isRaw: true },
      this,
    )
  }

  onDialFailed(outcome: Outcome): void {
    const { deps, state } = this
    const { cluster } = this.upstream!
    this.dial = null
    deps.tallies.tcpConnectFailures++
    cluster.endConnection()
    cluster.endAttempt(state!, outcome, 0, -1, deps.clock.now)
    this.tried.push(state!)
    if (this.dials < maxDials && cluster.states.length > this.tried.length) this.tryNext()
    else this.refuse('UF')
  }

  onDialed(up: Transport): void {
    const { accepted, deps } = this
    const upstream = this.upstream!
    const state = this.state!
    const { cluster } = upstream
    this.dial = null
    state.serverId = provedId(up.identity)
    // The endpoint proved itself by the handshake; from here on the connection only counts as load on it.
    cluster.endAttempt(state, Outcome.ok, 0, deps.clock.now - this.dialledAt, deps.clock.now)
    cluster.beginAttempt(state, deps.clock.now)
    this.isOver = true
    const first = [this.proxyHeader(), this.received].filter((bytes) => bytes !== null)
    const pair = relayPair(
      deps,
      accepted,
      'tcp',
      { upstream, state, share: this.share },
      this.transport,
      up,
      this.notes,
    )
    deps.tcpMetrics.opened(countedPair(pair))
    pair.open(first.length === 0 ? null : Buffer.concat(first), accepted.tunnel?.opening?.granted ?? null, null)
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

  private refuse(flag: string, why?: Pick<ConnectionRefusal, 'code' | 'details'>): void {
    if (this.isOver) return
    this.isOver = true
    const { accepted, deps, notes, state, upstream } = this
    if (upstream !== null) upstream.cluster.release(this.share, true)
    const service = upstream?.cluster.service
    const counted = { accepted, bytesUp: 0, bytesDown: 0, startedAt: accepted.acceptedAt, state, service }
    deps.tcpMetrics.opened(counted)
    deps.tcpMetrics.ended(counted, flag)
    const { dials, sourceAddress } = this
    const ended = { ...counted, cluster: upstream?.cluster.name, dials, sourceAddress, notes }
    logEnd(deps, { ...ended, code: why?.code, details: why?.details }, flag)
    const opening = accepted.tunnel?.opening
    // The caller asked for bytes of a service that cannot be reached: a reset says so, an orderly end would look like
    // an empty answer.
    if (opening === undefined || opening === null || this.transport.isClosed) {
      this.transport.reset()
      accepted.onEnd()
    } else opening.refuse(this.transport, opening.problem ?? tunnelProblem(flag, why?.code), accepted.onEnd)
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
      cluster.endAttempt(this.state!, Outcome.cancelled, 0, -1, this.deps.clock.now)
    }
    this.refuse('DC')
  }
}

/** Why a tunnel does not come about, by the flag of its connection. */
function tunnelProblem(flag: string, code: ErrorCode | undefined): TunnelProblem {
  if (code !== undefined) return { status: 403, code, text: 'a policy does not allow it' }
  if (flag === 'UF') return { status: 503, code: 'E_CONNECT_FAILED', text: 'no endpoint could be reached' }
  if (flag === 'NR') return { status: 404, code: 'E_ROUTE_NONE', text: 'no route takes the connection' }
  if (flag === 'UO')
    return { status: 503, code: 'E_BALANCE_OVERFLOW', text: 'the destination has all connections it may have' }
  return { status: 503, code: 'E_BALANCE_NO_ENDPOINT', text: 'the service has no endpoint that may be used' }
}

function logEnd(deps: TcpDeps, ended: EndedConnection, flag: string): void {
  const { accessLog } = deps
  const { code, notes = '' } = ended
  if (accessLog.isOn && accessLog.wants({ status: 0, code, flag, notes })) {
    accessLog.write(loggedConnection(deps, ended, flag))
  }
}

function countedPair(pair: Pair) {
  const { accepted, bytesDown, bytesUp, startedAt, state } = pair
  return { accepted, bytesDown, bytesUp, startedAt, state, service: pair.upstream.cluster.service }
}

/**
 * A pair that holds one connection slot, one admission and one attempt of its cluster, and gives them back at its end.
 */
function relayPair(
  deps: TcpDeps,
  accepted: Accepted,
  protocol: 'tcp' | 'websocket',
  { share, state, upstream }: TunnelDestination,
  down: Transport,
  up: Transport,
  notes = '',
): Pair {
  upstream.tcpConnections++
  return new Pair(
    deps,
    {
      protocol,
      accepted,
      upstream,
      state,
      idleTimeoutMs: upstream.cluster.policy.pool.tcpIdleTimeoutMs,
      onEnd(pair, flag) {
        const { cluster } = upstream
        upstream.tcpConnections--
        cluster.endAttempt(state, Outcome.cancelled, 0, -1, deps.clock.now)
        cluster.endConnection()
        cluster.release(share, true)
        upstream.pools.pump()
        if (flag !== 'moved') {
          if (protocol === 'tcp') {
            deps.tcpMetrics.ended(countedPair(pair), flag)
            logEnd(
              deps,
              { ...countedPair(pair), cluster: cluster.name, dials: 1, sourceAddress: pair.sourceAddress, notes },
              flag,
            )
          } else deps.tcpMetrics.webSocketEnded(countedPair(pair))
        }
        accepted.onEnd()
      },
    },
    down,
    up,
  )
}

/**
 * Goes on with a pair of another process. It is let in past the limits: it was admitted before. Where its endpoint left
 * the set meanwhile it counts as load of another one. E_HANDOFF_REFUSED when the cluster is unknown or empty; the
 * transports are then given up.
 */
export function adoptPair(deps: TcpDeps, accepted: Accepted, moved: MovedPair, down: Transport, up: Transport): Pair {
  const upstream = deps.mesh.upstream(moved.cluster)
  const states = upstream?.cluster.states
  const state = states?.find(({ id }) => id === moved.endpoint) ?? states?.[0]
  if (upstream === undefined || state === undefined) {
    down.release()
    up.release()
    const why = upstream === undefined ? 'is not known here' : 'has no endpoint any more'
    throw new MeshError('E_HANDOFF_REFUSED', `${moved.cluster} ${why}; the connection is closed`)
  }
  const { cluster } = upstream
  const holder: ShareHolder = {
    get callerKey() {
      return deps.accountOf(accepted, down).name
    },
    share: '',
  }
  cluster.readmit(deps.clock.now, holder, true)
  cluster.numbers.connections++
  cluster.beginAttempt(state, deps.clock.now)
  const pair = relayPair(deps, accepted, moved.protocol, { upstream, state, share: holder.share }, down, up)
  pair.open(Buffer.from(moved.toUpstream, 'base64'), Buffer.from(moved.toDownstream, 'base64'), moved)
  return pair
}
