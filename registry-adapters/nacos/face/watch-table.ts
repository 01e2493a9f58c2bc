/** What is watched at the source for clients of the face. Bound: `most` entries, beyond it nothing new is watched; an entry that nobody used for `idleMs` is let go. */
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import { overLimit } from '../server/fault.ts'

export interface WatchTableOptions {
  /** The setting that holds `most`, for whoever reaches it. */
  readonly limit: string
  readonly most: number
  readonly idleMs: number
  /** Monotonic ms. */
  readonly now: () => number
}

export interface Watched {
  /** While there is one, the entry stays. */
  readonly listeners: ReadonlySet<unknown>
  upstream: Subscription | undefined
  usedAt: number
}

export class WatchTable<Entry extends Watched> {
  private readonly options: WatchTableOptions
  private readonly entries = new Map<string, Entry>()

  constructor(options: WatchTableOptions) {
    this.options = options
  }

  get size(): number {
    return this.entries.size
  }

  /** The entry of `key`, made and subscribed where there is none yet. Throws a fault at the bound, and what `subscribe` throws. */
  take(key: string, make: (now: number) => Entry, subscribe: (entry: Entry) => Subscription): Entry {
    const known = this.entries.get(key)
    if (known !== undefined) return known
    const { limit, most, now } = this.options
    if (this.entries.size >= most) throw overLimit(limit, this.entries.size + 1, most)
    const entry = make(now())
    entry.upstream = subscribe(entry)
    this.entries.set(key, entry)
    return entry
  }

  /** Lets go what nobody wants any more. */
  sweep(): void {
    const { idleMs, now } = this.options
    for (const [key, entry] of this.entries) {
      if (entry.listeners.size > 0 || now() - entry.usedAt < idleMs) continue
      entry.upstream?.unsubscribe()
      this.entries.delete(key)
    }
  }

  close(): void {
    for (const entry of this.entries.values()) entry.upstream?.unsubscribe()
    this.entries.clear()
  }
}
