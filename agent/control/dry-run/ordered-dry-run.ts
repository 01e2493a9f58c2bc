/**
 * Dry runs that a center orders with its answers to reports. A host obeys a center only where it takes its rules from
 * one: those who only hear how it is may ask nothing of it. What it tells has no paths of requests.
 */
import { dryRunBounds, noFigures, type DryRunOrder, type DryRunReport } from '../../../contracts/dry-run.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AgentConfig } from '../config/types.ts'
import { kindOf } from '../kinds/registries.ts'
import type { HostDryRun } from './host-dry-run.ts'

export interface OrderedDryRunDeps {
  readonly dryRun: Pick<HostDryRun, 'start' | 'stop' | 'view'>
  config(): Pick<AgentConfig, 'registries'>
}

export class OrderedDryRun {
  private readonly deps: OrderedDryRunDeps
  /** Of the order that was heard last. */
  private id = ''
  private refusal = ''

  constructor(deps: OrderedDryRunDeps) {
    this.deps = deps
  }

  /**
   * An answer of a center, unchecked; heard again and again. Of two centers that order one, the second is obeyed when
   * the dry run of the first is over.
   */
  hear(answer: unknown): void {
    const order = orderIn(answer)
    if (order === undefined) return
    const { dryRun } = this.deps
    if (order.ms === 0) {
      if (order.id === this.id && dryRun.view()?.id === order.id) void dryRun.stop()
      return
    }
    if (order.id === this.id || this.isRunning) return
    this.id = order.id
    this.refusal = ''
    if (!this.deps.config().registries.some((section) => kindOf(section).isCenter === true)) {
      this.refusal = 'this host takes its rules from no center'
      return
    }
    dryRun.start(order, 'a center').catch((error: unknown) => {
      if (this.id === order.id) this.refusal = describeError(error).slice(0, dryRunBounds.text)
    })
  }

  private get isRunning(): boolean {
    const view = this.deps.dryRun.view()
    return view?.id === this.id && view.state === 'running'
  }

  report(): { readonly dryRun?: DryRunReport } {
    const { id, refusal } = this
    if (id === '') return {}
    if (refusal !== '') return { dryRun: { id, state: 'refused', problem: refusal, figures: noFigures } }
    const view = this.deps.dryRun.view()
    if (view?.id !== id) return {}
    const differences = view.figures.differences.map((row) => ({ ...row, example: '' }))
    const problem = view.hosts[0]!.problem.slice(0, dryRunBounds.text)
    return { dryRun: { id, state: view.state, problem, figures: { ...view.figures, differences } } }
  }
}

function orderIn(answer: unknown): DryRunOrder | undefined {
  const { dryRun } = Object(answer) as { dryRun?: unknown }
  const { id, ms, rule, share } = Object(dryRun) as Record<string, unknown>
  const isOrder =
    typeof id === 'string' &&
    id !== '' &&
    id.length <= dryRunBounds.text &&
    typeof rule === 'string' &&
    typeof share === 'number' &&
    typeof ms === 'number'
  return isOrder ? { id, ms, rule, share } : undefined
}
