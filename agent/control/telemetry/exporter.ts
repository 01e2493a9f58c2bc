/**
 * Records of one signal on their way to its collector: one request at a time, everything that waits in the next one. A
 * collector that is gone is asked again with growing pauses; meanwhile records wait up to `maxQueuedBytes`, then the
 * oldest are dropped and counted. Nobody waits for it.
 */
import { LogPause } from '../../../contracts/log-pause.ts'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import type { Signal } from '../../../contracts/telemetry.ts'
import type { Clock } from '../clock.ts'
import { cleanText } from '../events/clean-text.ts'
import type { Log } from '../log.ts'
import { maxBlockBytes, RecordBlock } from './record-block.ts'
import type { ShortGroup } from './short-records.ts'
import type { CollectorView, Sender } from './sender.ts'

/** Beside the one that is under way. */
const maxBlocks = 4
export const maxQueuedBytes = maxBlocks * maxBlockBytes
/** Memory that is kept for what comes next. */
const maxSpare = 2
/** By signal; there while it runs. */
export const exporterGauges = ['telemetry_queue_bytes', 'telemetry_collector_up'] as const
export const [queueGauge, upGauge] = exporterGauges
/**
 * Of a running host. A request costs some 0.5 to 0.9 ms, as much as a thousand records: few records are few requests,
 * and many fill one. OpenTelemetry's own senders wait for one second (logs) and five (spans).
 */
export const lingerMs = 1000
const firstPauseMs = 500
const maxPauseMs = 30_000
/** Characters of what a collector says. */
const maxReason = 300

export interface ExporterDeps {
  readonly signal: Signal
  /** For logs and metrics. */
  readonly collector: string
  readonly sender: Sender
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: AdapterMetrics
  /** Records wait so long for others before a request is made, unless they fill one; absent = not at all. */
  readonly lingerMs?: number
  /** Records are taken again. */
  readonly onRoom?: () => void
}

export class Exporter {
  private readonly deps: ExporterDeps
  private queue: RecordBlock[] = []
  private readonly spare: RecordBlock[] = []
  private isSending = false
  private failures = 0
  private cancelPause: (() => void) | undefined
  private cancelLinger: (() => void) | undefined
  private isClosed = false
  private isFull = false
  private lastRefusal = ''
  private readonly refusals = new LogPause()
  /** Why the last request was not taken whole. */
  private problem: string | undefined
  private onIdle: (() => void) | undefined

  constructor(deps: ExporterDeps) {
    this.deps = deps
    this.tell()
  }

  /** Copies them. False = no more for now; `onRoom` follows. */
  take(groups: readonly ShortGroup[]): boolean {
    if (this.isClosed) return true
    for (const group of groups) if (this.queue.at(-1)?.add(group) !== true) this.begin(group)
    this.tell()
    this.soon()
    this.isFull = this.queue.length >= maxBlocks
    return !this.isFull
  }

  private begin(group: ShortGroup): void {
    if (this.queue.length >= maxBlocks) {
      const oldest = this.queue.shift()!
      this.dropped(oldest.count, 'queue-full')
      this.free(oldest)
    }
    const block = this.spare.pop() ?? new RecordBlock()
    block.add(group)
    this.queue.push(block)
  }

  private free(block: RecordBlock): void {
    block.clear()
    if (this.spare.length < maxSpare) this.spare.push(block)
  }

  private soon(): void {
    const { clock, lingerMs = 0 } = this.deps
    if (lingerMs === 0 || this.onIdle !== undefined || this.queue.length > 1) this.next()
    else if (this.queue.length > 0)
      this.cancelLinger ??= clock.after(lingerMs, () => {
        this.cancelLinger = undefined
        this.next()
      })
  }

  private next(): void {
    if (this.isSending || this.cancelPause !== undefined || this.isClosed) return
    const block = this.queue.shift()
    if (block === undefined) {
      this.onIdle?.()
      return
    }
    this.isSending = true
    void this.send(block)
  }

  private async send(block: RecordBlock): Promise<void> {
    const { clock, collector, log, metrics, sender, signal } = this.deps
    const { count: records } = block
    const said = await sender.send(signal, block.groups)
    // a collector may say anything, and operators read it on a terminal
    const outcome = { ...said, reason: cleanText(said.reason, maxReason) }
    this.isSending = false
    this.problem = outcome.kind === 'taken' && outcome.rejected === 0 ? undefined : outcome.reason
    if (outcome.kind === 'again') {
      // in front again, unless what came meanwhile has taken the room
      if (this.queue.length < maxBlocks && !this.isClosed) this.queue.unshift(block)
      else {
        this.dropped(records, 'queue-full')
        this.free(block)
      }
      if (this.failures === 0)
        log.warn(
          { signal },
          `${collector}: ${outcome.reason}; ${signal} wait up to ${maxQueuedBytes} bytes, then the oldest are dropped`,
        )
      this.pause(outcome.afterMs)
    } else {
      this.free(block)
      if (this.failures > 0) log.info({ signal }, `${collector}: takes ${signal} again`)
      this.failures = 0
      const lost = outcome.kind === 'refused' ? records : Math.min(records, outcome.rejected)
      if (lost > 0) this.dropped(lost, 'refused')
      if (records > lost) metrics.count('telemetry_sent', { signal }, records - lost)
      if (lost > 0 && outcome.reason !== this.lastRefusal && this.refusals.allows(clock.monotonic())) {
        this.lastRefusal = outcome.reason
        log.warn({ signal }, `${collector}: does not take ${lost} of ${records} ${signal}: ${outcome.reason}`)
      }
    }
    this.tell()
    if (this.isFull && this.queue.length <= maxBlocks / 2) {
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

  private get queuedBytes(): number {
    return this.queue.reduce((sum, { length }) => sum + length, 0)
  }

  view(): CollectorView {
    const { collector, signal } = this.deps
    return { signal, url: collector, isUp: this.failures === 0, problem: this.problem, queuedBytes: this.queuedBytes }
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
    this.spare.length = 0
    this.deps.sender.close()
  }
}
