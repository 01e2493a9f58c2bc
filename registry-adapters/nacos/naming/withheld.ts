/**
 * What is not believed yet. A list that lost everything, or much, is held until a second answer agrees. While servers
 * come and go each loss is doubted for itself and the rest of the list is used. Both are bounded in time, and gauge
 * `registry_held_services` counts the services that are concerned.
 */
import { endpointId } from '../../../contracts/endpoint.ts'
import type { Endpoint, ServiceName } from '../../../contracts/endpoint.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import { judge } from './judge.ts'
import type { ServerMood, Verdict } from './judge.ts'
import type { ReadOptions, ServiceAnswer } from './read-service.ts'
import { SummedLog } from './summed-log.ts'
import type { Held, NamingTransport, NamingWatch } from './naming-watch.ts'

export interface WithheldDeps extends AdapterDeps {
  readonly registry: string
  readonly times: NacosTimes
  readonly read: ReadOptions
  /** Whether there is a server besides the one that we are connected to. */
  readonly hasSecondServer: () => boolean
  /** That server's view of a service. */
  readonly secondOpinion: (service: ServiceName) => Promise<unknown>
  /** Whether servers come and go at the moment, or did shortly before. */
  readonly isTroubled: () => boolean
  readonly transport: () => NamingTransport | undefined
  readonly isWatched: (watch: NamingWatch) => boolean
  /** undefined = it cannot be read; that is said elsewhere. */
  readonly readView: (watch: NamingWatch, info: unknown) => ServiceAnswer | undefined
  /** Makes a view the known one, and tells it. `isConfirmed`: a second answer agreed, in calm times. */
  readonly use: (watch: NamingWatch, view: ServiceAnswer, source: string, isConfirmed: boolean) => void
  /** Tells what is served meanwhile; what is known stays. `held` = ids of what the newest list lacks. */
  readonly serve: (watch: NamingWatch, endpoints: readonly Endpoint[], held: readonly string[]) => void
}

export class Withheld {
  private readonly deps: WithheldDeps
  private readonly summed: SummedLog
  private isUnsettledUntil = 0
  private held = 0

  constructor(deps: WithheldDeps) {
    this.deps = deps
    this.summed = new SummedLog(deps.log, deps.registry, deps.clock)
  }

  /** All servers had been away: their lists fill up slowly. */
  settle(): void {
    const { settleMs } = this.deps.times
    this.isUnsettledUntil = this.deps.clock.monotonic() + settleMs
    this.deps.log.info(
      { registry: this.deps.registry },
      `all Nacos servers had been away and may have forgotten instances; for ${Math.ceil(settleMs / 1000)} s no list that lacks a known instance is believed`,
    )
  }

  close(): void {
    this.summed.close()
  }

  /** Goes on with what waits although nobody asks, for example because the connection was lost meanwhile. */
  resume(watch: NamingWatch): void {
    if (watch.held !== undefined && watch.timer === undefined) this.confirmLater(watch)
    if (watch.doubted.size > 0 && watch.doubtTimer === undefined) this.lookLater(watch, this.deps.times.confirmAfterMs)
  }

  get mood(): ServerMood {
    if (this.deps.clock.monotonic() < this.isUnsettledUntil) return 'outage'
    return this.deps.isTroubled() ? 'trouble' : 'calm'
  }

  /** A list that is believed whole. */
  accept(watch: NamingWatch, view: ServiceAnswer, source: string, isConfirmed = false): void {
    if (watch.doubted.size > 0) {
      const ids = new Set(view.endpoints.map(endpointId))
      this.sayReturned(watch, watch.doubted.countIn(ids))
    }
    this.release(watch)
    this.deps.use(watch, view, source, isConfirmed)
  }

  hold(watch: NamingWatch, view: ServiceAnswer, verdict: Verdict): void {
    if (verdict !== 'unsettled') this.serveLast(watch, view)
    if (watch.held !== undefined) return
    watch.held = { since: this.deps.clock.monotonic(), attempts: 0 }
    this.gaugeHeld(watch)
    this.deps.metrics.count('registry_held', { registry: this.deps.registry, reason: verdict })
    const known = watch.known?.endpoints.length ?? 0
    this.summed.say(
      'warn',
      { service: watch.key, instances: known - view.endpoints.length },
      'Nacos shows fewer instances than are known; keeping them until a second answer confirms it',
      { known, now: view.endpoints.length, reason: verdict },
    )
    this.confirmLater(watch)
  }

  /**
   * In calm times the shorter list is probably right: its endpoints are used, and what it lacks is the last choice
   * until a second answer agrees.
   */
  private serveLast(watch: NamingWatch, view: ServiceAnswer): void {
    const bound = this.deps.read.rules.maxEndpoints ?? Number.POSITIVE_INFINITY
    const byId = new Map(view.endpoints.map((endpoint) => [endpointId(endpoint), endpoint]))
    const held: string[] = []
    for (const endpoint of watch.known?.endpoints ?? []) {
      const id = endpointId(endpoint)
      if (byId.has(id) || byId.size >= bound) continue
      byId.set(id, endpoint)
      held.push(id)
    }
    const ids = [...byId.keys()].sort()
    this.deps.serve(
      watch,
      ids.map((id) => byId.get(id)!),
      held.sort(),
    )
  }

  private confirmLater(watch: NamingWatch): void {
    const held = watch.held
    if (held === undefined) return
    const settleMs = this.isUnsettledUntil - this.deps.clock.monotonic()
    const pauseMs =
      this.deps.hasSecondServer() && held.attempts === 0
        ? 0
        : this.deps.times.confirmAfterMs * 2 ** Math.min(held.attempts, 3)
    // while the servers settle, polls go on at an ordinary pace: an answer that is whole again ends the holding early
    const waitMs = settleMs > 0 ? Math.min(settleMs, Math.max(pauseMs, this.deps.times.confirmAfterMs)) : pauseMs
    watch.timer?.()
    watch.timer = this.deps.clock.after(waitMs, () => {
      watch.timer = undefined
      void this.confirm(watch, held)
    })
  }

  private async confirm(watch: NamingWatch, held: Held): Promise<void> {
    const transport = this.deps.transport()
    if (transport === undefined || watch.held !== held) return
    held.attempts++
    const askedAt = this.deps.clock.monotonic()
    try {
      // every other time the server that said so is asked itself: it may have recovered
      const isOther = this.deps.hasSecondServer() && held.attempts % 2 === 1
      const info = isOther ? await this.deps.secondOpinion(watch.service) : await transport.query(watch.service)
      if (this.deps.transport() !== transport || watch.held !== held) return
      const view = this.deps.readView(watch, info)
      if (view !== undefined) {
        const mood = this.mood
        const source = isOther ? 'second server' : transport.source
        const verdict = judge(watch.known, { view, source, askedAt }, mood)
        if (verdict === 'accept') {
          this.summed.say(
            'info',
            { service: watch.key, instances: view.endpoints.length },
            'the second answer has the instances; the shorter list was wrong or is outdated',
          )
          this.accept(watch, view, source)
          return
        }
        if (verdict === 'doubtful') {
          // trouble began while it was held: from now on each loss is doubted for itself
          this.doubt(watch, view, source)
          return
        }
        if ((verdict === 'empty' || verdict === 'shrunk') && mood === 'calm') {
          this.summed.say(
            'info',
            { service: watch.key, instances: view.endpoints.length },
            'a second answer confirms that there are fewer instances',
          )
          this.accept(watch, view, source, true)
          return
        }
      }
    } catch (error) {
      this.deps.log.debug({ registry: this.deps.registry, service: watch.key }, describeError(error))
    }
    if (watch.held === held && this.deps.transport() === transport) this.confirmLater(watch)
  }

  /** Uses a list, and keeps in use what it lacks until that is certain. */
  doubt(watch: NamingWatch, view: ServiceAnswer, source: string): void {
    const { doubted } = watch
    const known = watch.known?.endpoints ?? []
    const bound = this.deps.read.rules.maxEndpoints ?? Number.POSITIVE_INFINITY
    const { endpoints, missed, returned } = doubted.merge(known, view.endpoints, this.deps.clock.monotonic(), bound)
    this.sayReturned(watch, returned)
    if (missed > 0) {
      this.deps.metrics.count('registry_held', { registry: this.deps.registry, reason: 'doubtful' })
      this.summed.say(
        'info',
        { service: watch.key, instances: missed },
        'instances vanished while Nacos servers come and go; they stay in use until a second look confirms it',
        { known: known.length, server: source },
      )
    }
    watch.held = undefined
    this.gaugeHeld(watch)
    this.deps.use(watch, { ...view, endpoints }, source, false)
    if (watch.doubtTimer === undefined) this.lookLater(watch, this.deps.times.doubtMs)
  }

  private sayReturned(watch: NamingWatch, returned: number): void {
    if (returned === 0) return
    this.summed.say(
      'info',
      { service: watch.key, instances: returned },
      'instances that had vanished are back; they were in use all the time',
    )
  }

  private lookLater(watch: NamingWatch, waitMs: number): void {
    watch.doubtTimer?.()
    watch.doubtTimer = undefined
    if (watch.doubted.size === 0 || this.deps.transport() === undefined) return
    // spread: a server that goes may be missed in every list at once
    const spreadMs = waitMs * (1 + this.deps.random() / 4)
    watch.doubtTimer = this.deps.clock.after(spreadMs, () => {
      watch.doubtTimer = undefined
      void this.look(watch)
    })
  }

  /**
   * Asks our server and a second one about what is doubted. What neither has had for long enough is gone; after
   * `settleMs` our server's word is enough.
   */
  private async look(watch: NamingWatch): Promise<void> {
    const transport = this.deps.transport()
    const { times } = this.deps
    if (transport === undefined) return
    try {
      const askedAt = this.deps.clock.monotonic()
      // after an outage of all servers nobody's word is enough until they have settled
      if (askedAt < this.isUnsettledUntil) return
      const own = this.deps.readView(watch, await transport.query(watch.service))
      if (this.deps.transport() !== transport || !this.deps.isWatched(watch)) return
      if (own !== undefined && own.isValid) {
        const isPatient = askedAt - watch.doubted.oldestSince < times.settleMs
        const second =
          isPatient && this.deps.hasSecondServer()
            ? this.deps.readView(watch, await this.deps.secondOpinion(watch.service))
            : own
        if (this.deps.transport() !== transport || !this.deps.isWatched(watch)) return
        if (second !== undefined && second.isValid) this.conclude(watch, own, second, transport.source, askedAt)
      }
    } catch (error) {
      this.deps.log.debug({ registry: this.deps.registry, service: watch.key }, describeError(error))
    } finally {
      if (watch.doubtTimer === undefined && this.deps.isWatched(watch))
        this.lookLater(watch, Math.max(times.confirmAfterMs, times.doubtMs / 4))
    }
  }

  private conclude(
    watch: NamingWatch,
    own: ServiceAnswer,
    second: ServiceAnswer,
    source: string,
    askedAt: number,
  ): void {
    const { times } = this.deps
    // a push that came in between is newer than what was asked for
    if (watch.known !== undefined && watch.known.acceptedAt > askedAt) return
    const known = watch.known?.endpoints ?? []
    const bound = this.deps.read.rules.maxEndpoints ?? Number.POSITIVE_INFINITY
    const { returned } = watch.doubted.merge(known, own.endpoints, askedAt, bound)
    this.sayReturned(watch, returned)
    const gone = watch.doubted.conclude(askedAt - times.doubtMs, second.endpoints)
    const overdue = watch.doubted.conclude(askedAt - times.settleMs, [])
    if (gone.size + overdue.size > 0)
      this.summed.say(
        'info',
        { service: watch.key, instances: gone.size + overdue.size },
        overdue.size > 0
          ? 'instances that vanished are gone: the server has not shown them again in time'
          : 'instances that vanished are gone: a second look confirms it',
      )
    const left = known.filter((endpoint) => !gone.has(endpointId(endpoint)) && !overdue.has(endpointId(endpoint)))
    const { endpoints } = watch.doubted.merge(left, own.endpoints, askedAt, bound)
    this.gaugeHeld(watch)
    this.deps.use(watch, { ...own, endpoints }, source, watch.doubted.size === 0 && this.mood === 'calm')
  }

  /** Nothing is kept against the servers' word any more. */
  release(watch: NamingWatch): void {
    watch.held = undefined
    watch.doubted.clear()
    watch.doubtTimer?.()
    watch.doubtTimer = undefined
    this.gaugeHeld(watch)
  }

  private gaugeHeld(watch: NamingWatch): void {
    const isKept = watch.held !== undefined || watch.doubted.size > 0
    if (isKept === watch.isKept) return
    watch.isKept = isKept
    this.held += isKept ? 1 : -1
    this.deps.metrics.gauge('registry_held_services', { registry: this.deps.registry }, this.held)
  }
}
