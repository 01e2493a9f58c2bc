/**
 * Who is told of single requests and connections, and how that leaves this process: the access log, spans, log records,
 * and operators who look on.
 */
import type { MeshSpec } from '../../contracts/snapshot.ts'
import type { Signal } from '../../contracts/telemetry.ts'
import { RequestReports } from './forward/request-reports.ts'
import type { ReportDeps } from './forward/request-reports.ts'
import { AccessLog } from './observe/access-log.ts'
import type { Tallies } from './observe/tallies.ts'
import { Taps } from './observe/taps.ts'
import { fineWallClock } from './observe/telemetry/fine-wall-clock.ts'
import { LogRecords } from './observe/telemetry/log-records.ts'
import { Outbox } from './observe/telemetry/outbox.ts'
import { SpanRecords } from './observe/telemetry/span-records.ts'
import type { WorkerOptions } from './worker-options.ts'

export interface ReportingDeps extends Pick<ReportDeps, 'clock' | 'mesh' | 'random'> {
  readonly tallies: Tallies
  readonly send: WorkerOptions['sendTelemetry']
  readonly warn: (message: string) => void
}

export class Reporting {
  readonly accessLog: AccessLog
  readonly requests: RequestReports
  readonly taps: Taps
  private readonly spans: Outbox
  private readonly records: Outbox

  constructor({ clock, mesh, random, tallies, send, warn }: ReportingDeps) {
    const outbox = (signal: Signal, onDropped: (count: number) => void): Outbox =>
      new Outbox({ signal, send: (bytes, done) => send?.(signal, bytes, done) ?? false, onDropped })
    this.spans = outbox('traces', (count) => (tallies.droppedSpans += count))
    this.records = outbox('logs', (count) => (tallies.droppedLogRecords += count))
    const wallTime = fineWallClock(Date.now, () => performance.now())
    const now = (): number => wallTime(clock.now)
    const records = new LogRecords(this.records, now)
    const spans = new SpanRecords(this.spans, now)
    this.accessLog = new AccessLog({ random, wallClock: Date.now, tallies, records, warn })
    this.taps = new Taps({ now: () => clock.refresh(), wallClock: Date.now, tallies })
    const { accessLog, taps } = this
    this.requests = new RequestReports({ clock, mesh, random, tallies, accessLog, spans, taps })
  }

  configure({ accessLog, tracing }: MeshSpec, host: string): void {
    this.accessLog.configure(accessLog, host)
    this.requests.configure(tracing)
    if (tracing.isExported !== true) this.spans.close()
    if (accessLog.isExported !== true) this.records.close()
  }

  /** After a rotation of the access log. */
  reopen(): void {
    this.accessLog.reopen()
  }

  /** Sends what waits, and takes nothing more but lines of the log. */
  close(): void {
    for (const one of [this.accessLog, this.spans, this.records]) {
      one.flush()
      one.close()
    }
  }
}
