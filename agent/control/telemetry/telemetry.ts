/**
 * Spans and log records of this host's workers, and where they go. Follows the configuration as it changes; without a
 * collector a record that comes is dropped. A destination that cannot be read leaves the one before in use.
 */
import { isDeepStrictEqual } from 'node:util'
import { describeError } from '../../../contracts/errors.ts'
import { signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { Clock } from '../clock.ts'
import type { AgentConfig } from '../config/types.ts'
import type { Log } from '../log.ts'
import type { ControlMetrics } from '../observe.ts'
import { destinationOf } from './destination.ts'
import type { Destination } from './destination.ts'
import { Exporter, exporterGauges, lingerMs, upGauge } from './exporter.ts'
import { httpSender } from './http-sender.ts'
import { TelemetryReceiver } from './receiver.ts'
import type { ShortGroup } from './short-records.ts'
import type { CollectorView, Sender } from './sender.ts'

export interface TelemetryDeps {
  /** Of the socket that workers dial. */
  readonly path: string
  readonly version: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Pick<ControlMetrics, 'count' | 'gauge' | 'clear'>
}

/** What is on its way may take this long when control ends. */
const farewellMs = 1000
/** And what workers still say when they end at the same time. */
const lastWordsMs = 250

export class Telemetry {
  private readonly deps: TelemetryDeps
  private readonly receiver: TelemetryReceiver
  private readonly running = new Map<Signal, { readonly destination: Destination; readonly exporter: Exporter }>()
  /** Of what is configured and cannot be used; the one before may run on. */
  private readonly unusable = new Map<Signal, { readonly url: string; readonly problem: string }>()
  private config: AgentConfig | undefined
  private isBehind = false
  private isChanging = false

  constructor(deps: TelemetryDeps) {
    this.deps = deps
    this.receiver = new TelemetryReceiver(
      deps.path,
      (signal, groups) => this.running.get(signal)?.exporter.take(groups) ?? this.discard(signal, groups),
      (reason) => deps.log.warn({}, `telemetry of a worker: ${reason}; it is disconnected and dials again`),
    )
  }

  listen(): Promise<void> {
    return this.receiver.listen()
  }

  configure(config: AgentConfig): void {
    this.config = config
    this.isBehind = true
    void this.follow()
  }

  /** One change at a time: gRPC is loaded when somebody needs it. */
  private async follow(): Promise<void> {
    if (this.isChanging) return
    this.isChanging = true
    while (this.isBehind) {
      this.isBehind = false
      for (const signal of signals) await this.change(signal)
    }
    this.isChanging = false
  }

  private async change(signal: Signal): Promise<void> {
    const { tracing, accessLog } = this.config!
    const collector = { traces: tracing, logs: accessLog }[signal].collector
    try {
      const destination = collector === undefined ? undefined : destinationOf(collector)
      if (destination === undefined) {
        this.unusable.delete(signal)
        this.end(signal)
        return
      }
      const isSame = isDeepStrictEqual(destination, this.running.get(signal)?.destination)
      const sender = isSame ? undefined : await this.sender(destination)
      this.unusable.delete(signal)
      if (sender !== undefined) this.begin(signal, destination, sender)
    } catch (error) {
      const problem = describeError(error)
      const url = collector?.url ?? ''
      this.unusable.set(signal, { url, problem })
      const before = this.running.get(signal)?.destination.collector.url
      const outcome = before === undefined ? `${signal} are dropped` : `${signal} go on to ${before} as before`
      this.deps.log.error({ signal }, `${url}: ${problem}; ${outcome}`)
      this.tellAnew()
    }
  }

  /** In the place of the one before. */
  private begin(signal: Signal, destination: Destination, sender: Sender): void {
    this.end(signal)
    const { clock, log, metrics, random } = this.deps
    const exporter = new Exporter({
      signal,
      collector: destination.collector.url,
      sender,
      clock,
      log,
      metrics,
      random,
      onRoom: () => this.receiver.resume(signal),
      lingerMs,
    })
    this.running.set(signal, { destination, exporter })
  }

  /** Nobody takes them; more may come. */
  private discard(signal: Signal, groups: readonly ShortGroup[]): boolean {
    const count = groups.reduce((sum, group) => sum + group.count, 0)
    if (this.unusable.has(signal)) this.deps.metrics.count('telemetry_dropped', { signal, reason: 'unusable' }, count)
    return true
  }

  /** Of the signals that go somewhere, or should. */
  views(): CollectorView[] {
    return signals.flatMap((signal) => {
      const view = this.running.get(signal)?.exporter.view()
      const unusable = this.unusable.get(signal)
      if (unusable === undefined) return view ?? []
      const { problem, url } = unusable
      if (view === undefined) return { signal, url, isUp: false, problem, queuedBytes: 0 }
      const ofBefore = view.problem === undefined ? '' : `: ${view.problem}`
      return { ...view, problem: `${problem}; the one before stays in use${ofBefore}` }
    })
  }

  private end(signal: Signal): void {
    const running = this.running.get(signal)
    this.running.delete(signal)
    this.receiver.resume(signal)
    void (running?.exporter.close(farewellMs) ?? Promise.resolve()).then(() => this.tellAnew())
  }

  /** Nothing is said any more of a collector that is none. */
  private tellAnew(): void {
    const { metrics } = this.deps
    for (const gauge of exporterGauges) metrics.clear(gauge)
    for (const signal of this.unusable.keys()) metrics.gauge(upGauge, { signal }, 0)
    for (const { exporter } of this.running.values()) exporter.tell()
  }

  private async sender({ collector, fields, tls }: Destination): Promise<Sender> {
    const { host } = this.config!
    const facts = { host: host.name, zone: host.zone, version: this.deps.version }
    const { protocol } = collector
    const options = { url: new URL(collector.url), fields, tls, timeoutMs: collector.timeout, facts }
    if (protocol !== 'otlp-grpc') return httpSender({ ...options, protocol })
    const { grpcSender } = await import('./grpc-sender.ts')
    return grpcSender(options)
  }

  async close(): Promise<void> {
    await this.receiver.close(lastWordsMs)
    await Promise.all([...this.running.values()].map(({ exporter }) => exporter.close(farewellMs)))
    this.running.clear()
  }
}
