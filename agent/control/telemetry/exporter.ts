/**
 * Records of one signal on their way to its collector: one request at a time, everything that waits in the next one. A
 * collector that is gone is asked again with growing pauses; meanwhile records wait up to `maxQueuedBytes`, then the
 * oldest are dropped and counted. Nobody waits for it.
 */
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import { maxTelemetryFrameBytes } from '../../../contracts/telemetry.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { RecordGroup } from './envelope.ts'
import type { Sender } from './sender.ts'

export const maxQueuedBytes = 4 * 1024 * 1024
/** Of one request; collectors take 4 MiB by default. */
const maxRequestBytes = 1024 * 1024
/** By signal; there while it runs. */
export const exporterGauges = ['telemetry_queue_bytes', 'telemetry_collector_up'] as const
const [queueGauge, upGauge] = exporterGauges
const firstPauseMs = 500
const maxPauseMs = 30_000

export interface ExporterDeps {
  readonly signal: Signal
  /** For logs and metrics. */
  readonly collector: string
  readonly sender: Sender
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: AdapterMetrics
  /**
   * Records wait so long for others before a request is made, unless half a request is there; absent = not at all. A
   * request costs as much as some hundred records.
   */
  readonly lingerMs?: number
  /** Records are taken again. */
  readonly onRoom?: () => void
}

export class Exporter {
  private readonly deps: ExporterDeps
  private queue: RecordGroup[] = []
  private queuedBytes = 0
  private isSending = false
  private failures = 0
  private cancelPause: (() => void) | undefined
  private cancelLinger: (() => void) | undefined
  private isClosed = false
  private isFull = false
  private lastRefusal = ''
  private onIdle: (() => void) | undefined

  constructor(deps: ExporterDeps) {
    this.deps = deps
    this.tell()
  }

  /** False = no more for now; `onRoom` follows. */
  take(groups: readonly RecordGroup[]): boolean {
    if (this.isClosed) return true
    for (const group of groups) {
      this.queue.push(group)
      this.queuedBytes += group.bytes.length
    }
    while (this.queuedBytes > maxQueuedBytes) {
      const oldest = this.queue.shift()!
      this.queuedBytes -= oldest.bytes.length
      this.dropped(oldest.count, 'queue-full')
    }
    this.tell()
    this.soon()
    this.isFull = this.queuedBytes > maxQueuedBytes - maxTelemetryFrameBytes
    return !this.isFull
  }

  private soon(): void {
    const { clock, lingerMs = 0 } = this.deps
    if (lingerMs === 0 || this.onIdle !== undefined || this.queuedBytes >= maxRequestBytes / 2) this.next()
    else if (this.queue.length > 0)
      this.cancelLinger ??= clock.after(lingerMs, () => {
        this.cancelLinger = undefined
        this.next()
      })
  }

  private next(): void {
    if (this.isSending || this.cancelPause !== undefined || this.isClosed) return
    if (this.queue.length === 0) {
      this.onIdle?.()
      return
    }
    let bytes = 0
    let count = 0
    while (count < this.queue.length && (count === 0 || bytes + this.queue[count]!.bytes.length <= maxRequestBytes)) {
      bytes += this.queue[count]!.bytes.length
      count++
    }
    const groups = this.queue.splice(0, count)
    this.queuedBytes -= bytes
    this.isSending = true
    void this.send(groups, bytes)
  }

  private async send(groups: readonly RecordGroup[], bytes: number): Promise<void> {
    const { collector, log, metrics, sender, signal } = this.deps
    const records = groups.reduce((sum, { count }) => sum + count, 0)
    const outcome = await sender.send(signal, groups)
    this.isSending = false
    if (outcome.kind === 'again') {
      // in front again, unless what came meanwhile has taken the room
      if (this.queuedBytes + bytes <= maxQueuedBytes && !this.isClosed) {
        this.queue.unshift(...groups)
        this.queuedBytes += bytes
      } else this.dropped(records, 'queue-full')
      if (this.failures === 0)
        log.warn(
          { signal },
          `${collector}: ${outcome.reason}; ${signal} wait up to ${maxQueuedBytes} bytes, then the oldest are dropped`,
        )
      this.pause(outcome.afterMs)
    } else {
      if (this.failures > 0) log.info({ signal }, `${collector}: takes ${signal} again`)
      this.failures = 0
      const lost = outcome.kind === 'refused' ? records : Math.min(records, outcome.rejected)
      if (lost > 0) this.dropped(lost, 'refused')
      if (records > lost) metrics.count('telemetry_sent', { signal }, records - lost)
      if (lost > 0 && outcome.reason !== this.lastRefusal) {
        this.lastRefusal = outcome.reason
        log.warn({ signal }, `${collector}: does not take ${lost} of ${records} ${signal}: ${outcome.reason}`)
      }
    }
    this.tell()
    if (this.isFull && this.queuedBytes < maxQueuedBytes / 2) {
      this.isFull = false
      this.deps.onRoom?.()
    }
    this.soon()
  }

  private pause(afterMs: number | undefined): void {
    this.failures++
    if (this.isClosed) return
    const own =
      Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(10, this.failures - 1)) * (0.5 + this.deps.random() / 2)
    this.cancelPause = this.deps.clock.after(Math.min(maxPauseMs, Math.max(own, afterMs ?? 0)), () => {
      this.cancelPause = undefined
      this.next()
    })
  }

  private dropped(count: number, reason: 'queue-full' | 'refused' | 'end'): void {
    this.deps.metrics.count('telemetry_dropped', { signal: this.deps.signal, reason }, count)
  }

  /** Sets its gauges. */
  tell(): void {
    if (this.isClosed) return
    const { metrics, signal } = this.deps
    metrics.gauge(queueGauge, { signal }, this.queuedBytes)
    metrics.gauge(upGauge, { signal }, this.failures === 0 ? 1 : 0)
  }

  /** Sends what waits for at most `ms`; what is left then is dropped and counted. */
  async close(ms: number): Promise<void> {
    if (this.isClosed) return
    if (this.failures === 0 && (this.isSending || this.queue.length > 0))
      await new Promise<void>((resolve) => {
        const cancel = this.deps.clock.after(ms, resolve)
        this.onIdle = () => {
          cancel()
          resolve()
        }
        this.next()
      })
    this.isClosed = true
    this.cancelPause?.()
    this.cancelLinger?.()
    const left = this.queue.reduce((sum, { count }) => sum + count, 0)
    if (left > 0) this.dropped(left, 'end')
    this.queue = []
    this.queuedBytes = 0
    this.deps.sender.close()
  }
}
