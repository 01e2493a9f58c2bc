/**
 * Lines of the access log as records of OpenTelemetry (OTLP `LogRecord`). Attributes have the names of the JSON form of
 * the log.
 */
import type { LoggedRequest } from '../logged-request.ts'
import { Attribute } from './attributes.ts'
import type { Outbox } from './outbox.ts'
import type { ProtoBytes } from './proto-bytes.ts'
import { RepeatedBytes } from './repeated-bytes.ts'

const listTag = 0x12
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

const attribute = (key: string): Attribute => new Attribute(attributeTag, key)
const method = attribute('method')
const path = attribute('path')
const authority = attribute('authority')
const protocol = attribute('protocol')
const responseCode = attribute('response_code')
const responseFlags = attribute('response_flags')
const meshError = attribute('mesh_error')
const bytesReceived = attribute('bytes_received')
const bytesSent = attribute('bytes_sent')
const duration = attribute('duration')
const remote = attribute('downstream_remote_address')
const sourceApp = attribute('source_app')
const upstreamHost = attribute('upstream_host')
const upstreamCluster = attribute('upstream_cluster')
const routeName = attribute('route_name')
const listener = attribute('listener')
const attempts = attribute('upstream_request_attempt_count')
const requestId = attribute('request_id')
const tier = attribute('tier')

export class LogRecords {
  isOn = false
  private readonly outbox: Outbox
  private readonly now: () => number
  private readonly repeated = new RepeatedBytes()

  /** @param now epoch ms. */
  constructor(outbox: Outbox, now: () => number) {
    this.outbox = outbox
    this.now = now
  }

  write(r: LoggedRequest): void {
    const into = this.outbox.begin(r.localService)
    if (into === undefined) return
    into.byte(listTag)
    const record = into.openLong()
    const end = this.now() * 1e6
    into.byte(timeTag)
    into.fixed64(end - r.durationMs * 1e6)
    into.byte(observedTag)
    into.fixed64(end)
    into.byte(severityTag)
    into.byte(r.status >= 500 || r.code !== undefined ? severityError : severityInfo)
    body(into, r)
    ownAttributes(into, r)
    this.commonAttributes(into, r)
    if (r.traceId.length === traceIdLength) ids(into, traceIdTag, r.traceId)
    if (r.spanId.length === spanIdLength) ids(into, spanIdTag, r.spanId)
    into.closeLong(record)
    this.outbox.wrote()
  }

  private commonAttributes(into: ProtoBytes, r: LoggedRequest): void {
    const { values } = this.repeated
    values[0] = r.method
    values[1] = r.authority
    values[2] = r.protocol
    values[3] = r.status
    values[4] = r.flag
    values[5] = r.sourceAddress
    values[6] = r.sourceApp
    values[7] = r.upstreamId
    values[8] = r.upstreamCluster
    values[9] = r.routeName
    values[10] = r.listenerName
    values[11] = r.attempts
    values[12] = r.tier
    this.repeated.put(into, () => commonAttributes(into, r))
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
  into.characters(r.path === '-' ? r.upstreamCluster : r.path, 512)
  into.byte(0x20)
  into.characters(String(r.status), 8)
  into.closeShort(text)
  into.closeShort(whole)
}

/** What differs from request to request. */
function ownAttributes(into: ProtoBytes, r: LoggedRequest): void {
  path.text(into, r.path)
  if (r.code !== undefined) meshError.text(into, r.code)
  bytesReceived.integer(into, r.requestBytes)
  bytesSent.integer(into, r.replyBytes)
  duration.double(into, Math.round(r.durationMs * 1000) / 1000)
  const id = r.header('x-request-id')
  if (id !== undefined) requestId.text(into, id)
}

function commonAttributes(into: ProtoBytes, r: LoggedRequest): void {
  method.text(into, r.method)
  authority.text(into, r.authority)
  protocol.text(into, r.protocol)
  responseCode.integer(into, r.status)
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

/** What a caller sent as a trace id need not be one. */
function ids(into: ProtoBytes, tag: number, text: string): void {
  if (!/^[0-9a-f]+$/.test(text)) return
  into.byte(tag)
  into.hex(Buffer.from(text, 'latin1'))
}
