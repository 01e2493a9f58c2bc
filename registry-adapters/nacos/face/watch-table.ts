/**
 * What is watched at the source for clients of the face. Bounds: `most` entries in all and `mostPerUser` for one user,
 * beyond which nothing new is watched. An entry counts for each user that asks for it, listens to it, or did so less
 * than `idleMs` ago; it is let go with the last of them.
 */
import type { Subscription } from '../../../contracts/registry-adapter.ts'
import type { Holder } from '../../../guard/caller.ts'
import { overLimit } from '../server/fault.ts'

export interface WatchTableOptions {
  /**
   * The setting that holds `most`, for whoever reaches it; that of `mostPerUser` is called the same, with `PerUser`.
   */
  readonly limit: string
  readonly most: number
  readonly mostPerUser: number
  readonly idleMs: number
  /** Monotonic ms. */
  readonly now: () => number
}

export interface Watched {
  upstream: Subscription | undefined
}

interface Hold {
  listening: number
  usedAt: number
}

interface Held<Entry> {
  readonly entry: Entry
  readonly holds: Map<Holder, Hold>
}

export class WatchTable<Entry extends Watched> {
  private readonly options: WatchTableOptions
  private readonly entries = new Map<string, Held<Entry>>()
  private readonly shares = new Map<Holder, number>()

  constructor(options: WatchTableOptions) {
    this.options = options
  }

  get size(): number {
    return this.entries.size
  }

  /**
   * The entry of `key`, made and subscribed where there is none yet. Throws a fault at a bound, and what `subscribe`
   * throws.
   */
  take(key: string, holder: Holder, make: () => Entry, subscribe: (entry: Entry) => Subscription): Entry {
    const { limit, most, mostPerUser, now } = this.options
    const known = this.entries.get(key)
    const hold = known?.holds.get(holder)
    if (known !== undefined && hold !== undefined) {
      hold.usedAt = now()
      return known.entry
    }
    const share = (this.shares.get(holder) ?? 0) + 1
    if (holder !== undefined && share > mostPerUser) throw overLimit(`${limit}PerUser`, share, mostPerUser)
    if (known === undefined && this.entries.size >= most) throw overLimit(limit, this.entries.size + 1, most)
    const held = known ?? this.made(key, make(), subscribe)
    held.holds.set(holder, { listening: 0, usedAt: now() })
    this.shares.set(holder, share)
    return held.entry
  }

  /** The holder of an entry listens to it until the function that is answered is called, once. */
  listen(key: string, holder: Holder): () => void {
    const hold = this.entries.get(key)?.holds.get(holder)
    if (hold === undefined) return () => undefined
    hold.listening++
    return () => {
      hold.listening--
      hold.usedAt = this.options.now()
    }
  }

  /** Lets go what nobody wants any more. */
  sweep(): void {
    const oldest = this.options.now() - this.options.idleMs
    for (const [key, { entry, holds }] of this.entries) {
      for (const [holder, { listening, usedAt }] of holds) {
        if (listening > 0 || usedAt > oldest) continue
        holds.delete(holder)
        const left = (this.shares.get(holder) ?? 1) - 1
        if (left > 0) this.shares.set(holder, left)
        else this.shares.delete(holder)
      }
      if (holds.size > 0) continue
      entry.upstream?.unsubscribe()
      this.entries.delete(key)
    }
  }

  close(): void {
    for (const { entry } of this.entries.values()) entry.upstream?.unsubscribe()
    this.entries.clear()
    this.shares.clear()
  }

  private made(key: string, entry: Entry, subscribe: (entry: Entry) => Subscription): Held<Entry> {
    entry.upstream = subscribe(entry)
    const held = { entry, holds: new Map<Holder, Hold>() }
    this.entries.set(key, held)
    return held
  }
}
