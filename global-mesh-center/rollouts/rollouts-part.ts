/**
 * Guarded roll-outs as a part of a center: a share of the hosts gets the new version of a rule, their golden signals
 * are compared with those of the others, and the rule is taken up or taken back by itself.
 *
 * Centers of one store all watch; whoever is first to write the end has ended it. Bounds: 4 at a time, 100 kept.
 */
import { isDeepStrictEqual } from 'node:util'
import type { AdminPage } from '../../agent/control/admin/http.ts'
import { RuleStore, type RuleStoreOptions } from '../../agent/control/core/rules/rule-store.ts'
import type { PartDeps } from '../../agent/control/leading-part.ts'
import { parseServiceName } from '../../contracts/endpoint.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { HostReport, ReportAnswer } from '../../contracts/host-report.ts'
import { ruleVersion } from '../../contracts/rule-version.ts'
import type { KnownHost } from '../hosts/host-table.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import type { ApiRequest } from '../../agent/control/rules-api/api-section.ts'
import { documentOf, keyOf, type KnownObject } from '../../agent/control/rules-api/rule-object.ts'
import { fieldsOf, type RuleWrites } from '../../agent/control/rules-api/rule-writes.ts'
import { pathOf, tryRule } from '../../agent/control/rules-api/try-rule.ts'
import { maxValueBytes, type Store } from '../../agent/control/store/store.ts'
import { LookingPart } from '../looking-part.ts'
import type { CandidateRule } from '../xds/rule-groups.ts'
import { RolloutObserver, type RolloutEnd, type RolloutRule } from './observer.ts'
import { heldWords, leavesRoom } from './held-hosts.ts'
import { canTake, chooseHosts, type RolloutOrder } from './rollout-order.ts'
import { rolloutPages } from './rollout-pages.ts'
import { RolloutTable } from './rollout-table.ts'
import { rolloutKey, rolloutName, type KnownRollout, type Rollout } from './rollout.ts'
import { RolloutsApi } from './rollouts-api.ts'

const maxRunning = 4
const maxKept = 100
/** A center that began to take one up and did not end it is dead, ms. */
const takingUpMs = 30_000

export interface RolloutsPartDeps extends Pick<PartDeps, 'clock' | 'log' | 'metrics'> {
  readonly control: { readonly timeline: Pick<PartDeps['control']['timeline'], 'add'> }
  /** How hosts of rules read. */
  readonly scope: RuleStoreOptions
  readonly store: Store
  readonly writes: RuleWrites
  rule(key: string): KnownObject | undefined
  hosts(): readonly KnownHost[]
  /** What shares of hosts get from now on. */
  onCandidates(candidates: readonly CandidateRule[]): void
}

export class RolloutsPart extends LookingPart {
  readonly api: RolloutsApi
  readonly pages: readonly AdminPage[]
  /** Hears the store. */
  readonly table: RolloutTable
  protected readonly deps: RolloutsPartDeps
  private readonly observers = new Map<string, RolloutObserver>()
  private readonly ending = new Set<string>()
  /** Those that are being written down: they count as under way. */
  private readonly starting = new Map<string, Rollout>()

  constructor(deps: RolloutsPartDeps) {
    super()
    this.deps = deps
    this.table = new RolloutTable(() => this.changed())
    this.api = new RolloutsApi({
      all: () => this.table.all(),
      figures: (rollout) => this.observers.get(idOf(rollout))?.figures(),
      start: (order, namespace, request) => this.start(order, namespace, request),
      stop: (rollout, request) => this.stop(rollout, request),
    })
    this.pages = rolloutPages(this.api)
  }

  private changed(): void {
    const running = this.table.running()
    const ids = new Set(running.map(idOf))
    for (const id of this.observers.keys()) if (!ids.has(id)) this.observers.delete(id)
    for (const rollout of running) {
      const id = idOf(rollout)
      if (this.observers.has(id)) continue
      const observer = new RolloutObserver(rollout, this.ruleOf(rollout))
      // what was before the hosts get it
      observer.take(this.deps.hosts())
      this.observers.set(id, observer)
    }
    this.deps.metrics.gauge('rollouts_running', {}, running.length)
    this.deps.onCandidates(
      running.map((rollout) => ({
        id: idOf(rollout),
        hosts: new Set(rollout.hosts),
        document: documentOf(rollout),
      })),
    )
  }

  private async start(order: RolloutOrder, namespace: string, request: ApiRequest): Promise<KnownRollout> {
    const { user, from } = request
    const by = { user: user.name, from, verb: 'rollout' }
    const { known, before, path, name } = await tryRule(this.deps.writes, order.rule, namespace, by)
    const key = rolloutKey(known.object)
    const present = this.table.get(key)
    const running = this.table.running()
    if (this.starting.has(key))
      throw new ApiError(409, `a roll-out of ${path.kind.plural} ${namespace}/${name} begins in this moment`)
    if (present?.state === 'running')
      throw new ApiError(409, `a roll-out of ${path.kind.plural} ${namespace}/${name} by ${present.user} is under way`)
    const beginning = [...this.starting].filter(([one]) => running.every((known) => known.key !== one))
    if (running.length + beginning.length >= maxRunning)
      throw new ApiError(429, `${maxRunning} roll-outs are under way, which is the bound`)
    const others = [...running, ...beginning.map(([, rollout]) => rollout)]
    const taken = new Set(others.flatMap(({ hosts }) => hosts))
    const startedAt = this.deps.clock.wall()
    const able = this.deps.hosts().filter(canTake)
    const names = new Set(able.map((host) => host.name))
    const free = able.filter((host) => !taken.has(host.name))
    const { share, observeMs, limits } = order
    const hosts = chooseHosts(free, share, `${key} ${startedAt}`, heldWords(others, names))
    leavesRoom(user, others, hosts, names)
    const rollout: Rollout = {
      object: known.object,
      base: before?.revision ?? 0,
      share,
      hosts,
      observeMs,
      limits,
      user: user.name,
      from,
      startedAt,
      state: 'running',
      reason: '',
      endedAt: 0,
    }
    this.starting.set(key, rollout)
    const revision = await this.write(key, rollout, present?.revision ?? 0).finally(() => this.starting.delete(key))
    this.deps.log.info(
      { audit: { user: user.name, from, verb: 'rollout', resource: key }, hosts: rollout.hosts },
      `audit: ${user.name} from ${from}: roll-out of ${rolloutName(rollout)} in ${namespace} to ${rollout.hosts.length} hosts`,
    )
    this.tell(rollout, 'began', `by ${user.name}, ${rollout.hosts.length} hosts: ${rollout.hosts.join(', ')}`)
    return { ...rollout, key, revision }
  }

  private async stop(rollout: KnownRollout, { user }: ApiRequest): Promise<void> {
    if (rollout.state === 'running') {
      const { takenUpAt } = rollout
      const isTakenUp = takenUpAt !== undefined && this.deps.clock.wall() - takenUpAt < takingUpMs
      if (this.ending.has(rollout.key) || isTakenUp)
        throw new ApiError(
          409,
          'the roll-out ends in this moment, and its rule may go to every host; see how, and revert the rule if it is done',
        )
      return this.once(rollout.key, () =>
        this.finish(rollout, { state: 'reverted', reason: `stopped by ${user.name}` }),
      )
    }
    await this.deps.store.write(rollout.key, undefined, rollout.revision).catch((error: unknown) => {
      throw refusalOf(error)
    })
  }

  protected look(): void {
    const running = this.table.running()
    const hosts = running.length === 0 ? [] : this.deps.hosts()
    for (const rollout of running) {
      const observer = this.observers.get(idOf(rollout))
      if (observer === undefined || this.ending.has(rollout.key)) continue
      observer.take(hosts)
      const overtaken = this.overtaken(rollout)
      const end = overtaken ?? observer.end(rollout, hosts, this.deps.clock.wall())
      if (end === undefined) continue
      const takesUp = overtaken === undefined && end.state === 'done'
      void this.conclude(rollout, takesUp ? () => this.takeUp(rollout, end) : () => this.finish(rollout, end))
    }
  }

  /** Somebody wrote the rule meanwhile: a center that died after it took the roll-out up, or an operator. */
  private overtaken({ object, base }: KnownRollout): RolloutEnd | undefined {
    const { kind, metadata } = object
    const present = this.deps.rule(keyOf(kind, metadata.namespace, metadata.name))
    if ((present?.revision ?? 0) === base) return undefined
    if (present !== undefined && isDeepStrictEqual(present.object.spec, object.spec))
      return { state: 'done', reason: 'every host has this version by now' }
    const { user = 'somebody', verb = 'changed' } = present?.change ?? {}
    return {
      state: 'reverted',
      reason:
        present === undefined ? 'the rule was deleted meanwhile' : `the rule was changed meanwhile: ${verb} by ${user}`,
    }
  }

  /** Once at a time; what fails is tried again with the next look. */
  private async conclude({ key }: KnownRollout, end: () => Promise<void>): Promise<void> {
    await this.once(key, end).catch((error: unknown) => {
      this.deps.log.warn({ rollout: key }, `the roll-out ${key} cannot be ended: ${describeError(error)}`)
    })
  }

  private async once(key: string, end: () => Promise<void>): Promise<void> {
    this.ending.add(key)
    await end().finally(() => this.ending.delete(key))
  }

  /** The mark comes first: whoever stops it meanwhile, at any center, is refused. Rejects when the store is away. */
  private async takeUp({ key, revision, ...rollout }: KnownRollout, end: RolloutEnd): Promise<void> {
    const marked = { ...rollout, takenUpAt: this.deps.clock.wall() }
    const known = { ...marked, key, revision: await this.write(key, marked, revision) }
    await this.finish(known, await this.writeRule(known, end))
  }

  private async writeRule({ object, base, user, from }: KnownRollout, end: RolloutEnd): Promise<RolloutEnd> {
    const { namespace, name } = object.metadata
    try {
      const path = pathOf({ apiVersion: object.apiVersion, kind: object.kind }, namespace)
      await this.deps.writes.put({
        path,
        namespace,
        name,
        manager: 'rollout',
        by: { user, from, verb: 'rollout' },
        isDryRun: false,
        expected: base,
        want: () => ({ fields: fieldsOf(object) }),
      })
      return end
    } catch (error) {
      if (error instanceof ApiError && error.status !== 503)
        return { state: 'reverted', reason: `it was good, but: ${error.message}` }
      throw error
    }
  }

  private async finish(rollout: KnownRollout, { state, reason }: RolloutEnd): Promise<void> {
    const { key, revision, ...kept } = rollout
    await this.write(key, { ...kept, state, reason, endedAt: this.deps.clock.wall() }, revision)
    this.deps.metrics.count('rollouts', { result: state })
    this.tell(rollout, state, reason, state === 'done' ? 'info' : 'warning')
    this.deps.log[state === 'done' ? 'info' : 'warn'](
      { rollout: key, hosts: rollout.hosts.length },
      `the roll-out of ${rolloutName(rollout)} in ${rollout.object.metadata.namespace} is ${state === 'done' ? 'done: every host has it' : 'taken back'}: ${reason}`,
    )
    await this.prune()
  }

  private tell(rollout: Rollout, what: string, message: string, severity: 'info' | 'warning' = 'info'): void {
    const about = `${rollout.object.metadata.namespace}/${rolloutName(rollout)}`
    this.deps.control.timeline.add({ kind: 'rollout', about, what, message, severity })
  }

  private async prune(): Promise<void> {
    const over = this.table.all().filter(({ state }) => state !== 'running')
    for (const { key, revision } of over.slice(maxKept))
      await this.deps.store.write(key, undefined, revision).catch(() => undefined)
  }

  private async write(key: string, rollout: Rollout, expected: number): Promise<number> {
    const text = JSON.stringify(rollout)
    if (Buffer.byteLength(text) > maxValueBytes)
      throw new ApiError(413, `the roll-out: ${Buffer.byteLength(text)} bytes, allowed ${maxValueBytes}`)
    try {
      return await this.deps.store.write(key, text, expected)
    } catch (error) {
      throw refusalOf(error)
    }
  }

  /** Hosts of a share say how the rule stands there. */
  onReport({ host }: Pick<HostReport, 'host'>): ReportAnswer {
    const rules = this.table.running().flatMap((rollout) => {
      return rollout.hosts.includes(host) ? [documentOf(rollout).name] : []
    })
    return rules.length === 0 ? {} : { rules }
  }

  /** The services about which it decides, and those where it leads. */
  private ruleOf(rollout: Rollout): RolloutRule {
    const rules = new RuleStore(this.deps.scope)
    rules.replaceSource('rollout', [documentOf(rollout)])
    const [hosted] = rules.hostedRules()
    const version = ruleVersion(hosted?.text ?? '')
    if (hosted?.services === undefined) return { services: undefined, version }
    const keys = hosted.services.flatMap((key) => [key, ...rules.virtualHost(key).services])
    const names = keys.flatMap((key) => {
      const name = parseServiceName(key)
      return name === undefined ? [] : [`${name.namespace}/${name.name}`]
    })
    return { services: new Set(names), version }
  }
}

/** Of one roll-out: a later one of the same rule is another one. */
function idOf({ key, startedAt }: KnownRollout): string {
  return `${key} ${startedAt}`
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof MeshError)) return error
  return error.code === 'E_STORE_CONFLICT'
    ? new ApiError(409, `${error.message}; somebody else was faster`)
    : new ApiError(503, `${error.code}: ${error.message}`)
}
