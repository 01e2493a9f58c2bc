/** Roll-outs as they are in the store, for whoever looks. */
import type { StoreChange, StoreListener, StoreState } from '../../agent/control/store/store.ts'
import { readRollout, type KnownRollout } from './rollout.ts'

export class RolloutTable implements StoreListener {
  private readonly known = new Map<string, KnownRollout>()
  private readonly onChange: () => void

  constructor(onChange: () => void) {
    this.onChange = onChange
  }

  get(key: string): KnownRollout | undefined {
    return this.known.get(key)
  }

  /** The one that began last first. */
  all(): KnownRollout[] {
    return [...this.known.values()].toSorted((a, b) => b.startedAt - a.startedAt)
  }

  running(): KnownRollout[] {
    return this.all().filter(({ state }) => state === 'running')
  }

  onState({ entries }: StoreState): void {
    this.known.clear()
    for (const { key, value, revision } of entries) this.take(key, value, revision)
    this.onChange()
  }

  onChanges(changes: readonly StoreChange[]): void {
    let isOurs = false
    for (const { key, value, revision } of changes) isOurs = this.take(key, value, revision) || isOurs
    if (isOurs) this.onChange()
  }

  private take(key: string, value: string | undefined, revision: number): boolean {
    const rollout = value === undefined ? undefined : readRollout(key, value)
    if (rollout === undefined) return this.known.delete(key)
    this.known.set(key, { ...rollout, key, revision })
    return true
  }
}
