import type { StatSeries } from '../../../contracts/control-link.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import { peerLabelNames, peerLabels } from './istio-labels.ts'
import { SeriesTable } from './series-table.ts'

/** What is read of a call, again and again while it runs. */
export interface CountedCall {
  readonly source: SourceAppSpec | undefined
  readonly endpoint: EndpointState | null
  readonly reporter: 'source' | 'destination'
  readonly service: string | undefined
  readonly call: {
    /** -1 = not looked up. */
    row: number
    countedSent: number
    countedReceived: number
    readonly sent: { readonly count: number }
    readonly received: { readonly count: number }
  }
}

const sent = 0
const received = 1
const stride = 2

/**
 * Istio's metrics of the messages of gRPC, counted while a call runs, so that one of hours is seen. A row is looked up
 * once per call.
 */
export class MessageMetrics {
  private readonly table = new SeriesTable(stride, peerLabelNames.length, 1024)

  /** Adds what came since the last time. */
  count(counted: CountedCall): void {
    const { call } = counted
    const newSent = call.sent.count - call.countedSent
    const newReceived = call.received.count - call.countedReceived
    if (newSent === 0 && newReceived === 0) return
    if (call.row < 0) call.row = this.rowOf(counted)
    const { values } = this.table
    values[call.row + sent]! += newSent
    values[call.row + received]! += newReceived
    call.countedSent += newSent
    call.countedReceived += newReceived
  }

  private rowOf({ endpoint, reporter, service, source }: CountedCall): number {
    const version = endpoint?.endpoint.version ?? ''
    return this.table.offsetOf(peerLabels({ reporter, source, service, version, protocol: 'grpc' }))
  }

  series(): StatSeries[] {
    const { table } = this
    const labelNames = peerLabelNames
    return [
      {
        name: 'istio_request_messages_total',
        kind: 'counter',
        help: 'gRPC messages of callers',
        labelNames,
        samples: table.samples(sent),
      },
      {
        name: 'istio_response_messages_total',
        kind: 'counter',
        help: 'gRPC messages to callers',
        labelNames,
        samples: table.samples(received),
      },
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
