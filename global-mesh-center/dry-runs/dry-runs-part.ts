/**
 * Dry runs as a part of a center: its hosts are told with the answers to their reports, and what they found is added
 * up. One at a time, for a host does one at a time; the newest 20 are kept in memory, of this center alone.
 */
import { randomUUID } from 'node:crypto'
import type { AdminPage } from '../../agent/control/admin/http.ts'
import { dryRunPages } from '../../agent/control/dry-run/dry-run-pages.ts'
import type { PartDeps } from '../../agent/control/leading-part.ts'
import { dryRunBounds, type DryRunOrder, type DryRunView } from '../../contracts/dry-run.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { HostReport, ReportAnswer } from '../../contracts/host-report.ts'
import { isMap } from '../../agent/control/rules-api/patch.ts'
import type { KnownHost } from '../hosts/host-table.ts'
import { LookingPart } from '../looking-part.ts'
import { canTake } from '../rollouts/rollout-order.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import { bodyTypes, readBody } from '../../agent/control/rules-api/request-body.ts'
import { documentOf } from '../../agent/control/rules-api/rule-object.ts'
import type { RuleWrites } from '../../agent/control/rules-api/rule-writes.ts'
import { tryRule } from '../../agent/control/rules-api/try-rule.ts'
import { DryRun } from './dry-run.ts'
import type { DryRunRequest } from './dry-run-order.ts'
import { DryRunsApi } from './dry-runs-api.ts'

const maxKept = 20

export interface DryRunsPartDeps extends Pick<PartDeps, 'clock' | 'log' | 'metrics'> {
  readonly control: { readonly timeline: Pick<PartDeps['control']['timeline'], 'add'> }
  readonly writes: RuleWrites
  hosts(): readonly KnownHost[]
}

export class DryRunsPart extends LookingPart {
  readonly api: DryRunsApi
  readonly pages: readonly AdminPage[]
  protected readonly deps: DryRunsPartDeps
  /** The newest first. */
  private all: readonly DryRun[] = []
  private running: DryRun | undefined

  constructor(deps: DryRunsPartDeps) {
    super()
    this.deps = deps
    this.api = new DryRunsApi({
      all: () => this.all,
      start: (order, namespace, by) => this.start(order, namespace, by),
      stop: (dryRun) => dryRun.stop(),
    })
    this.pages = dryRunPages({
      view: () => this.all[0]?.view(),
      start: (order, user) => this.startText(order, user),
      stop: () => {
        this.running?.stop()
        return Promise.resolve(this.all[0]?.view())
      },
    })
  }

  /** A host has reported: what it found, and what it shall do. */
  onReport({ host, dryRun }: HostReport): ReportAnswer {
    for (const one of this.all) one.take(host, dryRun)
    const order = this.all[0]?.orderFor(host)
    return order === undefined ? {} : { dryRun: order }
  }

  private async startText({ rule, share, ms }: DryRunOrder, user: string): Promise<DryRunView> {
    try {
      const object = readBody(rule, bodyTypes.yaml, [bodyTypes.yaml])
      const { namespace } = isMap(object['metadata']) ? object['metadata'] : {}
      if (namespace !== undefined && typeof namespace !== 'string')
        throw new ApiError(422, 'metadata.namespace: allowed a name')
      if (!(share > 0 && share <= 1 && ms >= 1000 && ms <= dryRunBounds.ms))
        throw new ApiError(422, `share: allowed above 0 and up to 1; ms: allowed 1000 to ${dryRunBounds.ms}`)
      const by = { user, from: 'this machine' }
      const made = await this.start({ rule: object, share, for: ms }, namespace ?? 'public', by)
      return made.view()
    } catch (error) {
      if (error instanceof ApiError) throw new MeshError('E_ADMIN_REQUEST', error.message, { cause: error })
      throw error
    }
  }

  private async start(
    { rule, share, hosts, for: ms }: DryRunRequest,
    namespace: string,
    by: { user: string; from: string },
  ): Promise<DryRun> {
    const { known } = await tryRule(this.deps.writes, rule, namespace, { ...by, verb: 'dry-run' })
    if (this.running?.isRunning === true) {
      const { rule: other, user } = this.running.facts
      throw new ApiError(409, `a dry run of ${other} by ${user} is under way; it is stopped or waited for first`)
    }
    const able = this.deps.hosts().filter(canTake)
    const meant = able.filter(({ report }) =>
      Object.entries(hosts?.labels ?? {}).every(([name, value]) => report.labels[name] === value),
    )
    if (meant.length === 0)
      throw new ApiError(422, `spec.hosts: nobody is meant; ${able.length} hosts report and take rules from a center`)
    const { name, text = '' } = documentOf(known)
    if (Buffer.byteLength(text) > dryRunBounds.ruleBytes)
      throw new ApiError(413, `the rule: ${Buffer.byteLength(text)} bytes, allowed ${dryRunBounds.ruleBytes}`)
    const facts = { id: randomUUID(), rule: name, namespace, text, user: by.user, share, ms }
    const made = new DryRun({ ...facts, hosts: meant.map((host) => host.name).toSorted() }, this.deps.clock)
    this.running = made
    this.all = [made, ...this.all].slice(0, maxKept)
    const words = `${Math.round(share * 1000) / 10} % of the requests of ${meant.length} hosts, ${Math.round(ms / 1000)} s`
    this.deps.log.info(
      { audit: { user: by.user, from: by.from, verb: 'dry-run', resource: name } },
      `audit: ${by.user} from ${by.from}: dry run of ${name}: ${words}`,
    )
    this.deps.metrics.gauge('dry_run_active', {}, 1)
    this.tell(name, 'dry-run', `by ${by.user}: ${words}`)
    return made
  }

  protected look(): void {
    const { running } = this
    if (running === undefined || running.isRunning) return
    this.running = undefined
    const { state, figures, hosts } = running.view()
    const silent = hosts.filter((host) => host.state === 'asked').length
    const words = `${figures.evaluated} requests evaluated, ${figures.different} would be otherwise`
    const message = silent === 0 ? words : `${words}; ${silent} of ${hosts.length} hosts said nothing`
    this.deps.metrics.count('dry_runs', { result: state })
    this.deps.metrics.gauge('dry_run_active', {}, 0)
    this.deps.log.info({ rule: running.facts.rule }, `the dry run of ${running.facts.rule} is over: ${message}`)
    this.tell(running.facts.rule, 'dry-run-over', message)
  }

  private tell(about: string, what: string, message: string): void {
    this.deps.control.timeline.add({ kind: 'rule', about, what, message })
  }
}
