/**
 * The dry run of a host: one at a time. Compiles the new version beside the rules in force, hands it to the workers,
 * and adds up what they find. Nothing of it is in the snapshot, on disk or in another generation.
 */
import {
  dryRunBounds,
  type DryRunAnswer,
  type DryRunOrder,
  type DryRunReport,
  type DryRunView,
} from '../../../contracts/dry-run.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { describeError, MeshError } from '../../../contracts/errors.ts'
import { every } from '../../../contracts/clock.ts'
import type { VirtualHostSpec } from '../../../contracts/route-spec.ts'
import type { Control } from '../control.ts'
import type { Rules } from '../core/rules/types.ts'
import type { LeadingPart, PartDeps } from '../leading-part.ts'
import { compileCandidate, type CompiledCandidate } from './candidate-rules.ts'
import { dryRunPages } from './dry-run-pages.ts'
import { WorkerFigures } from './worker-figures.ts'

const lookMs = 1000
const answerMs = 2000
/** Longest wait for registries to say who serves where the new version leads, ms. */
const heardMs = 3000
const heardLookMs = 50
/** Of the services where it leads: nobody else may need them. */
const reason = 'dry run'

export interface HostDryRunDeps extends Pick<PartDeps, 'clock' | 'log' | 'metrics'> {
  readonly control: Pick<Control, 'config' | 'timeline'> & {
    readonly deps: { readonly rules: Rules }
    readonly core: Pick<Control['core'], 'store' | 'publisher'> & {
      readonly compiler: Pick<Control['core']['compiler'], 'need' | 'drop' | 'standing'>
    }
    readonly host: {
      readonly registrar: Pick<Control['host']['registrar'], 'applications'>
      readonly listeners: Pick<Control['host']['listeners'], 'inboundHost'>
    }
  }
}

interface Known {
  readonly order: DryRunOrder
  readonly rule: string
  readonly user: string
  readonly startedAt: number
  /** Monotonic ms. */
  readonly endsAt: number
  readonly figures: WorkerFigures
  readonly needed: Set<ServiceKey>
  rulesVersion: number
  compiled: CompiledCandidate
  state: DryRunReport['state']
  /** Its last figures are being asked for. */
  isEnding: boolean
  problem: string
}

export class HostDryRun implements LeadingPart {
  readonly pages = dryRunPages({
    view: () => this.view(),
    start: (order, user) => this.start(order, user),
    stop: () => this.stop(),
  })
  private readonly deps: HostDryRunDeps
  private known: Known | undefined
  private cancel: () => void = () => undefined
  private isLooking = false

  constructor(deps: HostDryRunDeps) {
    this.deps = deps
  }

  open(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    if (this.known?.state === 'running') await this.end('this agent is replaced by another generation')
  }

  faults(): readonly string[] {
    return []
  }

  /**
   * Resolves when workers evaluate it. Rejects with E_RULE_REJECTED for a rule that cannot be tried here,
   * E_ADMIN_REQUEST while another one is under way, for an order beyond its bounds, or when it is stopped meanwhile.
   */
  async start(order: DryRunOrder, user: string): Promise<DryRunView> {
    if (this.known?.state === 'running')
      throw new MeshError(
        'E_ADMIN_REQUEST',
        `a dry run of ${this.known.rule} by ${this.known.user} is under way; it is stopped or waited for first`,
      )
    checkBounds(order)
    const { clock, control, log } = this.deps
    const compiled = this.compile(order.rule)
    const known: Known = {
      order,
      rule: compiled.names.join(', '),
      user,
      startedAt: clock.wall(),
      endsAt: clock.monotonic() + order.ms,
      figures: new WorkerFigures(),
      needed: new Set(),
      rulesVersion: control.deps.rules.version,
      compiled,
      state: 'running',
      isEnding: false,
      problem: '',
    }
    this.known = known
    this.need(known)
    try {
      await this.heard(known)
      requireRunning(known)
      await this.begin(known)
      requireRunning(known)
    } catch (error) {
      await this.end(describeError(error), 'refused')
      throw error
    }
    const seconds = Math.round(order.ms / 1000)
    log.info(
      { audit: { user, verb: 'dry-run', resource: known.rule } },
      `audit: ${user}: dry run of ${known.rule} for ${seconds} s`,
    )
    control.timeline.add({
      kind: 'rule',
      about: known.rule,
      what: 'dry-run',
      message: `by ${user}, ${percentOf(order.share)} of the requests, ${seconds} s`,
    })
    this.deps.metrics.gauge('dry_run_active', {}, 1)
    this.cancel = every(clock, lookMs, () => void this.look())
    return this.view()!
  }

  async stop(): Promise<DryRunView | undefined> {
    if (this.known?.state === 'running') await this.end('stopped')
    return this.view()
  }

  view(): DryRunView | undefined {
    const { known } = this
    if (known === undefined) return undefined
    const { order, rule, startedAt, state, problem, user } = known
    const figures = known.figures.sum()
    const { evaluated, different } = figures
    const host = { host: this.deps.control.config.host.name, state, problem, evaluated, different }
    const { id, ms, share } = order
    return { id, rule, user, share, startedAt, endsAt: startedAt + ms, state, hosts: [host], figures }
  }

  private compile(rule: string): CompiledCandidate {
    const { core, deps, host } = this.deps.control
    const inboundHosts = (rules: Rules): VirtualHostSpec[] =>
      host.registrar.applications().map((application) => host.listeners.inboundHost(application, rules))
    return compileCandidate(rule, { rules: deps.rules, store: core.store, inboundHosts })
  }

  private need({ compiled, needed }: Known): void {
    for (const key of compiled.leadsTo) {
      if (needed.has(key)) continue
      needed.add(key)
      this.deps.control.core.compiler.need(key, reason)
    }
  }

  /** Where it leads: or every request would count as refused until the registries have answered. */
  private async heard(known: Known): Promise<void> {
    const { clock, control } = this.deps
    const until = clock.monotonic() + heardMs
    const isUnheard = (key: ServiceKey): boolean => control.core.compiler.standing(key) === 'unheard'
    while (!known.isEnding && [...known.needed].some(isUnheard) && clock.monotonic() < until)
      await new Promise<void>((resolve) => {
        clock.after(heardLookMs, resolve)
      })
  }

  private async begin(known: Known): Promise<void> {
    const { clock, control } = this.deps
    const { id, share } = known.order
    const { services, virtualHosts } = known.compiled
    const ms = Math.max(0, known.endsAt - clock.monotonic())
    const candidate = { id, share, ms, virtualHosts, services }
    const { answers, problems } = await control.core.publisher.ask({ kind: 'begin-dry-run', candidate }, answerMs)
    if (answers.length === 0)
      throw new MeshError('E_RULE_REJECTED', `no worker evaluates it: ${problems.join('; ') || 'there is none'}`)
    known.problem = problems.join('; ')
  }

  private async look(): Promise<void> {
    const { known } = this
    if (known?.state !== 'running' || this.isLooking) return
    this.isLooking = true
    try {
      await this.follow(known)
    } catch (error) {
      if (this.known === known && known.state === 'running') await this.end(describeError(error))
    } finally {
      this.isLooking = false
    }
  }

  private async follow(known: Known): Promise<void> {
    const { clock, control } = this.deps
    const { answers, problems } = await control.core.publisher.ask({ kind: 'dry-run' }, answerMs)
    if (known.isEnding) return
    const ours = answers.filter(({ body }) => (body as DryRunAnswer).id === known.order.id)
    for (const answer of ours) known.figures.take(answer)
    known.problem = problems.join('; ')
    if (clock.monotonic() >= known.endsAt) return this.end('')
    if (ours.some(({ body }) => (body as DryRunAnswer).isOver)) return this.end('the evaluation failed too often')
    if (control.deps.rules.version !== known.rulesVersion) {
      known.rulesVersion = control.deps.rules.version
      known.compiled = this.compile(known.order.rule)
      this.need(known)
    } else if (ours.length === answers.length) return
    // other rules, or a worker that is new
    known.figures.settle()
    await this.begin(known)
  }

  private async end(problem: string, state: 'over' | 'refused' = 'over'): Promise<void> {
    const { known, deps } = this
    if (known?.state !== 'running' || known.isEnding) return
    known.isEnding = true
    this.cancel()
    const { core, timeline } = deps.control
    const { answers } = await core.publisher.ask({ kind: 'end-dry-run' }, answerMs)
    for (const answer of answers) if ((answer.body as DryRunAnswer).id === known.order.id) known.figures.take(answer)
    known.state = state
    known.problem = problem
    for (const key of known.needed) core.compiler.drop(key, reason)
    deps.metrics.count('dry_runs', { result: state })
    deps.metrics.gauge('dry_run_active', {}, 0)
    if (state === 'refused') return
    const { evaluated, different, failed } = known.figures.sum()
    const words = `${evaluated} requests evaluated, ${different} would be otherwise${failed === 0 ? '' : `, ${failed} failed`}`
    const message = problem === '' ? words : `${words}; ${problem}`
    deps.log.info({ rule: known.rule }, `the dry run of ${known.rule} is over: ${message}`)
    timeline.add({ kind: 'rule', about: known.rule, what: 'dry-run-over', message })
  }
}

function requireRunning({ isEnding, rule }: Known): void {
  if (isEnding) throw new MeshError('E_ADMIN_REQUEST', `the dry run of ${rule} was stopped before it began`)
}

function checkBounds({ share, ms }: DryRunOrder): void {
  if (!(share > 0 && share <= 1))
    throw new MeshError('E_ADMIN_REQUEST', `share: found ${share}, allowed above 0 and up to 1`)
  if (!(ms >= 1000 && ms <= dryRunBounds.ms))
    throw new MeshError('E_ADMIN_REQUEST', `ms: found ${ms}, allowed 1000 to ${dryRunBounds.ms}`)
}

function percentOf(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}
