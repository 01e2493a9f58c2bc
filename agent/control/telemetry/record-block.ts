import { maxTelemetryFrameBytes } from '../../../contracts/telemetry.ts'
import type { RecordGroup } from './envelope.ts'

/** Of one request; collectors take 4 MiB by default. A group of a worker fits into an empty block. */
export const maxBlockBytes = maxTelemetryFrameBytes

interface Run {
  readonly service: string
  readonly from: number
  to: number
  count: number
}

/**
 * Records that will go to the collector in one request, in memory of their own, which is used again and again: what
 * comes and goes by the megabyte must not be the garbage collector's.
 */
export class RecordBlock {
  private readonly memory = Buffer.allocUnsafeSlow(maxBlockBytes)
  private runs: Run[] = []
  /** Bytes of records. */
  length = 0
  /** Records. */
  count = 0

  /** Copies them. False = they do not fit any more. */
  add({ bytes, count, service }: RecordGroup): boolean {
    if (this.length + bytes.length > maxBlockBytes) return false
    const from = this.length
    this.length += bytes.copy(this.memory, from)
    this.count += count
    const last = this.runs.at(-1)
    if (last?.service === service) {
      last.to = this.length
      last.count += count
    } else this.runs.push({ service, from, to: this.length, count })
    return true
  }

  /** Views, until `clear`. */
  get groups(): RecordGroup[] {
    return this.runs.map(({ count, from, service, to }) => ({ service, count, bytes: this.memory.subarray(from, to) }))
  }

  clear(): void {
    this.runs = []
    this.length = 0
    this.count = 0
  }
}
