/**
 * Whether this process should take no more connections because it holds nearly as much memory as it may have, before
 * the watchdog replaces it for that. Begins above 90 % and ends below 85 %; at the latest after 30 s, and then not
 * again for 30 s: memory that a process has once is rarely given back, and a worker that refuses everybody for ever
 * would be worse than one that is replaced.
 */
export interface MemoryPressureDeps {
  /** Resident bytes. */
  readonly resident: () => number
  /** Bytes at which the watchdog replaces the worker; undefined = nobody does. */
  readonly allowed: () => number | undefined
}

const beginShare = 0.9
const endShare = 0.85
const longestMs = 30_000
const restMs = 30_000

export class MemoryPressure {
  private readonly deps: MemoryPressureDeps
  private since: number | undefined
  private restsUntil = Number.NEGATIVE_INFINITY

  constructor(deps: MemoryPressureDeps) {
    this.deps = deps
  }

  get isHigh(): boolean {
    return this.since !== undefined
  }

  /** `now`: monotonic ms. Some 20 µs: a few times a second. */
  look(now: number): void {
    const allowed = this.deps.allowed()
    if (allowed === undefined) {
      this.since = undefined
      return
    }
    const share = this.deps.resident() / allowed
    if (this.since === undefined) {
      if (share > beginShare && now >= this.restsUntil) this.since = now
      return
    }
    if (share >= endShare && now - this.since < longestMs) return
    this.since = undefined
    this.restsUntil = share >= endShare ? now + restMs : now
  }
}
