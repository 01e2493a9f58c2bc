import type { StatSeries } from '../../../contracts/control-link.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import type { EndpointPool } from '../connect/endpoint-pool.ts'
import { byteBounds, durationBounds } from './histogram-bounds.ts'
import { counterSeries, histogramSeries } from './table-series.ts'
import { httpLabelNames, pathOf, peerLabelNames, peerLabels } from './istio-labels.ts'
import { SeriesTable } from './series-table.ts'

/** What is read of a finished exchange. */
export interface CountedExchange {
  readonly status: number
  readonly flag: string
  readonly startedAt: number
  readonly replyBytes: number
  readonly source: SourceAppSpec | undefined
  /** What its certificate says; '' = it showed none. */
  readonly callerId: string
  readonly endpoint: EndpointState | null
  readonly reporter: 'source' | 'destination'
  readonly requestBytes: number
  readonly service: string | undefined
  /** The private RPC that the request is said in; null = HTTP. */
  readonly speaks: RpcProtocol | null
  /** gRPC: its status, -1 where nobody said one. */
  readonly call: { readonly isOn: boolean; readonly status: number }
}

const requests = 0
const durationSum = 1
const requestSum = 2
const replySum = 3
const durationAt = 4
const requestAt = durationAt + durationBounds.size
const replyAt = requestAt + byteBounds.size
const stride = replyAt + byteBounds.size

/** The last labels say what came of a request. */
const outcomeLabels = httpLabelNames.length - peerLabelNames.length

export interface RequestOutcomes {
  /** As `pathOf` says it. */
  readonly path: string
  readonly code: number
  readonly grpcStatus: string
  readonly flags: string
  readonly count: number
  readonly buckets: Float64Array
}

/** Callers of one endpoint that are told apart without a look-up; beyond it all are looked up anew. */
const maxScopes = 16

/** Rows of one caller, destination and version by status and flag. The last one is at hand without a look-up. */
class Scope {
  readonly source: SourceAppSpec | undefined
  readonly reporter: string
  readonly callerId: string
  /** Of another caller of the same endpoint. */
  readonly next: Scope | null
  /** With those behind it. */
  readonly count: number
  status = -1
  flag = ''
  isGrpc = false
  speaks: string | null = null
  grpcStatus = -1
  offset = 0
  readonly offsets = new Map<string, number>()

  constructor({ callerId, reporter, source }: CountedExchange, next: Scope | null) {
    this.source = source
    this.reporter = reporter
    this.callerId = callerId
    this.next = next
    this.count = next === null ? 1 : next.count + 1
  }
}

/**
 * Istio's standard HTTP metrics. Counting a request is some additions into a typed array; labels are made once per
 * combination.
 */
export class RequestMetrics {
  readonly table: SeriesTable = new SeriesTable(stride, httpLabelNames.length, { kept: outcomeLabels })
  private readonly now: () => number
  /** Scopes of requests that reached no endpoint, by service. */
  private readonly homeless = new Map<string, Scope>()

  constructor(now: () => number) {
    this.now = now
  }

  count(exchange: CountedExchange): void {
    const offset = this.offsetOf(exchange)
    const { values } = this.table
    const ms = this.now() - exchange.startedAt
    const { replyBytes, requestBytes } = exchange
    values[offset + requests]!++
    values[offset + durationSum]! += ms
    values[offset + requestSum]! += requestBytes
    values[offset + replySum]! += replyBytes
    values[offset + durationAt + durationBounds.bucketOf(ms)]!++
    values[offset + requestAt + byteBounds.bucketOf(requestBytes)]!++
    values[offset + replyAt + byteBounds.bucketOf(replyBytes)]!++
  }

  private offsetOf(exchange: CountedExchange): number {
    const scope = this.scopeOf(exchange)
    const { flag, speaks, status } = exchange
    const { isOn: isGrpc, status: grpcStatus } = exchange.call
    const isSame = scope.status === status && scope.grpcStatus === grpcStatus && scope.isGrpc === isGrpc
    if (isSame && scope.flag === flag && scope.speaks === speaks) return scope.offset
    const key = `${status} ${flag} ${isGrpc ? grpcStatus : (speaks ?? '')}`
    let offset = scope.offsets.get(key)
    if (offset === undefined) {
      const labels = peerLabels({
        reporter: exchange.reporter,
        source: exchange.source,
        callerId: exchange.callerId,
        serverId: exchange.endpoint?.serverId ?? '',
        service: exchange.service,
        version: exchange.endpoint?.endpoint.version ?? '',
        protocol: isGrpc ? 'grpc' : (speaks ?? 'http'),
      })
      labels.push(String(status), grpcStatus < 0 ? '' : String(grpcStatus), flag)
      offset = this.table.offsetOf(labels)
      scope.offsets.set(key, offset)
    }
    scope.status = status
    scope.flag = flag
    scope.isGrpc = isGrpc
    scope.speaks = speaks
    scope.grpcStatus = grpcStatus
    scope.offset = offset
    return offset
  }

  private scopeOf(exchange: CountedExchange): Scope {
    const { callerId, reporter, source } = exchange
    const pool = exchange.endpoint?.pool as EndpointPool | null | undefined
    if (pool) {
      const first = pool.scope as Scope | null
      for (let one = first; one !== null; one = one.next)
        if (one.source === source && one.reporter === reporter && one.callerId === callerId) return one
      const scope = new Scope(exchange, first === null || first.count >= maxScopes ? null : first)
      pool.scope = scope
      return scope
    }
    const key = `${exchange.service ?? ''}\n${source?.app ?? ''}\n${callerId}\n${reporter}\n${exchange.endpoint?.endpoint.version ?? ''}\n${exchange.endpoint?.serverId ?? ''}`
    let scope = this.homeless.get(key)
    if (scope === undefined) {
      if (this.homeless.size >= 1024) this.homeless.clear()
      scope = new Scope(exchange, null)
      this.homeless.set(key, scope)
    }
    return scope
  }

  /** By status and flag; `code` 0: no whole reply; `buckets` are those of `durationBounds`. */
  *outcomes(): Generator<RequestOutcomes> {
    const { values } = this.table
    for (const { labels, offset } of this.table.entries()) {
      const [code = '', grpcStatus = '', flags = ''] = labels.slice(-outcomeLabels)
      const buckets = values.subarray(offset + durationAt, offset + requestAt)
      yield { path: pathOf(labels), code: Number(code), grpcStatus, flags, count: values[offset + requests]!, buckets }
    }
  }

  series(): StatSeries[] {
    const { table } = this
    return [
      counterSeries('istio_requests_total', 'Requests', httpLabelNames, table, requests),
      histogramSeries(
        'istio_request_duration_milliseconds',
        'Duration of requests',
        httpLabelNames,
        table,
        durationSum,
        durationAt,
        durationBounds,
      ),
      histogramSeries(
        'istio_request_bytes',
        'Size of requests',
        httpLabelNames,
        table,
        requestSum,
        requestAt,
        byteBounds,
      ),
      histogramSeries(
        'istio_response_bytes',
        'Size of responses',
        httpLabelNames,
        table,
        replySum,
        replyAt,
        byteBounds,
      ),
    ]
  }
}
