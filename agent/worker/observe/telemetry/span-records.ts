/**
 * Spans of finished requests (OTLP `Span`, opentelemetry-proto 1.x): one for each recorded request, `CLIENT` where an
 * application of this host calls, `SERVER` where one is called. Attributes have the names of OpenTelemetry's semantic
 * conventions for HTTP, else Envoy's, else ours. No query and no field that a rule has not named: both may hold
 * secrets.
 */
import type { LoggedRequest } from '../logged-request.ts'
import { Attribute } from './attributes.ts'
import { FixedFields } from './fixed-fields.ts'
import type { ProtoBytes } from './proto-bytes.ts'
import { putRequestId, Records } from './records.ts'
import { RepeatedBytes } from './repeated-bytes.ts'

/** The ids, as lower-case hex. */
export interface RecordedTrace {
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
  readonly parentId: Uint8Array
  readonly hasParent: boolean
}

const traceIdTag = 0x0a
const spanIdTag = 0x12
const parentTag = 0x22
const nameTag = 0x2a
const kindTag = 0x30
const startTag = 0x39
const endTag = 0x41
const attributeTag = 0x4a
const statusTag = 0x7a
const statusCodeTag = 0x18
/** Field 16, fixed32. */
const flagsTag = [0x85, 0x01] as const
const kinds = { destination: 2, source: 3 } as const
const statusError = 2
const maxNameLength = 255
const traceIdBytes = 16
const spanIdBytes = 8

const fixed = new FixedFields()
const startAt = fixed.fixed64(startTag)
const endAt = fixed.fixed64(endTag)
const replySizeAt = fixed.integer(attributeTag, 'http.response.body.size')
fixed.constant(...flagsTag, 1, 0, 0, 0)
const traceIdAt = fixed.id(traceIdTag, traceIdBytes)
const spanIdAt = fixed.id(spanIdTag, spanIdBytes)
const beginning = fixed.encoded()

const attribute = (key: string): Attribute => new Attribute(attributeTag, key)
const method = attribute('http.request.method')
const path = attribute('url.path')
const host = attribute('server.address')
const statusCode = attribute('http.response.status_code')
const grpcStatus = attribute('rpc.grpc.status_code')
const errorType = attribute('error.type')
const resends = attribute('http.request.resend_count')
const client = attribute('client.address')
const protocol = attribute('network.protocol.version')
const userAgent = attribute('user_agent.original')
const requestSize = attribute('http.request.body.size')
const requestId = attribute('guid:x-request-id')
const responseFlags = attribute('response_flags')
const cluster = attribute('upstream_cluster')
const address = attribute('upstream_address')
const route = attribute('mesh.route')
const listener = attribute('mesh.listener')
const tier = attribute('mesh.tier')

/** Of gRPC: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss. */
const serverErrors: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15])
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

export class SpanRecords extends Records {
  private readonly repeated = new RepeatedBytes(commonValues, hasCommonValues, commonFields)

  write(request: LoggedRequest, trace: RecordedTrace): void {
    const into = this.open(request.localService)
    if (into === undefined) return
    this.share(into, this.repeated, request.upstreamId, request)
    const at = into.length
    into.put(beginning)
    const end = this.nowNs
    into.setFixed64(at + startAt, end - request.durationMs * 1e6)
    into.setFixed64(at + endAt, end)
    into.setVarint(at + replySizeAt, request.replyBytes)
    into.setHex(at + traceIdAt, trace.traceId)
    into.setHex(at + spanIdAt, trace.spanId)
    if (trace.hasParent) into.setHex(into.field(parentTag, spanIdBytes), trace.parentId)
    ownAttributes(into, request)
    if (isError(request)) {
      into.byte(statusTag)
      into.byte(2)
      into.byte(statusCodeTag)
      into.byte(statusError)
    }
    this.close(into)
  }
}

/** What differs from request to request. */
function ownAttributes(into: ProtoBytes, r: LoggedRequest): void {
  path.text(into, r.barePath)
  if (isError(r)) errorType.text(into, r.code ?? String(r.status))
  if (r.grpcStatus >= 0) grpcStatus.integer(into, r.grpcStatus)
  if (r.attempts > 1) resends.integer(into, r.attempts - 1)
  putRequestId(into, requestId, r)
  if (r.requestBytes > 0) requestSize.integer(into, r.requestBytes)
}

function commonValues(values: unknown[], r: LoggedRequest): void {
  values[0] = r.method
  values[1] = r.authority
  values[2] = r.protocol
  values[3] = r.status
  values[4] = r.flag
  values[5] = r.sourceAddress
  values[6] = r.header('user-agent')
  values[7] = r.upstreamCluster
  values[8] = r.upstreamId
  values[9] = r.routeName
  values[10] = r.listenerName
  values[11] = r.tier
  values[12] = r.service
  values[13] = r.reporter
}

function hasCommonValues(values: readonly unknown[], r: LoggedRequest): boolean {
  return (
    values[0] === r.method &&
    values[1] === r.authority &&
    values[2] === r.protocol &&
    values[3] === r.status &&
    values[4] === r.flag &&
    values[5] === r.sourceAddress &&
    values[6] === r.header('user-agent') &&
    values[7] === r.upstreamCluster &&
    values[8] === r.upstreamId &&
    values[9] === r.routeName &&
    values[10] === r.listenerName &&
    values[11] === r.tier &&
    values[12] === r.service &&
    values[13] === r.reporter
  )
}

function commonFields(into: ProtoBytes, r: LoggedRequest): void {
  into.byte(nameTag)
  name(into, r)
  into.byte(kindTag)
  into.byte(kinds[r.reporter])
  method.text(into, r.method)
  host.text(into, r.authority)
  protocol.text(into, r.protocol.startsWith('HTTP/') ? r.protocol.slice(5) : r.protocol)
  if (r.status > 0) statusCode.integer(into, r.status)
  client.text(into, r.sourceAddress)
  const agent = r.header('user-agent')
  if (agent !== undefined) userAgent.text(into, agent)
  responseFlags.text(into, r.flag)
  if (r.upstreamCluster !== '-') cluster.text(into, r.upstreamCluster)
  if (r.upstreamId !== '-') address.text(into, r.upstreamId)
  if (r.routeName !== '-') route.text(into, r.routeName)
  listener.text(into, r.listenerName)
  tier.text(into, r.tier)
}

/** Few different ones: the method and the service, never a path. */
function name(into: ProtoBytes, request: LoggedRequest): void {
  const at = into.openShort()
  into.characters(knownMethods.has(request.method) ? request.method : 'HTTP', maxNameLength)
  into.byte(0x20)
  into.characters(request.service === '-' ? request.authority : request.service, maxNameLength)
  into.closeShort(at)
}

/** OpenTelemetry's semantic conventions: 4xx is the caller's error, so only the caller's span shows it. */
function isError({ code, grpcStatus: grpc, reporter, status }: LoggedRequest): boolean {
  if (grpc > 0 && (reporter === 'source' || serverErrors.has(grpc))) return true
  return code !== undefined || status >= (reporter === 'source' ? 400 : 500)
}
