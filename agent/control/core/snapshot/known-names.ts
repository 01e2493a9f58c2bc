/**
 * Names of services as their registries spell them. Host has no case, names keep theirs: `Host: orderservice` means
 * `OrderService` where only that one is known. What the registries list is asked for when a name is unknown, at most
 * every `askEveryMs`; services that are in use are known without that.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'

export interface KnownNamesDeps {
  readonly adapters: readonly Pick<RegistryAdapter, 'name' | 'listServices'>[]
  readonly clock: Clock
  readonly log: Log
  /** The registries have said what there is, or did not in time. */
  onListed(): void
}

export const askEveryMs = 10_000
/** A caller waits for it. */
const askTimeoutMs = 2000
/** Of one registry. */
const maxListed = 10_000

export class KnownNames {
  private readonly deps: KnownNamesDeps
  /** Lower-case key to the spellings of it, in order. */
  private readonly spellings = new Map<string, readonly ServiceKey[]>()
  private readonly told = new Set<string>()
  private askedAt = -Infinity
  /** The registries are being asked: an unknown name may still be one that is spelled otherwise. */
  isAsking = false

  constructor(deps: KnownNamesDeps) {
    this.deps = deps
  }

  /** Services that exist. */
  learn(keys: Iterable<ServiceKey>): void {
    for (const key of keys) {
      const lower = key.toLowerCase()
      const known = this.spellings.get(lower) ?? []
      if (known.includes(key)) continue
      const all = [...known, key].toSorted()
      this.spellings.set(lower, all)
      if (all.length > 1) this.tell(lower, all)
    }
  }

  /** The key as it is spelled where it exists; the key itself where that is so or nothing is known. */
  spelled(key: ServiceKey): ServiceKey {
    const known = this.spellings.get(key.toLowerCase())
    return known === undefined || known.includes(key) ? key : known[0]!
  }

  /**
   * Services whose names differ by case only: a Host of that name leads to the first, unless it is spelled like
   * another.
   */
  clashes(): readonly (readonly ServiceKey[])[] {
    return [...this.spellings.values()].filter((keys) => keys.length > 1)
  }

  /** A name is unknown: the registries are asked what there is. */
  ask(): void {
    const now = this.deps.clock.monotonic()
    if (this.isAsking || now - this.askedAt < askEveryMs || this.deps.adapters.length === 0) return
    this.isAsking = true
    this.askedAt = now
    void this.listAll().then(() => {
      this.isAsking = false
      this.deps.onListed()
    })
  }

  private async listAll(): Promise<void> {
    const lists = await Promise.all(
      this.deps.adapters.map(async (adapter) => {
        try {
          return await adapter.listServices(maxListed, AbortSignal.timeout(askTimeoutMs))
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error)
          this.deps.log.debug({ registry: adapter.name }, `${adapter.name}: its services cannot be listed: ${why}`)
          return []
        }
      }),
    )
    this.learn(lists.flat())
  }

  private tell(lower: string, keys: readonly ServiceKey[]): void {
    if (this.told.has(lower)) return
    this.told.add(lower)
    this.deps.log.warn(
      { services: keys },
      `${keys.join(' and ')} differ by case only: a Host in lower case leads to ${keys[0]}`,
    )
  }
}
