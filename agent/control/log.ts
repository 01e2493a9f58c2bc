/** What parts of control log through; `main.ts` hands in pino, tests what they like. */
import type { AdapterLog } from '../../contracts/registry-adapter.ts'

export type Log = AdapterLog

/**
 * Logs a repeated fact once, until `forget`: hostile registry content must not fill the disk. At most `maxRemembered`
 * facts are remembered.
 */
export class OnceLog {
  private readonly seen = new Set<string>()
  private readonly maxRemembered: number

  constructor(maxRemembered = 10_000) {
    this.maxRemembered = maxRemembered
  }

  /** True the first time. When the memory is full nothing new is logged; counters still tell. */
  isNews(fact: string): boolean {
    if (this.seen.has(fact) || this.seen.size >= this.maxRemembered) return false
    this.seen.add(fact)
    return true
  }

  forget(prefix: string): void {
    for (const fact of this.seen) if (fact.startsWith(prefix)) this.seen.delete(fact)
  }
}
