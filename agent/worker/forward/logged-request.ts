import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { LoggedRequest } from '../observe/logged-request.ts'
import type { Route } from '../route/types.ts'
import type { NodeSpec } from '../../../contracts/snapshot.ts'
import type { Clock } from '../transport/clock.ts'
import type { OutgoingReply } from './outgoing-reply.ts'
import { requestIdField } from './request-id.ts'
import type { RequestId } from './request-id.ts'
import type { DownstreamStream, RequestMessage } from './streams.ts'
import type { TraceContext } from './trace-context.ts'

export interface LogDeps {
  readonly clock: Clock
  readonly mesh: { readonly node: Pick<NodeSpec, 'tier'> }
}

/** What is written of an exchange. */
export interface LoggedExchange {
  readonly stream: DownstreamStream
  readonly request: RequestMessage
  /** Whether there was a whole head; its facts must not be read otherwise. */
  readonly hasRequest: boolean
  readonly requestBytes: number
  readonly reply: OutgoingReply
  readonly call: { readonly status: number }
  readonly startedAt: number
  readonly service: string | undefined
  readonly endpoint: EndpointState | null
  readonly routing: { readonly route: Route | null }
  readonly tries: { readonly count: number; readonly visit: { readonly upstream: Upstream | null } }
  readonly outgoing: { readonly trace: TraceContext; readonly requestId: RequestId }
}

/** The facts of a finished exchange for the access log. Only called for requests that are written. */
export function loggedRequest(deps: LogDeps, exchange: LoggedExchange): LoggedRequest {
  const { hasRequest: isRead, reply, request, stream } = exchange
  const ownId = isRead ? exchange.outgoing.requestId.text : undefined
  const query = isRead ? request.query : ''
  return {
    method: isRead ? request.method : '-',
    path: isRead ? request.path + (query === '' ? '' : `?${query}`) : '-',
    authority: isRead ? request.authority : '-',
    protocol: isRead ? request.protocol : '-',
    status: reply.status,
    grpcStatus: exchange.call.status,
    code: reply.code,
    flag: reply.flag,
    durationMs: deps.clock.now - exchange.startedAt,
    headMs: reply.headMs,
    requestBytes: exchange.requestBytes,
    replyBytes: reply.bytes,
    sourceAddress: stream.sourceAddress,
    sourceApp: request.source?.app ?? '-',
    upstreamId: exchange.endpoint?.id ?? '-',
    upstreamCluster: exchange.tries.visit.upstream?.cluster.name ?? '-',
    routeName: exchange.routing.route?.spec.name ?? '-',
    listenerName: stream.accepted.listener.name,
    attempts: exchange.tries.count,
    traceId: isRead ? exchange.outgoing.trace.text || traceId(request) : '',
    spanId: exchange.outgoing.trace.spanText,
    reporter: stream.accepted.listener.reporter,
    service: serviceName(exchange.service),
    localService: localService(stream.accepted, request.source?.app),
    tier: deps.mesh.node.tier,
    header: (name) =>
      name === requestIdField && ownId !== undefined ? ownId : isRead ? request.header(name) : undefined,
  }
}

/** The same for a raw TCP connection that has ended; it has no status (0) and no path. */
export function loggedConnection(deps: LogDeps, ended: EndedConnection, flag: string): LoggedRequest {
  const { accepted, bytesDown, bytesUp, cluster, dials, service, sourceAddress, startedAt, state } = ended
  return {
    method: '-',
    path: '-',
    authority: '-',
    protocol: 'TCP',
    status: 0,
    grpcStatus: -1,
    code: undefined,
    flag,
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
    reporter: accepted.listener.reporter,
    service: serviceName(service),
    localService: localService(accepted, accepted.source?.app),
    tier: deps.mesh.node.tier,
    header: () => undefined,
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
}

/** Of a service key. */
function serviceName(key: string | undefined): string {
  if (key === undefined) return '-'
  const at = key.indexOf('@@')
  return at < 0 ? key : key.slice(at + 2)
}

function localService({ listener }: Accepted, caller: string | undefined): string {
  return (listener.kind === 'inbound' ? listener.app : caller) || 'hostmesh'
}

function traceId(request: RequestMessage): string {
  const parent = request.header('traceparent')
  if (parent !== undefined) return parent.split('-')[1] ?? ''
  const b3 = request.header('b3')
  if (b3 !== undefined) return b3.split('-')[0] ?? ''
  return request.header('x-b3-traceid') ?? ''
}
