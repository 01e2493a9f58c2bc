/**
 * The services that somebody listens to: asked for on each new connection, kept up to date by pushes, asked for again
 * now and then, and judged before anybody hears of them. Desired state only grows and shrinks by `subscribe` and
 * `unsubscribe`; where it comes from (gRPC, or HTTP polls) is the transport's matter.
 */
import { every } from '../../../contracts/clock.ts'
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { Endpoint, EndpointSet, ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  RegistryProblem,
  Subscription,
} from '../../../contracts/registry-adapter.ts'
import type { Refusals } from '../refusals.ts'
import { groupedName } from '../wire/service-name.ts'
import { judge } from './judge.ts'
import type { News } from './judge.ts'
import { readService, sameEndpoints } from './read-service.ts'
import type { ServiceAnswer } from './read-service.ts'
import { clearTimers, createNamingWatch } from './naming-watch.ts'
import type { NamingTransport, NamingWatch } from './naming-watch.ts'
import { Withheld } from './withheld.ts'
import type { WithheldDeps } from './withheld.ts'

export interface DiscoveryDeps extends Omit<WithheldDeps, 'transport' | 'isWatched' | 'readView' | 'use' | 'serve'> {
  readonly onHeard: () => void
  readonly refusals: Pick<Refusals, 'refused' | 'answered' | 'forget'>
}

/** Questions under way at the same time. */
const maxQuestions = 32
/** Safety polls and HTTP polls together: never more than this many a second. */
const maxPollsPerSecond = 2
const pollTickMs = 1000
/** What is refused is logged once per service and reason; that memory holds this many. */
const maxRemembered = 1000

export class Discovery {
  private readonly deps: DiscoveryDeps
  private readonly withheld: Withheld
  private readonly watches = new Map<ServiceKey, NamingWatch>()
  /** The same by `group@@name`. */
  private readonly byName = new Map<string, Set<NamingWatch>>()
  private readonly waiting = new Set<NamingWatch>()
  private readonly remembered = new Set<string>()
  private readonly pushed = new Map<ServiceKey, unknown>()
  private transport: NamingTransport | undefined
  private questions = 0
  private pollTimer: (() => void) | undefined
  private isPushScheduled = false
  private isClosed = false

  constructor(deps: DiscoveryDeps) {
    this.deps = deps
    this.withheld = new Withheld({
      ...deps,
      transport: () => this.transport,
      isWatched: (watch) => this.watches.get(watch.key) === watch,
      readView: (watch, info) => this.read(watch, info),
      use: (watch, view, source, isConfirmed) => this.use(watch, view, source, isConfirmed),
      serve: (watch, endpoints, held) => this.serve(watch, endpoints, held),
    })
  }

  get size(): number {
    return this.watches.size
  }

  /** Groups of the services that are listened to. */
  groups(): Set<string> {
    return new Set([...this.watches.values()].map(({ service }) => service.group))
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    const key = serviceKey(service)
    let watch = this.watches.get(key)
    if (watch === undefined) {
      watch = createNamingWatch(service, key)
      this.watches.set(key, watch)
      const name = groupedName(service.group, service.name)
      const named = this.byName.get(name) ?? new Set()
      this.byName.set(name, named.add(watch))
      this.want(watch)
    }
    // each subscription is one of its own, also when a listener object is used twice
    const own: EndpointListener = {
      onEndpoints: (...word) => listener.onEndpoints(...word),
      onStale: (problem) => listener.onStale(problem),
    }
    watch.listeners.add(own)
    const present = watch
    if (present.set !== undefined)
      setImmediate(() => {
        if (!present.listeners.has(own) || present.set === undefined) return
        this.tell(present, own, present.set, false)
        const { stale } = present
        if (stale !== undefined && present.listeners.has(own)) guarded(this.deps, () => own.onStale(stale))
      })
    return {
      unsubscribe: () => {
        if (!present.listeners.delete(own) || present.listeners.size > 0) return
        this.forget(present)
      },
    }
  }

  /** A transport is ready. `isAfterOutage` = every server had been away. */
  connected(transport: NamingTransport, isAfterOutage: boolean): void {
    this.transport = transport
    if (isAfterOutage) this.withheld.settle()
    this.pollTimer?.()
    const tickMs = transport.pollMs > 0 ? Math.min(pollTickMs, transport.pollMs) : pollTickMs
    this.pollTimer = every(this.deps.clock, tickMs, () => this.poll())
    for (const watch of this.watches.values()) this.want(watch)
  }

  /** There is no transport at the moment. */
  lost(problem: MeshError): void {
    this.transport = undefined
    this.pollTimer?.()
    this.waiting.clear()
    const words: RegistryProblem = { code: problem.code, message: problem.message, at: this.deps.clock.wall() }
    for (const watch of this.watches.values()) {
      clearTimers(watch)
      this.tellStale(watch, words)
    }
  }

  /**
   * Asks again at once for everything that the last answer to was none: somebody may have mended what stood in the way.
   */
  askFailed(): void {
    for (const watch of this.watches.values()) {
      if (watch.failures === 0 || watch.isAsking) continue
      watch.timer?.()
      watch.timer = undefined
      this.want(watch, watch.subscribedOn === this.transport)
    }
  }

  private tellStale(watch: NamingWatch, problem: RegistryProblem): void {
    if (watch.stale !== undefined) return
    watch.stale = problem
    for (const listener of watch.listeners) guarded(this.deps, () => listener.onStale(problem))
  }

  /**
   * A pushed view. Returns at once; only the newest one per service is looked at. Real servers do not say which
   * namespace a push is about: where the same name is wanted of two namespaces, both are asked for instead.
   */
  push(namespace: string | undefined, group: string, name: string, info: unknown): void {
    const named = [...(this.byName.get(groupedName(group, name)) ?? [])]
    const wanted = namespace === undefined ? named : named.filter(({ service }) => service.namespace === namespace)
    const first = wanted[0]
    if (first === undefined) {
      this.deps.metrics.count('registry_push_refused', { registry: this.deps.registry, reason: 'not-subscribed' })
      return
    }
    if (wanted.length > 1) {
      for (const watch of wanted) this.want(watch, true)
      return
    }
    this.pushed.set(first.key, info)
    if (this.isPushScheduled) return
    this.isPushScheduled = true
    setImmediate(() => this.takePushes())
  }

  /** Asks for one service again, for example because somebody hinted at a change. */
  ask(service: ServiceName): void {
    const watch = this.watches.get(serviceKey(service))
    if (watch !== undefined && !watch.isAsking) this.want(watch, true)
  }

  close(): void {
    this.isClosed = true
    this.withheld.close()
    this.transport = undefined
    this.pollTimer?.()
    for (const watch of this.watches.values()) {
      clearTimers(watch)
      watch.listeners.clear()
    }
    this.watches.clear()
    this.byName.clear()
    this.waiting.clear()
    this.pushed.clear()
  }

  private forget(watch: NamingWatch): void {
    this.watches.delete(watch.key)
    const name = groupedName(watch.service.group, watch.service.name)
    const named = this.byName.get(name)
    named?.delete(watch)
    if (named?.size === 0) this.byName.delete(name)
    this.waiting.delete(watch)
    this.pushed.delete(watch.key)
    clearTimers(watch)
    this.withheld.release(watch)
    this.deps.refusals.forget('subscribe', watch.key)
    if (watch.subscribedOn !== undefined && watch.subscribedOn === this.transport)
      watch.subscribedOn.unsubscribe(watch.service).catch(() => undefined)
  }

  /** Asks as soon as there is room: for a subscription, or for a plain view where one exists already. */
  private want(watch: NamingWatch, isPoll = false): void {
    if (this.isClosed || this.transport === undefined || watch.isAsking) return
    if (!isPoll && watch.subscribedOn === this.transport) return
    this.waiting.add(watch)
    this.pump()
  }

  private pump(): void {
    for (const watch of this.waiting) {
      if (this.questions >= maxQuestions || this.transport === undefined) return
      this.waiting.delete(watch)
      void this.question(watch, this.transport)
    }
  }

  private async question(watch: NamingWatch, transport: NamingTransport): Promise<void> {
    this.questions++
    watch.isAsking = true
    const askedAt = this.deps.clock.monotonic()
    const isPoll = watch.subscribedOn === transport
    try {
      const info = isPoll ? await transport.query(watch.service) : await transport.subscribe(watch.service)
      if (this.transport === transport && this.watches.get(watch.key) === watch) {
        watch.subscribedOn = transport
        watch.nextAskAt = askedAt + this.pollIntervalMs(transport)
        this.deps.onHeard()
        this.deps.refusals.answered('subscribe', watch.key)
        const version = watch.version
        if (this.hear(watch, info, { source: transport.source, askedAt })) watch.failures = 0
        else {
          watch.failures++
          this.askLater(watch)
        }
        // a poll that brings news although pushes should have: the server may have lost the subscription
        if (isPoll && watch.version !== version && transport.pollMs === 0) watch.subscribedOn = undefined
      }
    } catch (error) {
      // the connection was replaced meanwhile, and the service is asked for on the new one
      if (this.transport !== transport) return
      watch.failures++
      const code = error instanceof MeshError ? error.code : 'E_INTERNAL'
      if (error instanceof MeshError && code === 'E_REGISTRY_DENIED' && this.watches.get(watch.key) === watch) {
        this.deps.refusals.refused('subscribe', watch.key, error)
        this.tellStale(watch, { code, message: error.message, at: this.deps.clock.wall() })
      }
      this.once(`${watch.key} ${code}`, () =>
        this.deps.log.warn(
          { registry: this.deps.registry, service: watch.key, code },
          `${describeError(error)}; asking again`,
        ),
      )
      this.askLater(watch)
    } finally {
      watch.isAsking = false
      this.questions--
      this.pump()
    }
  }

  private askLater(watch: NamingWatch): void {
    const waitMs = Math.min(10_000, 200 * 2 ** Math.min(watch.failures, 6)) * (0.5 + this.deps.random() / 2)
    watch.timer?.()
    watch.timer = this.deps.clock.after(waitMs, () => {
      watch.timer = undefined
      this.want(watch, watch.subscribedOn === this.transport)
    })
  }

  private takePushes(): void {
    this.isPushScheduled = false
    const transport = this.transport
    const pushed = [...this.pushed]
    this.pushed.clear()
    if (transport === undefined) return
    for (const [key, info] of pushed) {
      const watch = this.watches.get(key)
      if (watch === undefined) continue
      this.deps.metrics.count('registry_pushes', { registry: this.deps.registry })
      this.hear(watch, info, { source: transport.source, askedAt: undefined })
    }
  }

  /** Reads, judges, and acts on news. Answers false when they cannot be read. */
  private hear(watch: NamingWatch, info: unknown, from: Pick<News, 'source' | 'askedAt'>): boolean {
    const view = this.read(watch, info)
    if (view === undefined) return false
    const verdict = judge(watch.known, { view, ...from }, this.withheld.mood)
    switch (verdict) {
      case 'accept':
        this.withheld.accept(watch, view, from.source)
        break
      case 'older':
      case 'invalid':
        this.deps.metrics.count('registry_push_refused', { registry: this.deps.registry, reason: verdict })
        this.once(`${watch.key} ${verdict}`, () =>
          this.deps.log.warn(
            { registry: this.deps.registry, service: watch.key, server: from.source },
            verdict === 'older'
              ? 'refused a list that is older than the one in use'
              : 'refused a list that the server itself calls invalid',
          ),
        )
        break
      case 'doubtful':
        this.withheld.doubt(watch, view, from.source)
        break
      default:
        this.withheld.hold(watch, view, verdict)
    }
    return true
  }

  private read(watch: NamingWatch, info: unknown): ServiceAnswer | undefined {
    let view: ServiceAnswer
    try {
      view = readService(info, watch.service, this.deps.read)
    } catch (error) {
      this.deps.metrics.count('registry_push_refused', { registry: this.deps.registry, reason: 'malformed' })
      this.once(`${watch.key} malformed`, () =>
        this.deps.log.warn(
          { registry: this.deps.registry, service: watch.key },
          `${describeError(error)}; keeping what is known`,
        ),
      )
      return undefined
    }
    for (const [reason, count] of view.refused) {
      this.deps.metrics.count('registry_instances_refused', { registry: this.deps.registry, reason }, count)
      this.once(`${watch.key} instance ${reason}`, () =>
        this.deps.log.warn(
          { registry: this.deps.registry, service: watch.key, reason, count },
          'instances, or parts of them, were refused; the others are used',
        ),
      )
    }
    return view
  }

  private use(watch: NamingWatch, view: ServiceAnswer, source: string, isConfirmed: boolean): void {
    // the wire does not tell the threshold, only that it was passed: then every instance may be used
    const protectThreshold = view.isProtected ? 1 : 0
    watch.known = {
      endpoints: view.endpoints,
      lastRefTime: view.lastRefTime,
      source,
      acceptedAt: this.deps.clock.monotonic(),
    }
    this.show(watch, view.endpoints, [], protectThreshold, isConfirmed)
  }

  private serve(watch: NamingWatch, endpoints: readonly Endpoint[], held: readonly string[]): void {
    this.show(watch, endpoints, held, watch.set?.protectThreshold ?? 0, false)
  }

  private show(
    watch: NamingWatch,
    endpoints: readonly Endpoint[],
    held: readonly string[],
    protectThreshold: number,
    isConfirmed: boolean,
  ): void {
    const before = watch.set
    const isSame =
      before !== undefined &&
      before.protectThreshold === protectThreshold &&
      sameIds(before.held ?? [], held) &&
      sameEndpoints(before.endpoints, endpoints)
    if (isSame && watch.stale === undefined && !isConfirmed) {
      watch.set = { ...before, confirmedAt: this.deps.clock.wall() }
      return
    }
    if (!isSame) watch.version++
    watch.stale = undefined
    watch.set = {
      service: watch.key,
      version: watch.version,
      endpoints: isSame ? before.endpoints : endpoints,
      ...(held.length === 0 ? {} : { held }),
      protectThreshold,
      registry: this.deps.registry,
      confirmedAt: this.deps.clock.wall(),
    }
    for (const listener of watch.listeners) this.tell(watch, listener, watch.set, isConfirmed)
  }

  private tell(watch: NamingWatch, listener: EndpointListener, set: EndpointSet, isConfirmed: boolean): void {
    if (this.watches.get(watch.key) === watch) guarded(this.deps, () => listener.onEndpoints(set, isConfirmed))
  }

  /** Keeps what is in use and looks for a second source. */
  private poll(): void {
    const transport = this.transport
    if (transport === undefined) return
    const now = this.deps.clock.monotonic()
    for (const watch of this.watches.values()) {
      this.withheld.resume(watch)
      if (watch.subscribedOn !== transport && !watch.isAsking && watch.timer === undefined) this.want(watch)
    }
    if (this.pollIntervalMs(transport) === 0) return
    let room = transport.pollMs > 0 ? maxQuestions : maxPollsPerSecond
    for (const watch of this.watches.values()) {
      if (room === 0) return
      if (watch.subscribedOn !== transport || watch.isAsking || watch.held !== undefined || watch.nextAskAt > now)
        continue
      room--
      this.want(watch, true)
    }
  }

  private pollIntervalMs(transport: NamingTransport): number {
    const base = transport.pollMs > 0 ? transport.pollMs : this.deps.times.safetyPollMs
    // spread, so that a thousand services that were subscribed together are not polled together
    return base * (0.75 + this.deps.random() / 2)
  }

  /** Logs once per key, until so many others came that it was forgotten. */
  private once(key: string, log: () => void): void {
    if (this.remembered.has(key)) return
    if (this.remembered.size >= maxRemembered) this.remembered.delete(this.remembered.values().next().value ?? '')
    this.remembered.add(key)
    log()
  }
}

function sameIds(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((id, index) => id === right[index])
}

function guarded(deps: AdapterDeps, call: () => void): void {
  try {
    call()
  } catch (error) {
    deps.log.error({ code: 'E_INTERNAL' }, `a listener failed: ${describeError(error)}`)
  }
}
