import type { TracingSpec } from '../../../contracts/snapshot.ts'
import type { AccessLog } from '../observe/access-log.ts'
import type { SpanRecords } from '../observe/telemetry/span-records.ts'
import type { Taps } from '../observe/taps.ts'
import type { Tallies } from '../observe/tallies.ts'
import { FinishedRequest } from './finished-request.ts'
import type { LoggedExchange } from './finished-request.ts'
import type { LogDeps } from './logged-connection.ts'
import { isFromNetwork } from './outgoing-request.ts'
import { decideTrace } from './trace-decision.ts'

export interface ReportDeps extends LogDeps {
  readonly random: () => number
  readonly tallies: Pick<Tallies, 'recordedSpans'>
  readonly accessLog: Pick<AccessLog, 'isOn' | 'replyFields' | 'wants' | 'write'>
  readonly spans: Pick<SpanRecords, 'isOn' | 'write'>
  readonly taps: Pick<Taps, 'isOn' | 'wants' | 'offer'>
}

/**
 * Who is told of single requests when they are over: access log, spans, and operators who look on. Off: some booleans
 * are read per request.
 */
export class RequestReports {
  private readonly deps: ReportDeps
  private readonly request: FinishedRequest
  private tracing: TracingSpec = { createMissing: false, sampledShare: 0 }

  constructor(deps: ReportDeps) {
    this.deps = deps
    this.request = new FinishedRequest(deps)
  }

  configure(tracing: TracingSpec): void {
    this.tracing = tracing
    this.deps.spans.isOn = tracing.isExported === true
  }

  get isOn(): boolean {
    const { accessLog, spans, taps } = this.deps
    return accessLog.isOn || spans.isOn || taps.isOn
  }

  /** Fields of replies that are to be kept; empty for most formats of the log. */
  get replyFields(): readonly string[] {
    return this.deps.accessLog.replyFields
  }

  finished(exchange: LoggedExchange): void {
    const { accessLog, clock, spans, tallies, taps } = this.deps
    const isLogged = accessLog.isOn && accessLog.wants(exchange.reply)
    const isSpan = spans.isOn && this.isRecorded(exchange)
    const isTapped = taps.isOn && taps.wants(exchange.reply, exchange.service, clock.now - exchange.startedAt)
    if (!isLogged && !isSpan && !isTapped) return
    const request = this.request.of(exchange)
    if (isLogged) accessLog.write(request)
    if (isTapped) taps.offer(request)
    if (!isSpan) return
    tallies.recordedSpans++
    spans.write(request, exchange.outgoing.trace)
  }

  /** What was answered without an endpoint has a span like everything else. */
  private isRecorded(exchange: LoggedExchange): boolean {
    const { trace } = exchange.outgoing
    if (!trace.isDecided && exchange.hasRequest)
      decideTrace(trace, exchange.request, this.tracing, isFromNetwork(exchange.stream), this.deps.random)
    return trace.isRecorded
  }
}
