/**
 * Spans and log records of this host's workers, and where they go. Follows the configuration as it changes; without a
 * collector a record that comes is dropped.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { describeError } from '../../../contracts/errors.ts'
import { signals } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { Clock } from '../clock.ts'
import type { AgentConfig, CollectorConfig } from '../config/types.ts'
import type { Log } from '../log.ts'
import { readText } from '../kinds/secret-file.ts'
import { Exporter } from './exporter.ts'
import { httpSender } from './http-sender.ts'
import { TelemetryReceiver } from './receiver.ts'
import type { Sender } from './sender.ts'

export interface TelemetryDeps {
  /** Of the socket that workers dial. */
  readonly path: string
  readonly version: string
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: AdapterMetrics
}

/** What is on its way may take this long when control ends. */
const farewellMs = 1000
/** A second of traffic is ten requests to a collector at most, and a span is there before somebody looks. */
const lingerMs = 100
/** And what workers still say when they end at the same time. */
const lastWordsMs = 250

export class Telemetry {
  private readonly deps: TelemetryDeps
  private readonly receiver: TelemetryReceiver
  private readonly running = new Map<Signal, { readonly collector: CollectorConfig; readonly exporter: Exporter }>()
  private wanted: Partial<Record<Signal, CollectorConfig>> = {}
  private config: AgentConfig | undefined
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
    this.wanted = {
      ...(config.tracing.collector === undefined ? {} : { traces: config.tracing.collector }),
      ...(config.accessLog.collector === undefined ? {} : { logs: config.accessLog.collector }),
    }
    void this.follow()
  }

  /** One change at a time: gRPC is loaded when somebody needs it. */
  private async follow(): Promise<void> {
    if (this.isChanging) return
    this.isChanging = true
    for (const signal of signals) {
      const collector = this.wanted[signal]
      const running = this.running.get(signal)
      if (isDeepStrictEqual(collector, running?.collector)) continue
      this.running.delete(signal)
      void running?.exporter.close(farewellMs)
      this.receiver.resume(signal)
      if (collector === undefined) continue
      try {
        const sender = await this.sender(collector)
        const { clock, log, metrics, random } = this.deps
        const onRoom = (): void => this.receiver.resume(signal)
        const exporter = new Exporter({
          signal,
          collector: collector.url,
          sender,
          clock,
          log,
          metrics,
          random,
          onRoom,
          lingerMs,
        })
        this.running.set(signal, { collector, exporter })
      } catch (error) {
        this.deps.log.error({ signal }, `${collector.url}: ${describeError(error)}; ${signal} are dropped`)
      }
    }
    this.isChanging = false
    const isBehind = signals.some(
      (signal) =>
        this.running.has(signal) && !isDeepStrictEqual(this.wanted[signal], this.running.get(signal)?.collector),
    )
    if (isBehind) void this.follow()
  }

  private async sender(collector: CollectorConfig): Promise<Sender> {
    const { host } = this.config!
    const facts = { host: host.name, zone: host.zone, version: this.deps.version }
    const fields = collector.headersFile === undefined ? {} : readFields(readText(collector.headersFile))
    const ca = collector.ca === undefined ? undefined : readText(collector.ca)
    const options = { url: new URL(collector.url), fields, ca, timeoutMs: collector.timeout, facts }
    const { protocol } = collector
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

/** `name: value` lines, as in a request. Others are passed over. */
function readFields(text: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(':')
    if (at > 0 && /^[!#$&'*+.^_`|~0-9A-Za-z-]+$/.test(line.slice(0, at)))
      fields[line.slice(0, at).toLowerCase()] = line.slice(at + 1).trim()
  }
  return fields
}
