import { LogPause } from '../../../contracts/log-pause.ts'

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
  readonly warn: (message: string) => void
}

const beginShare = 0.9
const endShare = 0.85
const outShare = 0.95
const longestMs = 30_000
const restMs = 30_000
const logMs = 30_000
const mib = 1_048_576

export class MemoryPressure {
  private readonly deps: MemoryPressureDeps
  private since: number | undefined
  private restsUntil = Number.NEGATIVE_INFINITY
  private readonly pause = new LogPause(logMs)

  constructor(deps: MemoryPressureDeps) {
    this.deps = deps
  }

  /** Nearly all of it is in use: requests of connections that are there are refused, too. */
  isOut = false

  get isHigh(): boolean {
    return this.since !== undefined
  }

  /** `now`: monotonic ms. Some 20 µs: a few times a second. */
  look(now: number): void {
    const allowed = this.deps.allowed()
    this.isOut = false
    if (allowed === undefined) {
      this.since = undefined
      return
    }
    const resident = this.deps.resident()
    const share = resident / allowed
    if (this.since === undefined) {
      if (share > beginShare && now >= this.restsUntil) this.begin(now, resident, allowed)
      return
    }
    this.isOut = share > outShare
    if (share >= endShare && now - this.since < longestMs) return
    this.isOut = false
    this.since = undefined
    this.restsUntil = share >= endShare ? now + restMs : now
  }

  private begin(now: number, resident: number, allowed: number): void {
    this.since = now
    if (!this.pause.allows(now)) return
    const [held, most] = [resident, allowed].map((bytes) => Math.round(bytes / mib))
    const until = `${Math.floor((endShare * allowed) / mib)} MiB, for ${longestMs / 1000} s at most`
    this.deps.warn(`${held} MiB resident of ${most} allowed: new connections are closed until it is below ${until}`)
  }
}
