/**
 * Whether more requests of the share fail of late. What comes late in a long roll-out is little of everything since its
 * start; so windows of several lengths are judged too: the shortest where there are many requests, the others where
 * there are few.
 */
import { judgeLately } from './judge.ts'
import type { RolloutLimits } from './rollout.ts'
import type { Signals } from './signals.ts'

const lengthsMs = [15_000, 120_000, 600_000, 3_600_000] as const
/** Between two samples: the longest window holds 1,800 of them. */
const sampleMs = 2000

type Counted = Pick<Signals, 'requests' | 'failures'>

interface Sample {
  readonly at: number
  readonly share: Counted
  readonly rest: Counted
}

export class FailureWindows {
  private readonly samples: Sample[] = []

  /**
   * @param share of it and of `rest` what came since the start.
   * @param compared where the rest has too little traffic in a window.
   * @param now epoch ms.
   * @returns why it is taken back; undefined = no window says so.
   */
  look(share: Signals, rest: Signals, compared: Signals, limits: RolloutLimits, now: number): string | undefined {
    const longest = lengthsMs.at(-1)!
    while (this.samples.length > 1 && this.samples[1]!.at <= now - longest) this.samples.shift()
    for (const ms of lengthsMs) {
      const base = this.samples.findLast(({ at }) => at <= now - ms)
      if (base === undefined) break
      const others = gained(rest, base.rest)
      const of = others.requests >= limits.minRequests ? others : compared
      const reason = judgeLately({ ...gained(share, base.share), hosts: share.hosts }, of, limits, now - base.at)
      if (reason !== undefined) return reason
    }
    if (now - (this.samples.at(-1)?.at ?? -sampleMs) >= sampleMs)
      this.samples.push({ at: now, share: countedOf(share), rest: countedOf(rest) })
    return undefined
  }
}

function gained(now: Counted, before: Counted): Counted {
  return { requests: now.requests - before.requests, failures: now.failures - before.failures }
}

function countedOf({ failures, requests }: Counted): Counted {
  return { failures, requests }
}
