/** What a store holds as far as this process has read it. Its one listener is told all of it, then each change. */
import type { StoreChange, StoreEntry, StoreListener, StoreState } from './store.ts'

export class KnownState {
  private readonly entries = new Map<string, StoreEntry>()
  private listener: StoreListener | undefined
  /** The listener knows the state that everything further is a change of. */
  private isTold = false
  private newest = -1

  /** -1 = nothing was read yet. */
  get revision(): number {
    return this.newest
  }

  /** One listener; the next `tell` is its first. */
  listen(listener: StoreListener): void {
    this.listener = listener
  }

  get(key: string): StoreEntry | undefined {
    return this.entries.get(key)
  }

  all(): readonly StoreEntry[] {
    return [...this.entries.values()]
  }

  /** Changes were missed: what is taken next belongs to it, until `tell`. */
  replace({ revision, entries }: StoreState): void {
    this.entries.clear()
    for (const entry of entries) this.entries.set(entry.key, entry)
    this.newest = revision
    this.isTold = false
  }

  take(changes: readonly StoreChange[]): void {
    for (const { key, value, revision } of changes) {
      if (value === undefined) this.entries.delete(key)
      else this.entries.set(key, { key, value, revision })
      this.newest = revision
    }
    if (this.isTold) this.listener?.onChanges(changes)
  }

  /** Everything, to a listener that does not know it yet. */
  tell(): void {
    if (this.isTold || this.listener === undefined) return
    this.isTold = true
    this.listener.onState({ revision: this.newest, entries: this.all() })
  }
}
