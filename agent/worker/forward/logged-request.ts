import type { EndpointState } from '../balance/types.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { LoggedRequest } from '../observe/access-log.ts'
import { Field } from '../../../http1/field-names.ts'
import type { Head } from '../../../http1/head.ts'
import type { Exchange } from './exchange.ts'
import type { Road } from './road.ts'

/** The facts of a finished exchange for the access log. Only called for requests that are written. */
export function loggedRequest(road: Road, exchange: Exchange): LoggedRequest {
  const { connection, reply, request, tries } = exchange
  const { head, isRead } = request
  const query = isRead ? request.query : ''
  return {
    method: isRead ? request.method : '-',
    path: isRead ? request.path + (query === '' ? '' : `?${query}`) : '-',
    authority: isRead ? request.authority : '-',
    protocol: isRead ? `HTTP/1.${head.minor}` : '-',
    status: reply.status,
    code: reply.code,
    flag: reply.flag,
    durationMs: road.clock.now - exchange.startedAt,
    requestBytes: request.bytes,
    replyBytes: reply.bytes,
    sourceAddress: connection.sourceAddress,
    sourceApp: exchange.source?.app ?? '-',
    upstreamId: tries.endpoint?.id ?? '-',
    upstreamCluster: tries.visit.upstream?.cluster.name ?? '-',
    routeName: exchange.way.route?.spec.name ?? '-',
    listenerName: connection.context.name,
    attempts: tries.count,
    traceId: isRead ? traceId(head) || request.createdTrace.text : '',
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

function traceId(head: Head): string {
  const parent = head.find(Field.traceparent)
  if (parent >= 0) return head.valueOf(parent).split('-')[1] ?? ''
  const b3 = head.find(Field.b3)
  if (b3 >= 0) return head.valueOf(b3).split('-')[0] ?? ''
  const old = head.find(Field.xB3TraceId)
  return old >= 0 ? head.valueOf(old) : ''
}
