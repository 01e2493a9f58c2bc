import type { StatSeries } from '../../../contracts/control-link.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import type { EndpointPool } from '../connect/endpoint-pool.ts'
import { byteBounds, durationBounds } from './histogram-bounds.ts'
import { histogramSeries } from './histogram-series.ts'
import { httpLabelNames, peerLabels } from './istio-labels.ts'
import { SeriesTable } from './series-table.ts'

/** What is read of a finished exchange. */
export interface CountedExchange {
  readonly status: number
  readonly flag: string
  readonly startedAt: number
  readonly replyBytes: number
  readonly source: SourceAppSpec | undefined
  readonly endpoint: EndpointState | null
  readonly reporter: 'source' | 'destination'
  readonly requestBytes: number
  readonly service: string | undefined
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

/** Rows of one caller, destination and version by status and flag. The last one is at hand without a look-up. */
class Scope {
  readonly source: SourceAppSpec | undefined
  readonly reporter: string
  status = -1
  flag = ''
  isGrpc = false
  grpcStatus = -1
  offset = 0
  readonly offsets = new Map<string, number>()

  constructor(source: SourceAppSpec | undefined, reporter: string) {
    this.source = source
    this.reporter = reporter
  }
}

/**
 * Istio's standard HTTP metrics. Counting a request is some additions into a typed array; labels are made once per
 * combination.
 */
export class RequestMetrics {
  private readonly table = new SeriesTable(stride, httpLabelNames.length)
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
    const { flag, status } = exchange
    const { isOn: isGrpc, status: grpcStatus } = exchange.call
    const isSame = scope.status === status && scope.grpcStatus === grpcStatus && scope.isGrpc === isGrpc
    if (isSame && scope.flag === flag) return scope.offset
    const key = isGrpc ? `${status} ${flag} ${grpcStatus}` : `${status} ${flag}`
    let offset = scope.offsets.get(key)
    if (offset === undefined) {
      const labels = peerLabels({
        reporter: exchange.reporter,
        source: exchange.source,
        service: exchange.service,
        version: exchange.endpoint?.endpoint.version ?? '',
        protocol: isGrpc ? 'grpc' : 'http',
      })
      labels.push(String(status), grpcStatus < 0 ? '' : String(grpcStatus), flag)
      offset = this.table.offsetOf(labels)
      scope.offsets.set(key, offset)
    }
    scope.status = status
    scope.flag = flag
    scope.isGrpc = isGrpc
    scope.grpcStatus = grpcStatus
    scope.offset = offset
    return offset
  }

  private scopeOf(exchange: CountedExchange): Scope {
    const { reporter, source } = exchange
    const pool = exchange.endpoint?.pool as EndpointPool | null | undefined
    if (pool) {
      const known = pool.scope as Scope | null
      if (known !== null && known.source === source && known.reporter === reporter) return known
      const scope = new Scope(source, reporter)
      pool.scope = scope
      return scope
    }
    const key = `${exchange.service ?? ''}\n${source?.app ?? ''}\n${reporter}\n${exchange.endpoint?.endpoint.version ?? ''}`
    let scope = this.homeless.get(key)
    if (scope === undefined) {
      if (this.homeless.size >= 1024) this.homeless.clear()
      scope = new Scope(source, reporter)
      this.homeless.set(key, scope)
    }
    return scope
  }

  series(): StatSeries[] {
    const { table } = this
    return [
      {
        name: 'istio_requests_total',
        kind: 'counter',
        help: 'Requests',
        labelNames: httpLabelNames,
        samples: table.samples(requests),
      },
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

  get overflows(): number {
    return this.table.overflows
  }

  reset(): void {
    this.table.clear()
  }

  exportState(): unknown {
    return this.table.exportState()
  }

  importState(state: unknown): void {
    this.table.importState(state)
  }
}
