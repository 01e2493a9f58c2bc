/**
 * Lines of the access log as records of OpenTelemetry (OTLP `LogRecord`). Attributes have the names of the JSON form of
 * the log.
 */
import type { LoggedRequest } from '../logged-request.ts'
import { Attribute, putTarget } from './attributes.ts'
import { FixedFields } from './fixed-fields.ts'
import { ProtoBytes } from './proto-bytes.ts'
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
/** As hex. */
const traceIdLength = 32
const spanIdLength = 16
/** Tag and length. */
const idHeadBytes = 2
/** Text of a UUID. */
const givenIdLength = 36
/** Characters of the path and its query in the body. */
const maxBodyTarget = 512

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
  private readonly repeated = new RepeatedBytes(commonValues, hasCommonValues, commonFields)

  write(r: LoggedRequest): void {
    const into = this.open(r.localService)
    if (into === undefined) return
    this.share(into, this.repeated, r.upstreamId, r)
    const at = into.length
    const beginning = beginnings[idsOf(r)]!
    into.put(beginning)
    const { code, durationMs, status } = r
    const end = this.nowNs
    into.setFixed64(at + timeAt, end - durationMs * 1e6)
    into.setFixed64(at + observedAt, end)
    into.setByte(at + severityAt, status >= 500 || code !== undefined ? severityError : severityInfo)
    into.setVarint(at + statusAt, status)
    into.setVarint(at + receivedAt, r.requestBytes)
    into.setVarint(at + sentAt, r.replyBytes)
    into.setDouble(at + durationAt, Math.round(durationMs * 1000) / 1000)
    setIds(into, at + fixed.length, r)
    targetAndBody(into, r, status)
    if (code !== undefined) meshError.text(into, code)
    if (r.details !== '') details.text(into, r.details)
    if (r.notes !== '') authorization.text(into, r.notes)
    if (r.givenId?.length !== givenIdLength) putRequestId(into, requestId, r)
    if (r.ids?.isThere !== true) {
      textId(into, traceIdTag, r.traceId, traceIdLength)
      textId(into, spanIdTag, r.spanId, spanIdLength)
    }
    this.close(into)
  }
}

/** The path, and what a person sees in a list: `GET /v1/items 200`. */
function targetAndBody(into: ProtoBytes, r: LoggedRequest, status: number): void {
  const from = path.target(into, r)
  const to = into.length
  into.byte(bodyTag)
  const whole = into.openShort()
  into.byte(textTag)
  const text = into.openShort()
  const { method } = r
  into.characters(method === '-' ? r.protocol : method, 32)
  into.byte(0x20)
  // neither a path nor so many bytes that they may be too many characters
  if (to - from === 1 && r.barePath === '-') into.characters(r.upstreamCluster, maxBodyTarget)
  else if (to - from <= maxBodyTarget) into.again(from, to)
  else putTarget(into, r, maxBodyTarget)
  into.byte(0x20)
  into.decimal(status)
  into.closeShort(text)
  into.closeShort(whole)
}

/** Bits: which ids of ours it has. They stand behind the fixed fields, in this order, and are always as long. */
const idBits = { trace: 1, span: 2, request: 4 } as const

function idsOf({ givenId, ids }: LoggedRequest): number {
  const ofTrace = ids?.isThere !== true ? 0 : ids.isRecorded ? idBits.trace | idBits.span : idBits.trace
  return givenId?.length === givenIdLength ? ofTrace | idBits.request : ofTrace
}

/** By those bits: the fixed fields, and room for the ids. */
const beginnings: readonly Buffer[] = Array.from({ length: 8 }, (_, bits) => {
  const into = new ProtoBytes(512)
  into.put(fixed.encoded())
  if ((bits & idBits.trace) !== 0) into.field(traceIdTag, traceIdLength / 2)
  if ((bits & idBits.span) !== 0) into.field(spanIdTag, spanIdLength / 2)
  if ((bits & idBits.request) !== 0) requestId.room(into, givenIdLength)
  return Buffer.from(into.bytes.subarray(0, into.length))
})

function setIds(into: ProtoBytes, at: number, { givenId, ids }: LoggedRequest): void {
  if (ids?.isThere === true) {
    into.setHex(at + idHeadBytes, ids.traceId)
    at += idHeadBytes + traceIdLength / 2
    if (ids.isRecorded) {
      into.setHex(at + idHeadBytes, ids.spanId)
      at += idHeadBytes + spanIdLength / 2
    }
  }
  if (givenId?.length === givenIdLength) into.setBytes(at + requestId.headBytes, givenId)
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

function hasCommonValues(values: readonly unknown[], r: LoggedRequest): boolean {
  return (
    values[0] === r.method &&
    values[1] === r.authority &&
    values[2] === r.protocol &&
    values[3] === r.flag &&
    values[4] === r.sourceAddress &&
    values[5] === r.sourceApp &&
    values[6] === r.upstreamId &&
    values[7] === r.upstreamCluster &&
    values[8] === r.routeName &&
    values[9] === r.listenerName &&
    values[10] === r.attempts &&
    values[11] === r.tier
  )
}

function commonFields(into: ProtoBytes, r: LoggedRequest): void {
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

/** What a caller sent as an id need not be one. */
function textId(into: ProtoBytes, tag: number, text: string, length: number): void {
  if (text.length !== length || !/^[0-9a-f]+$/.test(text)) return
  const at = into.field(tag, length / 2)
  into.setHex(at, Buffer.from(text, 'latin1'))
}
