import type { EndpointState } from '../balance/types.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { LoggedRequest } from '../observe/access-log.ts'
import { Field } from '../protocols/http1/field-names.ts'
import type { Exchange } from './exchange.ts'
import type { Road } from './road.ts'

/** The facts of a finished exchange for the access log. Only called for requests that are written. */
export function loggedRequest(road: Road, exchange: Exchange): LoggedRequest {
  const { connection, head, isRead } = exchange
  const query = isRead ? exchange.query : ''
  return {
    method: isRead ? exchange.method : '-',
    path: isRead ? exchange.path + (query === '' ? '' : `?${query}`) : '-',
    authority: isRead ? exchange.authority : '-',
    protocol: isRead ? `HTTP/1.${head.minor}` : '-',
    status: exchange.status,
    code: exchange.code,
    flag: exchange.flag,
    durationMs: road.clock.now - exchange.startedAt,
    requestBytes: exchange.requestBytes,
    replyBytes: exchange.replyBytes,
    sourceAddress: connection.sourceAddress,
    sourceApp: exchange.source?.app ?? '-',
    upstreamId: exchange.endpoint?.id ?? '-',
    upstreamCluster: exchange.upstream?.cluster.name ?? '-',
    routeName: exchange.route?.spec.name ?? '-',
    listenerName: connection.context.name,
    attempts: exchange.attempts,
    traceId: isRead ? traceId(exchange) : '',
    tier: road.state.node.tier,
  }
}

/** The same for a raw TCP connection that has ended; it has no status (0) and no path. */
export function loggedConnection(road: Road, ended: EndedConnection, flag: string): LoggedRequest {
  const { accepted, bytesDown, bytesUp, cluster, dials, sourceAddress, startedAt, state } = ended
  return {
    method: '-',
    path: '-',
    authority: '-',
    protocol: 'TCP',
    status: 0,
    code: undefined,
    flag,
    durationMs: road.clock.now - startedAt,
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
    tier: road.state.node.tier,
  }
}

export interface EndedConnection {
  readonly accepted: Accepted
  readonly bytesUp: number
  readonly bytesDown: number
  readonly startedAt: number
  readonly state: EndpointState | null
  readonly cluster: string | undefined
  readonly dials: number
  readonly sourceAddress: string
}

function traceId(exchange: Exchange): string {
  const { head } = exchange
  const parent = head.find(Field.traceparent)
  if (parent >= 0) return head.valueOf(parent).split('-')[1] ?? ''
  const b3 = head.find(Field.b3)
  if (b3 >= 0) return head.valueOf(b3).split('-')[0] ?? ''
  const old = head.find(Field.xB3TraceId)
  return old >= 0 ? head.valueOf(old) : ''
}
