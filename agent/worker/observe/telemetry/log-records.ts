/**
 * Lines of the access log as records of OpenTelemetry (OTLP `LogRecord`). Attributes have the names of the JSON form of
 * the log.
 */
import type { LoggedRequest, TraceIds } from '../logged-request.ts'
import { Attribute, putTarget } from './attributes.ts'
import { FixedFields } from './fixed-fields.ts'
import type { ProtoBytes } from './proto-bytes.ts'
import { putRequestId, Records } from './records.ts'
import { RepeatedBytes } from './repeated-bytes.ts'

const timeTag = 0x09
const severityTag = 0x10
const bodyTag = 0x2a
const textTag = 0x0a
const attributeTag = 0x32
const traceIdTag = 0x4a
const spanIdTag = 0x52
const observedTag = 0x59
const severityInfo = 9
const severityError = 17
const traceIdLength = 32
const spanIdLength = 16

const fixed = new FixedFields()
const timeAt = fixed.fixed64(timeTag)
const observedAt = fixed.fixed64(observedTag)
const severityAt = fixed.small(severityTag)
const statusAt = fixed.integer(attributeTag, 'response_code')
const receivedAt = fixed.integer(attributeTag, 'bytes_received')
const sentAt = fixed.integer(attributeTag, 'bytes_sent')
const durationAt = fixed.double(attributeTag, 'duration')

const attribute = (key: string): Attribute => new Attribute(attributeTag, key)
const method = attribute('method')
const path = attribute('path')
const authority = attribute('authority')
const protocol = attribute('protocol')
const responseFlags = attribute('response_flags')
const meshError = attribute('mesh_error')
const details = attribute('response_code_details')
const authorization = attribute('authorization')
const remote = attribute('downstream_remote_address')
const sourceApp = attribute('source_app')
const upstreamHost = attribute('upstream_host')
const upstreamCluster = attribute('upstream_cluster')
const routeName = attribute('route_name')
const listener = attribute('listener')
const attempts = attribute('upstream_request_attempt_count')
const requestId = attribute('request_id')
const tier = attribute('tier')

export class LogRecords extends Records {
  private readonly repeated = new RepeatedBytes(commonValues, commonFields)

  write(r: LoggedRequest): void {
    const into = this.open(r.localService)
    if (into === undefined) return
    const at = into.length
    this.repeated.put(into, r.upstreamId, r)
    const end = this.nowNs
    const { durationMs } = r
    into.setFixed64(at + timeAt, end - durationMs * 1e6)
    into.setFixed64(at + observedAt, end)
    into.setByte(at + severityAt, r.status >= 500 || r.code !== undefined ? severityError : severityInfo)
    into.setVarint(at + statusAt, r.status)
    into.setVarint(at + receivedAt, r.requestBytes)
    into.setVarint(at + sentAt, r.replyBytes)
    into.setDouble(at + durationAt, Math.round(durationMs * 1000) / 1000)
    body(into, r)
    ownAttributes(into, r)
    if (r.ids?.isThere === true) ownIds(into, r.ids)
    else {
      textId(into, traceIdTag, r.traceId, traceIdLength)
      textId(into, spanIdTag, r.spanId, spanIdLength)
    }
    this.close(into)
  }
}

/** What a person sees in a list: `GET /v1/items 200`. */
function body(into: ProtoBytes, r: LoggedRequest): void {
  into.byte(bodyTag)
  const whole = into.openShort()
  into.byte(textTag)
  const text = into.openShort()
  into.characters(r.method === '-' ? r.protocol : r.method, 32)
  into.byte(0x20)
  if (r.barePath === '-') into.characters(r.upstreamCluster, 512)
  else putTarget(into, r.barePath, r.query, 512)
  into.byte(0x20)
  into.characters(String(r.status), 8)
  into.closeShort(text)
  into.closeShort(whole)
}

/** What differs from request to request. */
function ownAttributes(into: ProtoBytes, r: LoggedRequest): void {
  path.target(into, r.barePath, r.query)
  if (r.code !== undefined) meshError.text(into, r.code)
  if (r.details !== '') details.text(into, r.details)
  if (r.notes !== '') authorization.text(into, r.notes)
  putRequestId(into, requestId, r)
}

function commonValues(values: unknown[], r: LoggedRequest): void {
  values[0] = r.method
  values[1] = r.authority
  values[2] = r.protocol
  values[3] = r.flag
  values[4] = r.sourceAddress
  values[5] = r.sourceApp
  values[6] = r.upstreamId
  values[7] = r.upstreamCluster
  values[8] = r.routeName
  values[9] = r.listenerName
  values[10] = r.attempts
  values[11] = r.tier
}

function commonFields(into: ProtoBytes, r: LoggedRequest): void {
  fixed.put(into)
  method.text(into, r.method)
  authority.text(into, r.authority)
  protocol.text(into, r.protocol)
  responseFlags.text(into, r.flag)
  remote.text(into, r.sourceAddress)
  sourceApp.text(into, r.sourceApp)
  upstreamHost.text(into, r.upstreamId)
  upstreamCluster.text(into, r.upstreamCluster)
  routeName.text(into, r.routeName)
  listener.text(into, r.listenerName)
  attempts.integer(into, r.attempts)
  tier.text(into, r.tier)
}

function ownIds(into: ProtoBytes, { isRecorded, spanId, traceId }: TraceIds): void {
  into.byte(traceIdTag)
  into.hex(traceId)
  if (!isRecorded) return
  into.byte(spanIdTag)
  into.hex(spanId)
}

/** What a caller sent as an id need not be one. */
function textId(into: ProtoBytes, tag: number, text: string, length: number): void {
  if (text.length !== length || !/^[0-9a-f]+$/.test(text)) return
  into.byte(tag)
  into.hex(Buffer.from(text, 'latin1'))
}
