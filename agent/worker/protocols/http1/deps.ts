import type { LimitsSpec } from '../../../../contracts/snapshot.ts'
import type { Tier } from '../../../../contracts/words.ts'
import { HeadWriter } from '../../../../http1/head-writer.ts'
import type { StringCache } from '../../../../http1/string-cache.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { BulkMover } from '../../transport/bulk-flow.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Output } from '../../transport/output.ts'
import type { TimerWheel } from '../../transport/timer-wheel.ts'
import { ForeignHeads } from './foreign-head.ts'
import { ReplyWriter } from './reply-writer.ts'
import { RequestWriter } from './request-writer.ts'

/** What both sides of the HTTP/1.1 codec need of their worker. */
export interface Http1Deps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly output: Output
  readonly bulk: BulkMover
  readonly strings: StringCache
  readonly tallies: Tallies
  readonly settings: Http1Settings
}

/** What changes with the snapshot: bounds, and who we are in forwarded heads. One per worker. */
export class Http1Settings {
  limits: LimitsSpec
  requests!: RequestWriter
  replies!: ReplyWriter
  private readonly strings: StringCache

  constructor(strings: StringCache, limits: LimitsSpec, pseudonym: string, tier: Tier) {
    this.strings = strings
    this.limits = limits
    this.take(limits, pseudonym, tier)
  }

  /** `pseudonym`: our name in Via. */
  take(limits: LimitsSpec, pseudonym: string, tier: Tier): void {
    const writer = new HeadWriter(pseudonym)
    const foreign = new ForeignHeads(this.strings, limits.maxFields)
    this.limits = limits
    this.requests = new RequestWriter(writer, foreign)
    this.replies = new ReplyWriter(writer, foreign, tier)
  }
}
