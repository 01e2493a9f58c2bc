import type { ErrorCode } from '../../../contracts/errors.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { LoggedRequest } from '../observe/logged-request.ts'
import type { NodeSpec } from '../../../contracts/snapshot.ts'
import type { Clock } from '../transport/clock.ts'

export interface LogDeps {
  readonly clock: Clock
  readonly mesh: { readonly node: Pick<NodeSpec, 'tier'> }
}

/** What is written of a raw TCP connection that has ended; it has no status (0) and no path. */
export function loggedConnection(deps: LogDeps, ended: EndedConnection, flag: string): LoggedRequest {
  const { accepted, bytesDown, bytesUp, cluster, dials, service, sourceAddress, startedAt, state } = ended
  return {
    method: accepted.tunnel?.kind ?? '-',
    path: '-',
    barePath: '-',
    query: '',
    authority: accepted.tunnel?.target ?? '-',
    protocol: ended.protocol ?? 'TCP',
    status: 0,
    grpcStatus: -1,
    streamId: 0,
    code: ended.code,
    flag,
    details: ended.details ?? '',
    notes: ended.notes ?? '',
    durationMs: deps.clock.now - startedAt,
    headMs: -1,
    requestBytes: bytesUp,
    replyBytes: bytesDown,
    sourceAddress,
    sourceApp: accepted.source?.app ?? '-',
    upstreamId: state?.id ?? '-',
    upstreamCluster: cluster ?? '-',
    routeName: '-',
    listenerName: accepted.listener.name,
    attempts: dials,
    traceId: '',
    spanId: '',
    ids: undefined,
    reporter: accepted.listener.reporter,
    service: serviceNameOf(service),
    localService: localServiceOf(accepted, accepted.source?.app),
    tier: deps.mesh.node.tier,
    givenId: undefined,
    header: () => undefined,
    replyField: () => undefined,
  }
}

export interface EndedConnection {
  readonly accepted: Accepted
  readonly bytesUp: number
  readonly bytesDown: number
  readonly startedAt: number
  readonly state: EndpointState | null
  readonly cluster: string | undefined
  /** Service key. */
  readonly service: string | undefined
  readonly dials: number
  readonly sourceAddress: string
  readonly code?: ErrorCode | undefined
  readonly details?: string | undefined
  readonly notes?: string
  /** Absent: TCP. */
  readonly protocol?: string
}

/** Of a service key: what stands behind namespace and group. */
export function serviceNameOf(key: string | undefined): string {
  if (key === undefined) return '-'
  const at = key.indexOf('@@')
  return at < 0 ? key : key.slice(at + 2)
}

/** The application of this host that a connection belongs to. */
export function localServiceOf({ listener }: Accepted, caller: string | undefined): string {
  return (listener.kind === 'inbound' ? listener.app : caller) || 'hostmesh'
}
