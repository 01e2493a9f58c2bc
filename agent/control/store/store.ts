/**
 * What a store of a center promises: the state that several centers (and the generations of one) share.
 * `test/compliance/center-store.ts` is the executable meaning of this file; every store must pass it.
 *
 * A store is keys with values, and one revision that grows with each change of any key. Nothing else is shared: a
 * center may die at any moment, and another one may be added.
 */

export interface StoreEntry {
  readonly key: string
  readonly value: string
  /** Of its last change; 1 and more. */
  readonly revision: number
}

/** Everything, at one revision; 0 = nothing was ever written. */
export interface StoreState {
  readonly revision: number
  readonly entries: readonly StoreEntry[]
}

export interface StoreChange {
  readonly key: string
  /** undefined = removed. */
  readonly value: string | undefined
  readonly revision: number
}

/** Calls come in order and never synchronously from `watch()`. */
export interface StoreListener {
  /** The whole state: at first, and again when changes were missed. */
  onState(state: StoreState): void
  /** In the order of their revisions; each key's changes are all there, or `onState` follows. */
  onChanges(changes: readonly StoreChange[]): void
}

export interface StoreVersion extends StoreChange {
  /** Epoch ms of the change; undefined = the store does not keep it. */
  readonly at: number | undefined
}

export interface Store {
  /** `files`, `etcd`, `nacos`: for logs and pages. */
  readonly type: string
  /** One listener. What it hears includes writes of others: other generations, other centers. */
  watch(listener: StoreListener): void
  /**
   * Sets a key, or with `undefined` removes it, if its revision is `expected` (0 = it must not exist). Resolves with
   * the revision of the change once it is kept for good; a listener hears of it before or after. Rejects with
   * E_STORE_CONFLICT (nothing changed) or E_STORE_UNAVAILABLE (it cannot be told whether it was written: read again).
   */
  write(key: string, value: string | undefined, expected: number): Promise<number>
  /**
   * Newest first, at most `limit`; how far back it goes is the store's, but the present value is always there. Rejects
   * with E_STORE_UNAVAILABLE.
   */
  history(key: string, limit: number): Promise<readonly StoreVersion[]>
  /** Why it cannot be read or written now; undefined = it can. */
  problem(): string | undefined
  close(): Promise<void>
}

/** Longest value of a key; a request to etcd may hold 1.5 MiB. */
export const maxValueBytes = 256 * 1024
/** What a key may be: parts of letters, digits and `. _ -` between slashes. */
export const keyPattern = /^[A-Za-z0-9._-]{1,253}(\/[A-Za-z0-9._-]{1,253}){0,7}$/
