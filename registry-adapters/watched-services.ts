/**
 * The services that somebody listens to, for adapters whose registry says "this is the list now": keeps the last list
 * of each, tells every listener in order, and tells news only. Where the lists come from is the adapter's matter; it is
 * told when a service is wanted first and when nobody wants it any more.
 */
import { isDeepStrictEqual } from 'node:util'
import { endpointId, serviceKey } from '../contracts/endpoint.ts'
import type { Endpoint, EndpointSet, ServiceKey, ServiceName } from '../contracts/endpoint.ts'
import { describeError } from '../contracts/errors.ts'
import type { AdapterDeps, EndpointListener, RegistryProblem, Subscription } from '../contracts/registry-adapter.ts'

export interface WatchedServicesDeps extends Pick<AdapterDeps, 'clock' | 'log' | 'metrics'> {
  /** Name of the registry in `agent.yaml`. */
  readonly registry: string
  /** Endpoints of one service beyond this number are not taken. */
  readonly maxEndpoints: number
  /** Somebody wants it, and nobody did before. Called inside `subscribe`; must not publish before it returns. */
  onWanted(key: ServiceKey, service: ServiceName): void
  /** The registry left something out: it is asked again, and what it says then is published. */
  onDoubt(key: ServiceKey): void
  /** Nobody wants it any more. */
  onUnwanted(key: ServiceKey): void
}

/** The same answer sooner than this is an echo of the first. */
const secondLookMs = 1000
/** For so long after a loss a registry may not know everything that it knew. */
const unrestMs = 30_000

interface Watched {
  readonly listeners: Set<EndpointListener>
  set: EndpointSet | undefined
  version: number
  /** Why the list is old; told once per loss. */
  stale: RegistryProblem | undefined
  /** Something is missing since, and was not yet confirmed; monotonic ms. */
  doubtedAt: number | undefined
  cancelDoubt: (() => void) | undefined
  /** The registry cannot have it: it says nothing of the registry, and is not lost with it. */
  isForeign: boolean
}

export class WatchedServices {
  private readonly deps: WatchedServicesDeps
  private readonly watched = new Map<ServiceKey, Watched>()
  private foreign = 0
  private heardAt = 0
  private wasLost = false
  /** From here on a second answer counts as a proof; monotonic ms. */
  private calmSince = 0

  constructor(deps: WatchedServicesDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.watched.size
  }

  /** Those that the registry can have. */
  get asked(): number {
    return this.watched.size - this.foreign
  }

  /** Epoch ms of the registry's last word or sign of life, 0 = never. */
  get lastHeardAt(): number {
    return this.heardAt
  }

  keys(): Iterable<ServiceKey> {
    return this.watched.keys()
  }

  has(key: ServiceKey): boolean {
    return this.watched.has(key)
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    const key = serviceKey(service)
    const isFirst = !this.watched.has(key)
    const watched: Watched = this.watched.get(key) ?? {
      listeners: new Set(),
      set: undefined,
      version: 0,
      stale: undefined,
      doubtedAt: undefined,
      cancelDoubt: undefined,
      isForeign: false,
    }
    this.watched.set(key, watched)
    // each subscription is one of its own, also when a listener object is used twice
    const own: EndpointListener = {
      onEndpoints: (set, isConfirmed) => listener.onEndpoints(set, isConfirmed),
      onStale: (problem) => listener.onStale(problem),
    }
    watched.listeners.add(own)
    if (isFirst) this.deps.onWanted(key, service)
    else setImmediate(() => this.welcome(watched, own))
    return {
      unsubscribe: () => {
        if (!watched.listeners.delete(own) || watched.listeners.size > 0) return
        if (this.watched.get(key) !== watched) return
        watched.cancelDoubt?.()
        this.watched.delete(key)
        if (watched.isForeign) this.foreign--
        this.deps.onUnwanted(key)
      },
    }
  }

  /**
   * The registry's word: this is the whole list. In any order, the later one of two with the same address wins. Tells
   * listeners when it is news.
   */
  publish(key: ServiceKey, endpoints: Iterable<Endpoint>, protectThreshold = 0): void {
    const watched = this.watched.get(key)
    if (watched === undefined) return
    this.heardAt = this.deps.clock.wall()
    const before = watched.set
    const list = this.ordered(key, endpoints, before?.endpoints ?? [])
    const isSame =
      before !== undefined && before.protectThreshold === protectThreshold && areSame(before.endpoints, list)
    const wasStale = watched.stale !== undefined
    const isConfirmed = this.isConfirmed(watched, isSame)
    watched.stale = undefined
    if (!isSame) watched.version++
    const set: EndpointSet = {
      service: key,
      version: watched.version,
      endpoints: isSame ? before.endpoints : list,
      protectThreshold,
      registry: this.deps.registry,
      confirmedAt: this.heardAt,
    }
    watched.set = set
    // the same word after a loss is news: it is no longer old
    if (isSame && !wasStale && !isConfirmed) return
    if (before !== undefined && !isSame && lacks(list, before.endpoints)) this.doubt(key, watched)
    for (const listener of watched.listeners) this.guard(() => listener.onEndpoints(set, isConfirmed))
  }

  /** One that the registry cannot have, for as long as it is wanted: no instance, once `subscribe` has returned. */
  answerForeign(key: ServiceKey): void {
    const watched = this.watched.get(key)
    if (watched === undefined || watched.isForeign) return
    watched.isForeign = true
    this.foreign++
    setImmediate(() => {
      if (this.watched.get(key) !== watched) return
      const { registry } = this.deps
      const confirmedAt = this.deps.clock.wall()
      const set = { service: key, version: 1, endpoints: [], protectThreshold: 0, registry, confirmedAt } as const
      watched.set = { ...set, isForeign: true }
      for (const listener of watched.listeners) this.guard(() => listener.onEndpoints(watched.set!, false))
    })
  }

  /**
   * The registry answers (again): what it leaves out from now on is believed at the second look, once it has been calm
   * for a while.
   */
  begin(): void {
    this.heardAt = this.deps.clock.wall()
    this.calmSince = this.deps.clock.monotonic() + (this.wasLost ? unrestMs : 0)
    this.wasLost = false
  }

  /** A sign of life without news: where nothing changes for hours the registry is heard all the same. */
  alive(): void {
    if (this.heardAt > 0) this.heardAt = this.deps.clock.wall()
  }

  /** The registry cannot be asked: told once per service until it speaks again. `key` = only about this one. */
  lose(problem: RegistryProblem, key?: ServiceKey): void {
    if (key === undefined) this.wasLost = true
    const wanted = key === undefined ? this.watched.values() : [this.watched.get(key)]
    for (const watched of wanted) {
      if (watched === undefined || watched.isForeign || watched.stale !== undefined) continue
      watched.stale = problem
      watched.doubtedAt = undefined
      watched.cancelDoubt?.()
      for (const listener of watched.listeners) this.guard(() => listener.onStale(problem))
    }
  }

  /** Nothing is told from now on. */
  close(): void {
    for (const watched of this.watched.values()) {
      watched.listeners.clear()
      watched.cancelDoubt?.()
    }
    this.watched.clear()
    this.foreign = 0
  }

  /** The second look came to the same, in calm times. */
  private isConfirmed(watched: Watched, isSame: boolean): boolean {
    const { doubtedAt } = watched
    if (doubtedAt === undefined) return false
    const now = this.deps.clock.monotonic()
    if (isSame && now - doubtedAt < secondLookMs) return false
    watched.doubtedAt = undefined
    watched.cancelDoubt?.()
    return isSame && now >= this.calmSince
  }

  private doubt(key: ServiceKey, watched: Watched): void {
    const { clock } = this.deps
    watched.cancelDoubt?.()
    watched.doubtedAt = clock.monotonic()
    // a timer may be a little early
    watched.cancelDoubt = clock.after(secondLookMs + 5, () => this.deps.onDoubt(key))
  }

  /** Unique and sorted. An instance that is as before stays the same object: what knows it need not look again. */
  private ordered(key: ServiceKey, endpoints: Iterable<Endpoint>, before: readonly Endpoint[]): readonly Endpoint[] {
    const known = new Map(before.map((endpoint) => [endpointId(endpoint), endpoint]))
    const byId = new Map<string, Endpoint>()
    let left = 0
    for (const endpoint of endpoints) {
      const id = endpointId(endpoint)
      if (byId.size < this.deps.maxEndpoints || byId.has(id)) byId.set(id, endpoint)
      else left++
    }
    if (left > 0) {
      this.deps.metrics.count('registry_endpoints_cut', { registry: this.deps.registry }, left)
      this.deps.log.warn(
        { registry: this.deps.registry, service: key, left },
        `${key}: more than ${this.deps.maxEndpoints} endpoints, ${left} are left out`,
      )
    }
    return [...byId.keys()].sort().map((id) => {
      const [now, last] = [byId.get(id)!, known.get(id)]
      return last !== undefined && isDeepStrictEqual(now, last) ? last : now
    })
  }

  private welcome(watched: Watched, own: EndpointListener): void {
    const { set, stale } = watched
    if (set !== undefined && watched.listeners.has(own)) this.guard(() => own.onEndpoints(set, false))
    if (stale !== undefined && watched.listeners.has(own)) this.guard(() => own.onStale(stale))
  }

  private guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.deps.log.error({ code: 'E_INTERNAL' }, `a listener failed: ${describeError(error)}`)
    }
  }
}

/** Of lists in which what is the same is one object. */
function areSame(before: readonly Endpoint[], list: readonly Endpoint[]): boolean {
  return before.length === list.length && before.every((endpoint, at) => endpoint === list[at])
}

/** Whether something of `before` is missing. Both are sorted by id and unique. */
function lacks(list: readonly Endpoint[], before: readonly Endpoint[]): boolean {
  const ids = new Set(list.map(endpointId))
  return before.some((endpoint) => !ids.has(endpointId(endpoint)))
}
