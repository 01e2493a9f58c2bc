/**
 * Spans and log records of this host's workers, and where they go. Follows the configuration as it changes; without a
 * collector a record that comes is dropped.
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
import { Exporter, exporterGauges, lingerMs } from './exporter.ts'
import { httpSender } from './http-sender.ts'
import { TelemetryReceiver } from './receiver.ts'
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
  /** Of what cannot be used at all. */
  private readonly broken = new Map<Signal, CollectorView>()
  private config: AgentConfig | undefined
  private isBehind = false
  private isChanging = false

  constructor(deps: TelemetryDeps) {
    this.deps = deps
    this.receiver = new TelemetryReceiver(
      deps.path,
      (signal, groups) => this.running.get(signal)?.exporter.take(groups) ?? true,
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
      this.broken.delete(signal)
      if (isDeepStrictEqual(destination, this.running.get(signal)?.destination)) return
      this.end(signal)
      if (destination === undefined) return
      const sender = await this.sender(destination)
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
    } catch (error) {
      this.end(signal)
      const problem = describeError(error)
      const url = collector?.url ?? ''
      this.broken.set(signal, { signal, url, isUp: false, problem, queuedBytes: 0 })
      this.deps.log.error({ signal }, `${url}: ${problem}; ${signal} are dropped`)
    }
  }

  /** Of the signals that go somewhere. */
  views(): CollectorView[] {
    return signals.flatMap((signal) => this.broken.get(signal) ?? this.running.get(signal)?.exporter.view() ?? [])
  }

  private end(signal: Signal): void {
    const running = this.running.get(signal)
    this.running.delete(signal)
    this.receiver.resume(signal)
    void running?.exporter.close(farewellMs).then(() => this.tellAnew())
  }

  /** Nothing is said any more of a collector that is none. */
  private tellAnew(): void {
    for (const gauge of exporterGauges) this.deps.metrics.clear(gauge)
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
