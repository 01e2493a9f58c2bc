/**
 * Sends descriptors in batches: datagram first, then the announcement on the stream, then wait for the acknowledgement.
 * At most `maxBatchesInFlight` are under way; more wait in line, in order. The descriptors stay the caller's until the
 * promise settles.
 */
import { maxBatchesInFlight } from '../contracts/handoff.ts'
import type { DescriptorPort } from './descriptors.ts'

/** Pause before a full receiver is tried again, ms. */
const retryMs = 2

export type BatchOutcome = 'received' | 'failed'

interface Waiting {
  readonly batch: number
  readonly descriptors: readonly number[]
  readonly announce: (batch: number) => void
  readonly settle: (outcome: BatchOutcome) => void
}

export class BatchSender {
  private readonly port: DescriptorPort
  private readonly target: string
  private readonly line: Waiting[] = []
  private readonly inFlight = new Map<number, Waiting>()
  private lastBatch = 0
  private retry: NodeJS.Timeout | undefined
  private isClosed = false

  constructor(port: DescriptorPort, target: string) {
    this.port = port
    this.target = target
  }

  /** `failed`: the receiver is gone, refused, or never acknowledged before `close`. */
  send(descriptors: readonly number[], announce: (batch: number) => void): Promise<BatchOutcome> {
    if (this.isClosed) return Promise.resolve('failed')
    return new Promise((settle) => {
      this.line.push({ batch: ++this.lastBatch, descriptors, announce, settle })
      this.pump()
    })
  }

  acknowledge(batch: number, outcome: BatchOutcome = 'received'): void {
    const waiting = this.inFlight.get(batch)
    if (waiting === undefined) return
    this.inFlight.delete(batch)
    waiting.settle(outcome)
    this.pump()
  }

  /** The stream is gone: everything unacknowledged has failed. */
  close(): void {
    this.isClosed = true
    clearTimeout(this.retry)
    for (const waiting of [...this.inFlight.values(), ...this.line]) waiting.settle('failed')
    this.inFlight.clear()
    this.line.length = 0
  }

  private pump(): void {
    while (this.line.length > 0 && this.inFlight.size < maxBatchesInFlight) {
      const next = this.line[0]!
      const outcome = this.port.send(this.target, next.batch, next.descriptors)
      if (outcome === 'full') {
        clearTimeout(this.retry)
        this.retry = setTimeout(() => this.pump(), retryMs)
        return
      }
      this.line.shift()
      if (outcome === 'sent') {
        this.inFlight.set(next.batch, next)
        next.announce(next.batch)
      } else {
        next.settle('failed')
      }
    }
  }
}
