import { defaultLimits } from '../../../../contracts/snapshot.ts'
import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import type { Tier } from '../../../../contracts/words.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { Clock } from '../../transport/clock.ts'
import type { OutputPool } from '../../transport/output-pool.ts'
import type { TimerWheel } from '../../transport/timer-wheel.ts'
import type { HeadReader } from './head-reader.ts'
import type { Scratch } from './hpack/decoder.ts'
import type { NameTable } from './hpack/names.ts'
import { ReplyWriter } from './reply-writer.ts'
import { RequestWriter } from './request-writer.ts'

/** What both sides of the HTTP/2 codec need of their worker. */
export interface Http2Deps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly outputs: OutputPool
  readonly names: NameTable
  readonly scratch: Scratch
  readonly heads: HeadReader
  readonly tallies: Tallies
  readonly settings: Http2Settings
  /** For people who look for the cause: one line per connection that is given up. */
  readonly debug: (message: string) => void
}

/** A snapshot of a release that did not know them says nothing of them. */
function boundsOf(limits: Partial<LimitsSpec>): Http2Bounds {
  const { connectionWindowBytes, maxStreams, streamWindowBytes } = { ...defaultLimits, ...limits }
  return { maxStreams, streamWindow: streamWindowBytes, connectionWindow: connectionWindowBytes }
}

/** What changes with the snapshot: bounds, and who we are in forwarded heads. One per worker. */
export class Http2Settings {
  limits: LimitsSpec
  /** Of connections that begin; the others keep theirs. */
  bounds!: Http2Bounds
  replies!: ReplyWriter
  requests!: RequestWriter

  /** `pseudonym`: our name in Via. */
  constructor(limits: LimitsSpec, pseudonym: string, tier: Tier) {
    this.limits = limits
    this.take(limits, pseudonym, tier)
  }

  take(limits: LimitsSpec, pseudonym: string, tier: Tier): void {
    this.limits = limits
    this.bounds = boundsOf(limits)
    this.replies = new ReplyWriter(pseudonym, tier)
    this.requests = new RequestWriter(pseudonym)
  }
}

/** What one connection announces, for as long as it lives. */
export interface Http2Bounds {
  /** Streams of a caller's connection at once. */
  readonly maxStreams: number
  /** Content of one stream that may wait here. */
  readonly streamWindow: number
  /** Content of all streams of a connection that may wait here. */
  readonly connectionWindow: number
}
