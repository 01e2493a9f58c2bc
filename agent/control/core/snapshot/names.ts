/**
 * What callers name, on demand: from a worker's `need` to the answer in the snapshot's `names`, and away again after
 * idling.
 *
 * A name is known when a rule declares its host or a registry has an instance of its service; it is then kept until
 * nobody used it for `idleMs`. A name that nobody knows is answered with null, which expires after `unknownMs`, and is
 * watched meanwhile: an instance that comes up turns the answer at once. While a registry has not answered there is no
 * answer, so a caller waits (bounded by the worker) instead of being told a lie. At most `maxNames` known names; above
 * that a new one is not answered. At most `maxUnknown` unknown ones; above that the oldest leaves: one that is answered
 * before one that is not. At most `maxUnknownPerCaller` of them are of one caller at the ports of control (workers have
 * shares of their own); above that what it names anew is not asked for. All are counted.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'

export interface NamesDeps {
  readonly clock: Clock
  readonly metrics: AdapterMetrics
  readonly idleMs: number
  readonly maxNames: number
  resolve(name: string): ServiceKey | undefined
  /** Asks for the virtual host and its services, and lets go again. */
  need(key: ServiceKey, reason: string): void
  drop(key: ServiceKey, reason: string): void
  /**
   * `known`: a rule declares it or there is an instance. `unknown`: everybody was asked and nobody has one. `unheard`:
   * not answered yet.
   */
  standing(key: ServiceKey): 'known' | 'unknown' | 'unheard'
  publish(name: string, virtualHost: string | null | undefined): void
}

interface Entry {
  key: ServiceKey | undefined
  answer: string | null | undefined
  /** Monotonic ms of the last use, or of the null answer. */
  touchedAt: number
  /** In whose share it is while it is unknown. */
  readonly caller: string | undefined
}

export const unknownMs = 10_000
export const maxUnknown = 1000
export const maxUnknownPerCaller = 250

export class Names {
  private readonly deps: NamesDeps
  private readonly entries = new Map<string, Entry>()
  private readonly byKey = new Map<ServiceKey, Set<string>>()
  private readonly usedAt = new Map<ServiceKey, number>()
  /** Without an answer, or answered with null; the oldest first. */
  private readonly unknown = new Map<string, Entry>()
  /** How many of them each caller named. */
  private readonly shares = new Map<string, number>()
  private cancelSweep: (() => void) | undefined

  constructor(deps: NamesDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.entries.size
  }

  /** A caller used the name. `caller`: whose share of unknown names it takes; absent = nobody's. */
  ask(name: string, caller?: string): void {
    const present = this.entries.get(name)
    if (present !== undefined) {
      present.touchedAt = this.deps.clock.monotonic()
      return
    }
    const isOverShare = caller !== undefined && (this.shares.get(caller) ?? 0) >= maxUnknownPerCaller
    if (isOverShare || this.entries.size - this.unknown.size >= this.deps.maxNames) {
      this.deps.metrics.count('names_refused', {})
      return
    }
    if (this.unknown.size >= maxUnknown) {
      this.deps.metrics.count('names_dropped', {})
      this.dropOldestUnknown()
    }
    const entry: Entry = { key: undefined, answer: undefined, touchedAt: this.deps.clock.monotonic(), caller }
    this.entries.set(name, entry)
    this.addUnknown(name, entry)
    this.point(name, entry, this.deps.resolve(name))
    this.armSweep()
  }

  /** Every name that is asked for now. */
  each(): Iterable<string> {
    return this.entries.keys()
  }

  /** Something about a service is new: its endpoints, or that all registries have answered. */
  refresh(key: ServiceKey): void {
    for (const name of this.byKey.get(key) ?? []) this.answer(name, this.entries.get(name)!)
  }

  /** Rules changed: a name may lead elsewhere now. */
  resolveAgain(): void {
    for (const [name, entry] of this.entries) {
      const key = this.deps.resolve(name)
      if (key === entry.key) this.answer(name, entry)
      else this.point(name, entry, key)
    }
  }

  /** Workers used these services. */
  used(keys: readonly string[]): void {
    const now = this.deps.clock.monotonic()
    for (const key of keys) if (this.byKey.has(key as ServiceKey)) this.usedAt.set(key as ServiceKey, now)
  }

  close(): void {
    this.cancelSweep?.()
  }

  private point(name: string, entry: Entry, key: ServiceKey | undefined): void {
    if (entry.key !== undefined) this.unlink(name, entry.key)
    entry.key = key
    if (key !== undefined) {
      const names = this.byKey.get(key) ?? new Set()
      this.byKey.set(key, names.add(name))
      this.deps.need(key, `name ${name}`)
    }
    this.answer(name, entry)
  }

  private answer(name: string, entry: Entry): void {
    const standing = entry.key === undefined ? 'unknown' : this.deps.standing(entry.key)
    // a known name that lost its instances stays known: its callers get "no endpoint", not "no such service"
    if (
      standing === 'unheard' ||
      (standing === 'unknown' && typeof entry.answer === 'string' && entry.answer === entry.key)
    )
      return
    const answer = standing === 'known' ? entry.key! : null
    if (answer === entry.answer) return
    if (typeof answer === 'string') this.removeUnknown(name, entry)
    else if (typeof entry.answer === 'string') this.addUnknown(name, entry)
    entry.answer = answer
    entry.touchedAt = this.deps.clock.monotonic()
    this.deps.publish(name, answer)
  }

  private forget(name: string, entry: Entry): void {
    this.entries.delete(name)
    this.removeUnknown(name, entry)
    if (entry.answer !== undefined) this.deps.publish(name, undefined)
    if (entry.key !== undefined) this.unlink(name, entry.key)
  }

  private addUnknown(name: string, entry: Entry): void {
    this.unknown.set(name, entry)
    if (entry.caller !== undefined) this.shares.set(entry.caller, (this.shares.get(entry.caller) ?? 0) + 1)
  }

  private removeUnknown(name: string, { caller }: Entry): void {
    if (!this.unknown.delete(name) || caller === undefined) return
    const left = this.shares.get(caller)! - 1
    if (left === 0) this.shares.delete(caller)
    else this.shares.set(caller, left)
  }

  private dropOldestUnknown(): void {
    let oldest: [string, Entry] | undefined
    for (const one of this.unknown) {
      oldest ??= one
      if (one[1].answer === undefined) continue
      oldest = one
      break
    }
    if (oldest !== undefined) this.forget(...oldest)
  }

  private unlink(name: string, key: ServiceKey): void {
    const names = this.byKey.get(key)
    names?.delete(name)
    if (names?.size === 0) {
      this.byKey.delete(key)
      this.usedAt.delete(key)
    }
    this.deps.drop(key, `name ${name}`)
  }

  private armSweep(): void {
    if (this.cancelSweep !== undefined || this.entries.size === 0) return
    const hasUnknown = this.unknown.size > 0
    const pause = hasUnknown ? Math.min(unknownMs, this.deps.idleMs) : this.deps.idleMs
    this.cancelSweep = this.deps.clock.after(Math.max(100, pause / 4), () => {
      this.cancelSweep = undefined
      this.sweep()
      this.armSweep()
    })
  }

  private sweep(): void {
    const now = this.deps.clock.monotonic()
    for (const [name, entry] of this.entries) {
      const isKnown = typeof entry.answer === 'string'
      const touchedAt = isKnown ? Math.max(entry.touchedAt, this.usedAt.get(entry.key!) ?? 0) : entry.touchedAt
      if (now - touchedAt >= (isKnown ? this.deps.idleMs : unknownMs)) this.forget(name, entry)
    }
  }
}
