/** Counts the outcomes of calls over a sliding window of seconds and since the last mark. */

export interface CallOutcome {
  readonly isGood: boolean
  readonly tier: string
  readonly version: string
  readonly latencyMs: number
  /** Why it failed, in the words of the caller; '' for a good one. */
  readonly reason: string
}

export interface TallyView {
  readonly calls: number
  readonly errors: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly tiers: Readonly<Record<string, number>>
  readonly versions: Readonly<Record<string, number>>
  readonly reasons: Readonly<Record<string, number>>
}

export interface TimelineStep {
  /** ms since the begin. */
  readonly atMs: number
  readonly lost: number
  /** Of those that were answered, ms. */
  readonly slowestMs: number
  /** Answered calls by the tier that served them. */
  readonly tiers: Readonly<Record<string, number>>
}

/** At most this many outcomes are kept; older ones fall out. */
const capacity = 20_000

export class Tally {
  private readonly kept: { at: number; outcome: CallOutcome }[] = []
  private readonly now: () => number

  constructor(now: () => number) {
    this.now = now
  }

  add(outcome: CallOutcome): void {
    if (this.kept.length === capacity) this.kept.shift()
    this.kept.push({ at: this.now(), outcome })
  }

  /** Outcomes between `from` and now in pieces of `stepMs`, by when they were known. */
  timeline(from: number, stepMs: number): TimelineStep[] {
    const steps = Math.max(0, Math.ceil((this.now() - from) / stepMs))
    const pieces: CallOutcome[][] = Array.from({ length: steps }, () => [])
    for (const { at, outcome } of this.kept) if (at >= from) pieces[Math.floor((at - from) / stepMs)]?.push(outcome)
    return pieces.map((piece, index) => {
      const good = piece.filter((outcome) => outcome.isGood)
      return {
        atMs: index * stepMs,
        lost: piece.length - good.length,
        slowestMs: Math.round(good.reduce((most, { latencyMs }) => Math.max(most, latencyMs), 0)),
        tiers: countBy(good, (outcome) => outcome.tier),
      }
    })
  }

  /** Outcomes since `from` (same clock). */
  since(from: number): TallyView {
    const recent = this.kept.filter((entry) => entry.at >= from).map((entry) => entry.outcome)
    const latencies = recent.map((outcome) => outcome.latencyMs).sort((a, b) => a - b)
    const at = (share: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
    const seconds = Math.max(0.001, (this.now() - from) / 1000)
    return {
      calls: recent.length,
      errors: recent.filter((outcome) => !outcome.isGood).length,
      perSecond: recent.length / seconds,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      tiers: countBy(recent, (outcome) => outcome.tier),
      versions: countBy(recent, (outcome) => outcome.version),
      reasons: countBy(
        recent.filter((outcome) => !outcome.isGood),
        (outcome) => outcome.reason,
      ),
    }
  }
}

function countBy(outcomes: readonly CallOutcome[], key: (outcome: CallOutcome) => string): Record<string, number> {
  const counts = new Map<string, number>()
  for (const outcome of outcomes) counts.set(key(outcome), (counts.get(key(outcome)) ?? 0) + 1)
  return Object.fromEntries([...counts].filter(([name]) => name !== '').sort(([a], [b]) => a.localeCompare(b)))
}
