import type { StatSeries } from '../../../contracts/control-link.ts'
import type { EndpointState } from '../balance/types.ts'
import { provedCaller } from '../listen/accepted.ts'
import type { Accepted } from '../listen/accepted.ts'
import { durationBounds } from './histogram-bounds.ts'
import { counterSeries, histogramSeries } from './table-series.ts'
import { pathOf, peerLabels, tcpLabelNames } from './istio-labels.ts'
import { SeriesTable } from './series-table.ts'

/** What is read of a TCP connection that opened or ended. */
export interface CountedPair {
  readonly accepted: Accepted
  readonly bytesUp: number
  readonly bytesDown: number
  readonly startedAt: number
  readonly state: EndpointState | null
  readonly service: string | undefined
}

const opened = 0
const closed = 1
const sentBytes = 2
const receivedBytes = 3
const durationSum = 4
const durationAt = 5
const stride = durationAt + durationBounds.size

/**
 * Istio's standard TCP metrics, with the duration of connections beside them. Rows are looked up twice per connection,
 * never per byte.
 */
export class TcpMetrics {
  readonly table: SeriesTable = new SeriesTable(stride, tcpLabelNames.length, { maxRows: 1024, kept: 1 })
  private readonly now: () => number
  webSockets = 0
  webSocketBytesUp = 0
  webSocketBytesDown = 0

  constructor(now: () => number) {
    this.now = now
  }

  opened(pair: CountedPair): void {
    const offset = this.offsetOf(pair, '-')
    this.table.values[offset + opened]!++
  }

  /** `flag`: Envoy's response flag. Failed dials are opened and closed at once. */
  ended(pair: CountedPair, flag: string): void {
    const offset = this.offsetOf(pair, flag)
    const { values } = this.table
    const ms = this.now() - pair.startedAt
    values[offset + closed]!++
    // Istio: sent = towards the caller, received = from the caller.
    values[offset + sentBytes]! += pair.bytesDown
    values[offset + receivedBytes]! += pair.bytesUp
    values[offset + durationSum]! += ms
    values[offset + durationAt + durationBounds.bucketOf(ms)]!++
  }

  webSocketEnded(pair: CountedPair): void {
    this.webSockets++
    this.webSocketBytesUp += pair.bytesUp
    this.webSocketBytesDown += pair.bytesDown
  }

  private offsetOf(pair: CountedPair, flag: string): number {
    const labels = peerLabels({
      reporter: pair.accepted.listener.reporter,
      source: pair.accepted.source,
      callerId: provedCaller(pair.accepted),
      serverId: pair.state?.serverId ?? '',
      service: pair.service,
      version: pair.state?.endpoint.version ?? '',
      protocol: 'tcp',
    })
    labels.push(flag)
    return this.table.offsetOf(labels)
  }

  /** Connections that ended, by flag. */
  *outcomes(): Generator<{ readonly path: string; readonly flags: string; readonly count: number }> {
    for (const { labels, offset } of this.table.entries())
      yield { path: pathOf(labels), flags: labels.at(-1)!, count: this.table.values[offset + closed]! }
  }

  series(): StatSeries[] {
    const { table } = this
    const counter = (name: string, help: string, at: number): StatSeries =>
      counterSeries(name, help, tcpLabelNames, table, at)
    return [
      counter('istio_tcp_connections_opened_total', 'TCP connections opened', opened),
      counter('istio_tcp_connections_closed_total', 'TCP connections closed', closed),
      counter('istio_tcp_sent_bytes_total', 'Bytes sent to callers', sentBytes),
      counter('istio_tcp_received_bytes_total', 'Bytes received from callers', receivedBytes),
      histogramSeries(
        'hostmesh_tcp_connection_duration_milliseconds',
        'Duration of TCP connections',
        tcpLabelNames,
        table,
        durationSum,
        durationAt,
        durationBounds,
      ),
    ]
  }
}
