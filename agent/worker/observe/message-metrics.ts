import type { StatSeries } from '../../../contracts/control-link.ts'
import type { Endpoint } from '../../../contracts/endpoint.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import type { EndpointState } from '../balance/types.ts'
import { peerLabelNames, peerLabels } from './istio-labels.ts'
import { SeriesTable } from './series-table.ts'
import { counterSeries } from './table-series.ts'

/** What is read of a call, again and again while it runs. */
export interface CountedCall {
  readonly source: SourceAppSpec | undefined
  /** What its certificate says; '' = it showed none. */
  readonly callerId: string
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

interface KnownRow extends Pick<CountedCall, 'source' | 'callerId' | 'reporter' | 'service'> {
  readonly row: number
}

const sent = 0
const received = 1
const stride = 2

/**
 * Istio's metrics of the messages of gRPC, counted while a call runs, so that one of hours is seen. A row is looked up
 * once per call.
 */
export class MessageMetrics {
  readonly table: SeriesTable = new SeriesTable(stride, peerLabelNames.length, { maxRows: 1024 })
  /** The row of the last call to each endpoint: mostly that of the next one, too. */
  private readonly rows = new WeakMap<Endpoint, KnownRow>()

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

  private rowOf(call: CountedCall): number {
    const { callerId, endpoint, reporter, service, source } = call
    if (endpoint === null) return this.offsetOf(call)
    const record = endpoint.endpoint
    const known = this.rows.get(record)
    if (known?.source === source && known?.callerId === callerId && known?.reporter === reporter)
      if (known.service === service) return known.row
    const row = this.offsetOf(call)
    if (row > 0) this.rows.set(record, { source, callerId, reporter, service, row })
    return row
  }

  private offsetOf({ callerId, endpoint, reporter, service, source }: CountedCall): number {
    const version = endpoint?.endpoint.version ?? ''
    const serverId = endpoint?.serverId ?? ''
    return this.table.offsetOf(peerLabels({ reporter, source, callerId, serverId, service, version, protocol: 'grpc' }))
  }

  series(): StatSeries[] {
    const { table } = this
    return [
      counterSeries('istio_request_messages_total', 'gRPC messages of callers', peerLabelNames, table, sent),
      counterSeries('istio_response_messages_total', 'gRPC messages to callers', peerLabelNames, table, received),
    ]
  }
}
