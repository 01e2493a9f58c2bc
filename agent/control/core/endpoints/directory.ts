/**
 * The newest good endpoints of every service that somebody here needs.
 *
 * One registry serves a service: the first in the order of `agent.yaml` that has an instance of it; never a mix. What
 * registries say passes `accept` and `protect`. When a registry is away, its last good word stays, from memory or
 * (after a cold boot) from the snapshot on disk. A service that a ServiceEntry declares is served by that alone.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  endpointId,
  type Endpoint,
  type EndpointSet,
  type ServiceKey,
  type ServiceName,
} from '../../../../contracts/endpoint.ts'
import type {
  AdapterMetrics,
  RegistryAdapter,
  RegistryProblem,
  Subscription,
} from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'
import type { Timeline } from '../../events/timeline.ts'
import { OnceLog, type Log } from '../../log.ts'
import { acceptEndpoints, type AcceptRules } from './accept.ts'
import { expire, protect, type HeldBack, type ProtectOptions } from './protect.ts'

export interface DirectoryDeps {
  /** In order of precedence. */
  readonly adapters: readonly RegistryAdapter[]
  readonly rules: AcceptRules
  readonly protect: ProtectOptions
  /** A registry that was not heard for this long is reported as stale. */
  readonly staleAfterMs: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AdapterMetrics
  readonly timeline: Pick<Timeline, 'turn'>
  /**
   * The set that is served from now on. Called only for wanted services, only when something a worker can see has
   * changed.
   */
  onChange(set: EndpointSet): void
  /** The same endpoints again in other objects: the old ones (from disk, from the last push) need not be kept. */
  onSame?(set: EndpointSet): void
  /**
   * All registries were heard (or one had an instance): what `get` says is now an answer. Called once per wanted
   * service.
   */
  onAnswered?(key: ServiceKey): void
}

/** Words about a loss within this time are about the same one. */
const sameLossMs = 1000

export interface DirectoryEntry {
  readonly set: EndpointSet | undefined
  /** At least the registry that serves it, or all of them, have answered since the service was wanted. */
  readonly isAnswered: boolean
  readonly held: HeldBack | undefined
  readonly refused: number
}

interface Source {
  subscription: Subscription | undefined
  /** What this registry has, after accept and protect; undefined = no answer yet. */
  endpoints: readonly Endpoint[] | undefined
  isAnswered: boolean
  held: HeldBack | undefined
  /** Ids that the adapter keeps against its registry's newest word. */
  kept: readonly string[]
  protectThreshold: number
  confirmedAt: number
  refused: number
}

const nothingKept: readonly string[] = []

interface Wanted {
  readonly name: ServiceName
  readonly sources: Source[]
  declared: EndpointSet | undefined
  published: EndpointSet | undefined
  hasAnswered: boolean
  cancelExpiry: (() => void) | undefined
}

export class EndpointDirectory {
  private readonly deps: DirectoryDeps
  private readonly wanted = new Map<ServiceKey, Wanted>()
  private readonly once = new OnceLog()
  private readonly problems: (RegistryProblem | undefined)[]
  /** Registries that have answered since they were last lost. */
  private readonly heard = new Set<number>()
  private readonly cancelStale: ((() => void) | undefined)[] = []
  private version = 0
  private isClosed = false

  constructor(deps: DirectoryDeps) {
    this.deps = deps
    this.problems = deps.adapters.map(() => undefined)
  }

  /**
   * Subscribes at every registry. `restored` (from disk) is served until a registry says something else, and protects
   * against a sudden shrink.
   */
  want(key: ServiceKey, name: ServiceName, restored?: EndpointSet): void {
    if (this.isClosed || this.wanted.has(key)) return
    const wanted: Wanted = {
      name,
      sources: this.deps.adapters.map(() => ({
        subscription: undefined,
        endpoints: undefined,
        isAnswered: false,
        held: undefined,
        kept: nothingKept,
        protectThreshold: 0,
        confirmedAt: 0,
        refused: 0,
      })),
      declared: undefined,
      published: undefined,
      hasAnswered: false,
      cancelExpiry: undefined,
    }
    this.wanted.set(key, wanted)
    this.restore(key, wanted, restored)
    for (const [index, adapter] of this.deps.adapters.entries()) {
      wanted.sources[index]!.subscription = adapter.subscribe(name, {
        onEndpoints: (set, isConfirmed) => this.hear(key, wanted, index, set, isConfirmed),
        onStale: (problem) => this.lose(index, problem),
      })
    }
    if (this.deps.adapters.length === 0) {
      // nothing to ask: the answer is that nobody knows it
      queueMicrotask(() => this.answered(key, wanted))
    }
  }

  /** Nobody needs it any more. */
  release(key: ServiceKey): void {
    const wanted = this.wanted.get(key)
    if (wanted === undefined) return
    this.wanted.delete(key)
    wanted.cancelExpiry?.()
    for (const source of wanted.sources) source.subscription?.unsubscribe()
    this.once.forget(`${key} `)
  }

  /**
   * Endpoints of a ServiceEntry, checked like those of a registry; they win over every registry until they are taken
   * back with undefined.
   */
  declare(key: ServiceKey, set: EndpointSet | undefined): void {
    const wanted = this.wanted.get(key)
    if (wanted === undefined) return
    wanted.declared =
      set === undefined ? undefined : { ...set, endpoints: this.accept(key, set, set.registry).endpoints }
    this.publish(key, wanted)
    if (set !== undefined) this.answered(key, wanted)
  }

  view(key: ServiceKey): DirectoryEntry | undefined {
    const wanted = this.wanted.get(key)
    if (wanted === undefined) return undefined
    return {
      set: wanted.published,
      isAnswered: wanted.hasAnswered,
      held: wanted.sources.find((source) => source.held !== undefined)?.held,
      refused: wanted.sources.reduce((sum, source) => sum + source.refused, 0),
    }
  }

  keys(): Iterable<ServiceKey> {
    return this.wanted.keys()
  }

  get size(): number {
    return this.wanted.size
  }

  /** Services whose shrinking answer is held back at the moment. */
  heldBack(): ServiceKey[] {
    return [...this.wanted]
      .filter(([, one]) => one.sources.some((source) => source.held !== undefined || source.kept.length > 0))
      .map(([key]) => key)
  }

  problemOf(registry: string): RegistryProblem | undefined {
    const index = this.deps.adapters.findIndex((adapter) => adapter.name === registry)
    return this.problems[index]
  }

  close(): void {
    this.isClosed = true
    for (const cancel of this.cancelStale) cancel?.()
    for (const key of this.wanted.keys()) this.release(key)
  }

  private restore(key: ServiceKey, wanted: Wanted, restored: EndpointSet | undefined): void {
    if (restored === undefined) return
    const index = this.deps.adapters.findIndex((adapter) => adapter.name === restored.registry)
    const source = wanted.sources[index]
    // a set of a registry that is no longer configured is not ours to serve
    if (source === undefined) return
    source.endpoints = acceptEndpoints(restored, this.deps.rules).endpoints
    source.kept = keptOf(restored, source.endpoints)
    source.protectThreshold = restored.protectThreshold
    source.confirmedAt = restored.confirmedAt
    this.publish(key, wanted)
  }

  /** What of a set may be used; the rest is counted and told once. */
  private accept(
    key: ServiceKey,
    set: EndpointSet,
    source: string,
    known: readonly Endpoint[] = [],
  ): ReturnType<typeof acceptEndpoints> {
    const accepted = acceptEndpoints(set, this.deps.rules, known)
    for (const { endpoint, reason, count } of accepted.refused) {
      this.deps.metrics.count('registry_endpoints_refused', { registry: source, reason }, count)
      if (this.once.isNews(`${key} ${source} ${endpoint} ${reason}`))
        this.deps.log.warn(
          { service: key, registry: source, endpoint, reason, count },
          `${key}: endpoint ${endpoint} of ${source} is refused (${reason}${count > 1 ? `, ${count} of them` : ''}); the others are used`,
        )
    }
    return accepted
  }

  private hear(key: ServiceKey, wanted: Wanted, index: number, set: EndpointSet, isConfirmed: boolean): void {
    if (this.wanted.get(key) !== wanted) return
    const adapter = this.deps.adapters[index]!
    if (set.isForeign !== true) this.answers(index)
    const source = wanted.sources[index]!
    const accepted = this.accept(key, set, adapter.name, source.endpoints)
    source.refused = accepted.refused.reduce((sum, { count }) => sum + count, 0)
    const wasHeld = source.held !== undefined
    const result = protect(
      source.endpoints,
      accepted.endpoints,
      source.held,
      this.deps.protect,
      this.deps.clock.monotonic(),
      isConfirmed,
    )
    if (result.held !== undefined && !wasHeld) {
      this.deps.metrics.count('registry_updates_held', { registry: adapter.name })
      this.deps.log.warn(
        { code: 'E_REGISTRY_HELD', service: key, registry: adapter.name },
        `${key}: ${adapter.name} went from ${source.endpoints?.length ?? 0} to ${accepted.endpoints.length} endpoints; ` +
          `the old ones stay as the last choice until it is confirmed, at most ${this.deps.protect.confirmAfterMs} ms`,
      )
    } else if (result.held === undefined && wasHeld) {
      this.deps.log.info({ service: key, registry: adapter.name }, `${key}: the answer of ${adapter.name} is taken now`)
    }
    source.endpoints = result.endpoints
    source.held = result.held
    source.kept = keptOf(set, result.endpoints)
    source.isAnswered = true
    source.protectThreshold =
      Number.isFinite(set.protectThreshold) && set.protectThreshold >= 0 && set.protectThreshold <= 1
        ? set.protectThreshold
        : 0
    source.confirmedAt = this.deps.clock.wall()
    this.armExpiry(key, wanted)
    this.publish(key, wanted)
    if (result.endpoints.length > 0 || wanted.sources.every((one) => one.isAnswered)) this.answered(key, wanted)
  }

  /** The registry itself has spoken. */
  private answers(index: number): void {
    const { name } = this.deps.adapters[index]!
    if (this.problems[index] !== undefined) {
      this.problems[index] = undefined
      this.cancelStale[index]?.()
      this.deps.log.info({ registry: name }, `${name}: answers again`)
    }
    if (this.heard.has(index)) return
    this.heard.add(index)
    this.deps.timeline.turn({
      kind: 'registry',
      about: name,
      what: 'back',
      message: 'the registry answers',
      isNormal: true,
    })
  }

  private lose(index: number, problem: RegistryProblem): void {
    const before = this.problems[index]
    this.problems[index] = problem
    // every subscription tells about the same loss
    if (this.isClosed || (before !== undefined && Math.abs(problem.at - before.at) < sameLossMs)) return
    const adapter = this.deps.adapters[index]!
    this.heard.delete(index)
    this.deps.timeline.turn({
      kind: 'registry',
      about: adapter.name,
      what: 'lost',
      message: `${problem.message}; the last good endpoints stay in use`,
      severity: 'warning',
    })
    this.watchStaleness(index)
    this.deps.metrics.count('registry_absences', { registry: adapter.name })
    this.deps.log.warn(
      { code: problem.code, registry: adapter.name },
      `${adapter.name}: ${problem.message}; the last good endpoints stay in use`,
    )
  }

  /** Says once per loss that the data are old by now. */
  private watchStaleness(index: number): void {
    this.cancelStale[index]?.()
    const { clock, log, metrics, staleAfterMs } = this.deps
    this.cancelStale[index] = clock.after(staleAfterMs, () => {
      const adapter = this.deps.adapters[index]!
      if (adapter.status().connected) return
      this.deps.timeline.turn({
        kind: 'registry',
        about: adapter.name,
        what: 'stale',
        message: `not heard for ${Math.round(staleAfterMs / 1000)} s; the last good endpoints stay in use`,
        severity: 'error',
      })
      metrics.count('registry_stalenesses', { registry: adapter.name })
      log.error(
        { code: 'E_REGISTRY_STALE', registry: adapter.name },
        `${adapter.name}: not heard for ${staleAfterMs} ms; serving the last good endpoints of ${this.wanted.size} services; check that the registry is reachable`,
      )
    })
  }

  private answered(key: ServiceKey, wanted: Wanted): void {
    if (wanted.hasAnswered || this.wanted.get(key) !== wanted) return
    wanted.hasAnswered = true
    this.deps.onAnswered?.(key)
  }

  private armExpiry(key: ServiceKey, wanted: Wanted): void {
    wanted.cancelExpiry?.()
    wanted.cancelExpiry = undefined
    const now = this.deps.clock.monotonic()
    const waits = wanted.sources.flatMap((source) =>
      source.held === undefined ? [] : [source.held.since + this.deps.protect.confirmAfterMs - now],
    )
    if (waits.length === 0) return
    wanted.cancelExpiry = this.deps.clock.after(Math.max(1, Math.min(...waits)), () => this.expireHeld(key, wanted))
  }

  private expireHeld(key: ServiceKey, wanted: Wanted): void {
    wanted.cancelExpiry = undefined
    const now = this.deps.clock.monotonic()
    for (const [index, source] of wanted.sources.entries()) {
      if (source.held === undefined) continue
      // a registry that is away confirms nothing by being silent
      const isConnected = this.deps.adapters[index]!.status().connected
      const endpoints = isConnected ? expire(source.held, this.deps.protect, now) : undefined
      if (endpoints === undefined) {
        source.held = isConnected ? source.held : { ...source.held, since: now }
        continue
      }
      source.endpoints = endpoints
      source.held = undefined
      this.deps.log.info(
        { service: key, registry: this.deps.adapters[index]!.name, endpoints: endpoints.length },
        `${key}: nothing else was heard for ${this.deps.protect.confirmAfterMs} ms, the held-back answer is taken`,
      )
    }
    this.armExpiry(key, wanted)
    this.publish(key, wanted)
  }

  private publish(key: ServiceKey, wanted: Wanted): void {
    const chosen = this.choose(key, wanted)
    if (chosen === undefined) return
    const before = wanted.published
    const isSame =
      before !== undefined &&
      before.registry === chosen.registry &&
      before.protectThreshold === chosen.protectThreshold &&
      isDeepStrictEqual(before.held, chosen.held) &&
      (before.endpoints === chosen.endpoints || isDeepStrictEqual(before.endpoints, chosen.endpoints))
    if (isSame) {
      wanted.published = { ...chosen, version: before.version }
      if (before.endpoints !== chosen.endpoints) this.deps.onSame?.(wanted.published)
      return
    }
    wanted.published = { ...chosen, version: ++this.version }
    this.deps.onChange(wanted.published)
  }

  private choose(key: ServiceKey, wanted: Wanted): Omit<EndpointSet, 'version'> | undefined {
    if (wanted.declared !== undefined) return wanted.declared
    let fallback: number | undefined
    for (const [index, source] of wanted.sources.entries()) {
      if (source.endpoints === undefined) continue
      fallback ??= index
      if (source.endpoints.length > 0) return this.setOf(key, wanted, index)
    }
    return fallback === undefined ? undefined : this.setOf(key, wanted, fallback)
  }

  private setOf(key: ServiceKey, wanted: Wanted, index: number): Omit<EndpointSet, 'version'> {
    const source = wanted.sources[index]!
    const held = heldIn(source)
    return {
      service: key,
      endpoints: source.endpoints!,
      ...(held.length === 0 ? {} : { held }),
      protectThreshold: source.protectThreshold,
      registry: this.deps.adapters[index]!.name,
      confirmedAt: source.confirmedAt,
    }
  }
}

/** What an adapter (or the snapshot on disk) says is kept, as far as it is in the set. */
function keptOf(set: EndpointSet, endpoints: readonly Endpoint[]): readonly string[] {
  if (set.held === undefined || set.held.length === 0) return nothingKept
  const named = new Set(set.held)
  return endpoints.map(endpointId).filter((id) => named.has(id))
}

function heldIn(source: Source): readonly string[] {
  if (source.held === undefined) return source.kept
  return source.kept.length === 0 ? source.held.ids : [...new Set([...source.held.ids, ...source.kept])].sort()
}
