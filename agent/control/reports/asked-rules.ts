/**
 * Rules about which a center asks with its answers to reports, as long as it does: the next reports say how they stand
 * here. Bound: 16 of all centers together, of which further ones are not heard.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { maxRuleName, reportBounds } from '../../../contracts/host-report.ts'

/** Not asked about for so long: nobody wants to know any more, ms. */
const staleMs = 60_000

export class AskedRules {
  private readonly clock: Clock
  /** Monotonic ms at which it was asked about last. */
  private readonly heard = new Map<string, number>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** An answer of a center, unchecked. */
  hear(answer: unknown): void {
    const { rules } = Object(answer) as { rules?: unknown }
    if (!Array.isArray(rules)) return
    this.forgetStale()
    for (const rule of (rules as unknown[]).slice(0, reportBounds.askedRules)) {
      if (typeof rule !== 'string' || rule === '' || rule.length > maxRuleName) continue
      if (this.heard.has(rule) || this.heard.size < reportBounds.askedRules)
        this.heard.set(rule, this.clock.monotonic())
    }
  }

  names(): readonly string[] {
    this.forgetStale()
    return [...this.heard.keys()]
  }

  private forgetStale(): void {
    const now = this.clock.monotonic()
    for (const [rule, at] of this.heard) if (now - at > staleMs) this.heard.delete(rule)
  }
}
