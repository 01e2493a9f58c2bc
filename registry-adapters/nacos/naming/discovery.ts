/**
 * The services that somebody listens to: asked for on each new connection, kept up to date by pushes, asked for again now and then, and judged before anybody
 * hears of them. Desired state only grows and shrinks by `subscribe` and `unsubscribe`; where it comes from (gRPC, or HTTP polls) is the transport's matter.
 */
import { endpointId, serviceKey } from '../../../contracts/endpoint.ts'
import type { EndpointSet, ServiceKey, ServiceName } from '../../../contracts/endpoint.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  RegistryProblem,
  Subscription,
} from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import { groupedName } from '../wire/service-name.ts'
import { DoubtedLosses } from './doubted-losses.ts'
import { judge } from './judge.ts'
import type { Known, News, ServerMood, Verdict } from './judge.ts'
import { readService, sameEndpoints } from './read-service.ts'
import type { ReadOptions, ServiceView } from './read-service.ts'

/** How services are asked for; one at a time is in use. */
export interface NamingTransport {
  /** Identity of the connection or server whose answers can be put in order. */
  readonly source: string
  /** The server's view, and pushes from now on where the transport has them. */
  subscribe(service: ServiceName): Promise<unknown>
  unsubscribe(service: ServiceName): Promise<void>
  /** The server's view, now. */
  query(service: ServiceName): Promise<unknown>
  /** How often each service must be asked for because nobody tells us; 0 = pushes come. */
  readonly pollMs: number
}

export interface DiscoveryDeps extends AdapterDeps {
  readonly registry: string
  readonly times: NacosTimes
  readonly read: ReadOptions
  /** Whether there is a server besides the one that we are connected to. */
  readonly hasSecondServer: () => boolean
  /** That server's view of a service. */
  readonly secondOpinion: (service: ServiceName) => Promise<unknown>
  /** Whether servers come and go at the moment, or did shortly before. */
  readonly isTroubled: () => boolean
  readonly onHeard: () => void
}

interface Watch {
  readonly service: ServiceName
  readonly key: ServiceKey
  readonly listeners: Set<EndpointListener>
  version: number
  known: Known | undefined
  set: EndpointSet | undefined
  /** What the listeners were told when the data became old; undefined = they are fresh. */
  stale: RegistryProblem | undefined
  /** Asked for on this transport. */
  subscribedOn: NamingTransport | undefined
  isAsking: boolean
  failures: number
  nextAskAt: number
  held: Held | undefined
  readonly doubted: DoubtedLosses
  /** Something of the known is used although the last list lacks it. */
  isKept: boolean
  timer: NodeJS.Timeout | undefined
  /** The next look at what is doubted. */
  doubtTimer: NodeJS.Timeout | undefined
}

interface Held {
  readonly since: number
  /** The answers of the questions so far agreed with what is held; failed ones do not count. */
  attempts: number
}

/** Questions under way at the same time. */
const maxQuestions = 32
/** Safety polls and HTTP polls together: never more than this many a second. */
const maxPollsPerSecond = 2
const pollTickMs = 1000
/** What is refused is logged once per service and reason; that memory holds this many. */
const maxRemembered = 1000

export class Discovery {
  readonly #deps: DiscoveryDeps
  readonly #watches = new Map<ServiceKey, Watch>()
  /** The same by `group@@name`. */
  readonly #byName = new Map<string, Set<Watch>>()
  readonly #waiting = new Set<Watch>()
  readonly #remembered = new Set<string>()
  readonly #pushed = new Map<ServiceKey, unknown>()
  #transport: NamingTransport | undefined
  #isUnsettledUntil = 0
  #questions = 0
  #held = 0
  #pollTimer: NodeJS.Timeout | undefined
  #isPushScheduled = false
  #isClosed = false

  constructor(deps: DiscoveryDeps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#watches.size
  }

  /** Groups of the services that are listened to. */
  groups(): Set<string> {
    return new Set([...this.#watches.values()].map(({ service }) => service.group))
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    const key = serviceKey(service)
    let watch = this.#watches.get(key)
    if (watch === undefined) {
      watch = {
        service,
        key,
        listeners: new Set(),
        version: 0,
        known: undefined,
        set: undefined,
        stale: undefined,
        subscribedOn: undefined,
        isAsking: false,
        failures: 0,
        nextAskAt: 0,
        held: undefined,
        doubted: new DoubtedLosses(),
        isKept: false,
        timer: undefined,
        doubtTimer: undefined,
      }
      this.#watches.set(key, watch)
      const name = groupedName(service.group, service.name)
      const named = this.#byName.get(name) ?? new Set()
      this.#byName.set(name, named.add(watch))
      this.#want(watch)
    }
    // each subscription is one of its own, also when a listener object is used twice
    const own: EndpointListener = {
      onEndpoints: (set) => listener.onEndpoints(set),
      onStale: (problem) => listener.onStale(problem),
    }
    watch.listeners.add(own)
    const present = watch
    if (present.set !== undefined)
      setImmediate(() => {
        if (!present.listeners.has(own) || present.set === undefined) return
        this.#tell(present, own, present.set)
        const { stale } = present
        if (stale !== undefined && present.listeners.has(own)) guarded(this.#deps, () => own.onStale(stale))
      })
    return {
      unsubscribe: () => {
        if (!present.listeners.delete(own) || present.listeners.size > 0) return
        this.#forget(present)
      },
    }
  }

  /** A transport is ready. `isAfterOutage` = every server had been away. */
  connected(transport: NamingTransport, isAfterOutage: boolean): void {
    this.#transport = transport
    if (isAfterOutage) this.#isUnsettledUntil = performance.now() + this.#deps.times.settleMs
    clearInterval(this.#pollTimer)
    const tickMs = transport.pollMs > 0 ? Math.min(pollTickMs, transport.pollMs) : pollTickMs
    this.#pollTimer = setInterval(() => this.#poll(), tickMs)
    for (const watch of this.#watches.values()) this.#want(watch)
  }

  /** There is no transport at the moment. */
  lost(problem: MeshError): void {
    this.#transport = undefined
    clearInterval(this.#pollTimer)
    this.#waiting.clear()
    const words: RegistryProblem = { code: problem.code, message: problem.message, at: this.#deps.now() }
    for (const watch of this.#watches.values()) {
      clearTimers(watch)
      if (watch.stale !== undefined) continue
      watch.stale = words
      for (const listener of watch.listeners) guarded(this.#deps, () => listener.onStale(words))
    }
  }

  /**
   * A pushed view. Returns at once; only the newest one per service is looked at. Real servers do not say which namespace a push is about: where the same name is
   * wanted of two namespaces, both are asked for instead.
   */
  push(namespace: string | undefined, group: string, name: string, info: unknown): void {
    const named = [...(this.#byName.get(groupedName(group, name)) ?? [])]
    const wanted = namespace === undefined ? named : named.filter(({ service }) => service.namespace === namespace)
    const first = wanted[0]
    if (first === undefined) {
      this.#deps.metrics.count('registry_push_refused', { registry: this.#deps.registry, reason: 'not-subscribed' })
      return
    }
    if (wanted.length > 1) {
      for (const watch of wanted) this.#want(watch, true)
      return
    }
    this.#pushed.set(first.key, info)
    if (this.#isPushScheduled) return
    this.#isPushScheduled = true
    setImmediate(() => this.#takePushes())
  }

  /** Asks for one service again, for example because somebody hinted at a change. */
  ask(service: ServiceName): void {
    const watch = this.#watches.get(serviceKey(service))
    if (watch !== undefined && !watch.isAsking) this.#want(watch, true)
  }

  close(): void {
    this.#isClosed = true
    this.#transport = undefined
    clearInterval(this.#pollTimer)
    for (const watch of this.#watches.values()) {
      clearTimers(watch)
      watch.listeners.clear()
    }
    this.#watches.clear()
    this.#byName.clear()
    this.#waiting.clear()
    this.#pushed.clear()
  }

  #forget(watch: Watch): void {
    this.#watches.delete(watch.key)
    const name = groupedName(watch.service.group, watch.service.name)
    const named = this.#byName.get(name)
    named?.delete(watch)
    if (named?.size === 0) this.#byName.delete(name)
    this.#waiting.delete(watch)
    this.#pushed.delete(watch.key)
    clearTimers(watch)
    this.#release(watch)
    if (watch.subscribedOn !== undefined && watch.subscribedOn === this.#transport)
      watch.subscribedOn.unsubscribe(watch.service).catch(() => undefined)
  }

  /** Asks as soon as there is room: for a subscription, or for a plain view where one exists already. */
  #want(watch: Watch, isPoll = false): void {
    if (this.#isClosed || this.#transport === undefined || watch.isAsking) return
    if (!isPoll && watch.subscribedOn === this.#transport) return
    this.#waiting.add(watch)
    this.#pump()
  }

  #pump(): void {
    for (const watch of this.#waiting) {
      if (this.#questions >= maxQuestions || this.#transport === undefined) return
      this.#waiting.delete(watch)
      void this.#question(watch, this.#transport)
    }
  }

  async #question(watch: Watch, transport: NamingTransport): Promise<void> {
    this.#questions++
    watch.isAsking = true
    const askedAt = performance.now()
    const isPoll = watch.subscribedOn === transport
    try {
      const info = isPoll ? await transport.query(watch.service) : await transport.subscribe(watch.service)
      if (this.#transport === transport && this.#watches.get(watch.key) === watch) {
        watch.subscribedOn = transport
        watch.nextAskAt = askedAt + this.#pollIntervalMs(transport)
        this.#deps.onHeard()
        const version = watch.version
        if (this.#hear(watch, info, { source: transport.source, askedAt })) watch.failures = 0
        else {
          watch.failures++
          this.#askLater(watch)
        }
        // a poll that brings news although pushes should have: the server may have lost the subscription
        if (isPoll && watch.version !== version && transport.pollMs === 0) watch.subscribedOn = undefined
      }
    } catch (error) {
      watch.failures++
      const code = error instanceof MeshError ? error.code : 'E_INTERNAL'
      this.#once(`${watch.key} ${code}`, () =>
        this.#deps.log.warn(
          { registry: this.#deps.registry, service: watch.key, code },
          `${describeError(error)}; asking again`,
        ),
      )
      if (this.#transport === transport) this.#askLater(watch)
    } finally {
      watch.isAsking = false
      this.#questions--
      this.#pump()
    }
  }

  #askLater(watch: Watch): void {
    const waitMs = Math.min(10_000, 200 * 2 ** Math.min(watch.failures, 6)) * (0.5 + this.#deps.random() / 2)
    clearTimeout(watch.timer)
    watch.timer = setTimeout(() => {
      watch.timer = undefined
      this.#want(watch, watch.subscribedOn === this.#transport)
    }, waitMs)
  }

  #takePushes(): void {
    this.#isPushScheduled = false
    const transport = this.#transport
    const pushed = [...this.#pushed]
    this.#pushed.clear()
    if (transport === undefined) return
    for (const [key, info] of pushed) {
      const watch = this.#watches.get(key)
      if (watch === undefined) continue
      this.#deps.metrics.count('registry_pushes', { registry: this.#deps.registry })
      this.#hear(watch, info, { source: transport.source, askedAt: undefined })
    }
  }

  /** Reads, judges, and acts on news. Answers false when they cannot be read. */
  #hear(watch: Watch, info: unknown, from: Pick<News, 'source' | 'askedAt'>): boolean {
    const view = this.#read(watch, info)
    if (view === undefined) return false
    const verdict = judge(watch.known, { view, ...from }, this.#mood())
    switch (verdict) {
      case 'accept':
        this.#accept(watch, view, from.source)
        break
      case 'older':
      case 'invalid':
        this.#deps.metrics.count('registry_push_refused', { registry: this.#deps.registry, reason: verdict })
        this.#once(`${watch.key} ${verdict}`, () =>
          this.#deps.log.warn(
            { registry: this.#deps.registry, service: watch.key, server: from.source },
            verdict === 'older'
              ? 'refused a list that is older than the one in use'
              : 'refused a list that the server itself calls invalid',
          ),
        )
        break
      case 'doubtful':
        this.#doubt(watch, view, from.source)
        break
      default:
        this.#hold(watch, view, verdict)
    }
    return true
  }

  #read(watch: Watch, info: unknown): ServiceView | undefined {
    let view: ServiceView
    try {
      view = readService(info, watch.service, this.#deps.read)
    } catch (error) {
      this.#deps.metrics.count('registry_push_refused', { registry: this.#deps.registry, reason: 'malformed' })
      this.#once(`${watch.key} malformed`, () =>
        this.#deps.log.warn(
          { registry: this.#deps.registry, service: watch.key },
          `${describeError(error)}; keeping what is known`,
        ),
      )
      return undefined
    }
    for (const [reason, count] of view.refused) {
      this.#deps.metrics.count('registry_instances_refused', { registry: this.#deps.registry, reason }, count)
      this.#once(`${watch.key} instance ${reason}`, () =>
        this.#deps.log.warn(
          { registry: this.#deps.registry, service: watch.key, reason, count },
          'instances, or parts of them, were refused; the others are used',
        ),
      )
    }
    return view
  }

  #mood(): ServerMood {
    if (performance.now() < this.#isUnsettledUntil) return 'outage'
    return this.#deps.isTroubled() ? 'trouble' : 'calm'
  }

  /** A list that is believed whole. */
  #accept(watch: Watch, view: ServiceView, source: string): void {
    if (watch.doubted.size > 0) {
      const ids = new Set(view.endpoints.map(endpointId))
      this.#sayReturned(watch, watch.doubted.countIn(ids))
    }
    this.#release(watch)
    this.#use(watch, view, source)
  }

  #use(watch: Watch, view: ServiceView, source: string): void {
    const before = watch.set
    // the wire does not tell the threshold, only that it was passed: then every instance may be used
    const protectThreshold = view.isProtected ? 1 : 0
    watch.known = { endpoints: view.endpoints, lastRefTime: view.lastRefTime, source, acceptedAt: performance.now() }
    const isSame =
      before !== undefined &&
      before.protectThreshold === protectThreshold &&
      sameEndpoints(before.endpoints, view.endpoints)
    if (isSame && watch.stale === undefined) {
      watch.set = { ...before, confirmedAt: this.#deps.now() }
      return
    }
    if (!isSame) watch.version++
    watch.stale = undefined
    watch.set = {
      service: watch.key,
      version: watch.version,
      endpoints: isSame ? before.endpoints : view.endpoints,
      protectThreshold,
      registry: this.#deps.registry,
      confirmedAt: this.#deps.now(),
    }
    for (const listener of watch.listeners) this.#tell(watch, listener, watch.set)
  }

  #tell(watch: Watch, listener: EndpointListener, set: EndpointSet): void {
    if (this.#watches.get(watch.key) === watch) guarded(this.#deps, () => listener.onEndpoints(set))
  }

  /** Keeps what is in use and looks for a second source. */
  #hold(watch: Watch, view: ServiceView, verdict: Verdict): void {
    if (watch.held !== undefined) return
    watch.held = { since: performance.now(), attempts: 0 }
    this.#gaugeHeld(watch)
    this.#deps.metrics.count('registry_held', { registry: this.#deps.registry, reason: verdict })
    this.#deps.log.warn(
      {
        registry: this.#deps.registry,
        service: watch.key,
        known: watch.known?.endpoints.length,
        now: view.endpoints.length,
        reason: verdict,
      },
      'Nacos shows fewer instances than are known; keeping them until a second answer confirms it',
    )
    this.#confirmLater(watch)
  }

  #confirmLater(watch: Watch): void {
    const held = watch.held
    if (held === undefined) return
    const settleMs = this.#isUnsettledUntil - performance.now()
    const pauseMs =
      this.#deps.hasSecondServer() && held.attempts === 0
        ? 0
        : this.#deps.times.confirmAfterMs * 2 ** Math.min(held.attempts, 3)
    // while the servers settle, polls go on at an ordinary pace: an answer that is whole again ends the holding early
    const waitMs = settleMs > 0 ? Math.min(settleMs, Math.max(pauseMs, this.#deps.times.confirmAfterMs)) : pauseMs
    clearTimeout(watch.timer)
    watch.timer = setTimeout(() => {
      watch.timer = undefined
      void this.#confirm(watch, held)
    }, waitMs)
  }

  async #confirm(watch: Watch, held: Held): Promise<void> {
    const transport = this.#transport
    if (transport === undefined || watch.held !== held) return
    held.attempts++
    const askedAt = performance.now()
    try {
      // every other time the server that said so is asked itself: it may have recovered
      const isOther = this.#deps.hasSecondServer() && held.attempts % 2 === 1
      const info = isOther ? await this.#deps.secondOpinion(watch.service) : await transport.query(watch.service)
      if (this.#transport !== transport || watch.held !== held) return
      const view = this.#read(watch, info)
      if (view !== undefined) {
        const mood = this.#mood()
        const source = isOther ? 'second server' : transport.source
        const verdict = judge(watch.known, { view, source, askedAt }, mood)
        if (verdict === 'accept') {
          this.#deps.log.info(
            { registry: this.#deps.registry, service: watch.key, instances: view.endpoints.length },
            'the second answer has the instances; the shorter list was wrong or is outdated',
          )
          this.#accept(watch, view, source)
          return
        }
        if (verdict === 'doubtful') {
          // trouble began while it was held: from now on each loss is doubted for itself
          this.#doubt(watch, view, source)
          return
        }
        if ((verdict === 'empty' || verdict === 'shrunk') && mood === 'calm') {
          this.#deps.log.info(
            { registry: this.#deps.registry, service: watch.key, instances: view.endpoints.length },
            'a second answer confirms that there are fewer instances',
          )
          this.#accept(watch, view, source)
          return
        }
      }
    } catch (error) {
      this.#deps.log.debug({ registry: this.#deps.registry, service: watch.key }, describeError(error))
    }
    if (watch.held === held && this.#transport === transport) this.#confirmLater(watch)
  }

  /** Uses a list, and keeps in use what it lacks until that is certain. */
  #doubt(watch: Watch, view: ServiceView, source: string): void {
    const { doubted } = watch
    const known = watch.known?.endpoints ?? []
    const bound = this.#deps.read.rules.maxEndpoints ?? Number.POSITIVE_INFINITY
    const { endpoints, missed, returned } = doubted.merge(known, view.endpoints, performance.now(), bound)
    this.#sayReturned(watch, returned)
    if (missed > 0) {
      this.#deps.metrics.count('registry_held', { registry: this.#deps.registry, reason: 'doubtful' })
      this.#deps.log.info(
        { registry: this.#deps.registry, service: watch.key, missed, known: known.length, server: source },
        'instances vanished while Nacos servers come and go; they stay in use until a second look confirms it',
      )
    }
    watch.held = undefined
    this.#gaugeHeld(watch)
    this.#use(watch, { ...view, endpoints }, source)
    if (watch.doubtTimer === undefined) this.#lookLater(watch, this.#deps.times.doubtMs)
  }

  #sayReturned(watch: Watch, returned: number): void {
    if (returned === 0) return
    this.#deps.log.info(
      { registry: this.#deps.registry, service: watch.key, returned },
      'instances that had vanished are back; they were in use all the time',
    )
  }

  #lookLater(watch: Watch, waitMs: number): void {
    clearTimeout(watch.doubtTimer)
    watch.doubtTimer = undefined
    if (watch.doubted.size === 0 || this.#transport === undefined) return
    // spread: a server that goes may be missed in every list at once
    const spreadMs = waitMs * (1 + this.#deps.random() / 4)
    watch.doubtTimer = setTimeout(() => {
      watch.doubtTimer = undefined
      void this.#look(watch)
    }, spreadMs)
  }

  /** Asks our server and a second one about what is doubted. What neither has had for long enough is gone; after `settleMs` our server's word is enough. */
  async #look(watch: Watch): Promise<void> {
    const transport = this.#transport
    const { times } = this.#deps
    if (transport === undefined) return
    try {
      const askedAt = performance.now()
      // after an outage of all servers nobody's word is enough until they have settled
      if (askedAt < this.#isUnsettledUntil) return
      const own = this.#read(watch, await transport.query(watch.service))
      if (this.#transport !== transport || this.#watches.get(watch.key) !== watch) return
      if (own !== undefined && own.isValid) {
        const isPatient = askedAt - watch.doubted.oldestSince < times.settleMs
        const second =
          isPatient && this.#deps.hasSecondServer()
            ? this.#read(watch, await this.#deps.secondOpinion(watch.service))
            : own
        if (this.#transport !== transport || this.#watches.get(watch.key) !== watch) return
        if (second !== undefined && second.isValid) this.#conclude(watch, own, second, transport.source, askedAt)
      }
    } catch (error) {
      this.#deps.log.debug({ registry: this.#deps.registry, service: watch.key }, describeError(error))
    } finally {
      if (watch.doubtTimer === undefined && this.#watches.get(watch.key) === watch)
        this.#lookLater(watch, Math.max(times.confirmAfterMs, times.doubtMs / 4))
    }
  }

  #conclude(watch: Watch, own: ServiceView, second: ServiceView, source: string, askedAt: number): void {
    const { times } = this.#deps
    const known = watch.known?.endpoints ?? []
    const bound = this.#deps.read.rules.maxEndpoints ?? Number.POSITIVE_INFINITY
    const { returned } = watch.doubted.merge(known, own.endpoints, askedAt, bound)
    this.#sayReturned(watch, returned)
    const gone = watch.doubted.conclude(askedAt - times.doubtMs, second.endpoints)
    const overdue = watch.doubted.conclude(askedAt - times.settleMs, [])
    if (gone.size + overdue.size > 0)
      this.#deps.log.info(
        { registry: this.#deps.registry, service: watch.key, gone: gone.size + overdue.size },
        overdue.size > 0
          ? 'instances that vanished are gone: the server has not shown them again in time'
          : 'instances that vanished are gone: a second look confirms it',
      )
    const left = known.filter((endpoint) => !gone.has(endpointId(endpoint)) && !overdue.has(endpointId(endpoint)))
    const { endpoints } = watch.doubted.merge(left, own.endpoints, askedAt, bound)
    this.#gaugeHeld(watch)
    this.#use(watch, { ...own, endpoints }, source)
  }

  /** Nothing is kept against the servers' word any more. */
  #release(watch: Watch): void {
    watch.held = undefined
    watch.doubted.clear()
    clearTimeout(watch.doubtTimer)
    watch.doubtTimer = undefined
    this.#gaugeHeld(watch)
  }

  #gaugeHeld(watch: Watch): void {
    const isKept = watch.held !== undefined || watch.doubted.size > 0
    if (isKept === watch.isKept) return
    watch.isKept = isKept
    this.#held += isKept ? 1 : -1
    this.#deps.metrics.gauge('registry_held_services', { registry: this.#deps.registry }, this.#held)
  }

  #poll(): void {
    const transport = this.#transport
    if (transport === undefined) return
    const now = performance.now()
    for (const watch of this.#watches.values()) {
      if (watch.held !== undefined && watch.timer === undefined) this.#confirmLater(watch)
      if (watch.doubted.size > 0 && watch.doubtTimer === undefined)
        this.#lookLater(watch, this.#deps.times.confirmAfterMs)
      if (watch.subscribedOn !== transport && !watch.isAsking && watch.timer === undefined) this.#want(watch)
    }
    if (this.#pollIntervalMs(transport) === 0) return
    let room = transport.pollMs > 0 ? maxQuestions : maxPollsPerSecond
    for (const watch of this.#watches.values()) {
      if (room === 0) return
      if (watch.subscribedOn !== transport || watch.isAsking || watch.held !== undefined || watch.nextAskAt > now)
        continue
      room--
      this.#want(watch, true)
    }
  }

  #pollIntervalMs(transport: NamingTransport): number {
    const base = transport.pollMs > 0 ? transport.pollMs : this.#deps.times.safetyPollMs
    // spread, so that a thousand services that were subscribed together are not polled together
    return base * (0.75 + this.#deps.random() / 2)
  }

  /** Logs once per key, until so many others came that it was forgotten. */
  #once(key: string, log: () => void): void {
    if (this.#remembered.has(key)) return
    if (this.#remembered.size >= maxRemembered) this.#remembered.delete(this.#remembered.values().next().value ?? '')
    this.#remembered.add(key)
    log()
  }
}

function clearTimers(watch: Watch): void {
  clearTimeout(watch.timer)
  clearTimeout(watch.doubtTimer)
  watch.timer = undefined
  watch.doubtTimer = undefined
}

function guarded(deps: AdapterDeps, call: () => void): void {
  try {
    call()
  } catch (error) {
    deps.log.error({ code: 'E_INTERNAL' }, `a listener failed: ${describeError(error)}`)
  }
}
