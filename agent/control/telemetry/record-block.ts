import { maxTelemetryFrameBytes } from '../../../contracts/telemetry.ts'
import type { RecordGroup } from './envelope.ts'
import { putWhole } from './short-records.ts'
import type { ShortGroup } from './short-records.ts'

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

  /** Copies them, whole. False = they do not fit any more. Throws, and has none of them, where they are broken. */
  add({ bytes, count, length, service }: ShortGroup): boolean {
    if (this.length + length > maxBlockBytes) return false
    const from = this.length
    const to = putWhole(this.memory, from, bytes)
    if (to !== from + length) throw new RangeError(`records of ${to - from} bytes, ${length} were announced`)
    this.length = to
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
