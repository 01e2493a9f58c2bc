/** Whether this host is ready, what it waits for, and what is wrong although it serves. */
import { formatProblem } from '../config/problem.ts'
import type { PageView } from './context.ts'
import type { AdminView } from './view.ts'
import { isRuleFault } from '../../../contracts/rule-status.ts'

/** What it goes by. */
export type ReadinessView = PageView<'control' | 'drain' | 'drainSwitch' | 'faults' | 'watchdog'>

export interface Readiness {
  readonly ready: boolean
  /** By name. */
  readonly pending: readonly string[]
  /**
   * Serving, but not as it should be: bad files, certificates that are not in use, failed listeners, lost or refusing
   * registries, rejected rules, unhealthy applications.
   */
  readonly problems: readonly string[]
  readonly restartNeeded: readonly string[]
}

export function readiness({ control, drain, drainSwitch, faults, watchdog }: ReadinessView): Readiness {
  const pending = control.host.readiness.pending()
  if (drainSwitch.isFailed) pending.push('operator: /healthcheck/fail was called')
  if (drain.extent !== 'none')
    pending.push(`operator: /drain_listeners was called (${drain.extent}); /undrain_listeners takes it back`)
  const link = watchdog()
  if (link !== undefined && link.isSupervised && !link.isLeading) pending.push('watchdog: another generation leads')
  return {
    ready: pending.length === 0,
    pending,
    problems: problemsOf(control, faults()),
    restartNeeded: control.restartNeeded,
  }
}

function problemsOf(control: AdminView, faults: readonly string[]): string[] {
  const rejected = control.deps.rules
    .statuses()
    .filter((status) => isRuleFault(status.state))
    .map(
      (status) =>
        `E_RULE_REJECTED  ${status.document}: ${status.kind} ${status.namespace}/${status.name} is ${status.state}`,
    )
  const listeners = [...control.core.store.listenerNames()].flatMap((name) => {
    const problem = control.host.readiness.listenerProblem(name)
    return problem === undefined ? [] : [`${name}: ${problem}`]
  })
  const ports = control.host.listeners.portRows().flatMap((row) => row.problem ?? [])
  const registries = control.deps.adapters.flatMap((adapter) => {
    const { connected, problem } = adapter.status()
    // a registry that is connected and refuses what is asked has a problem, too
    if (problem !== undefined) return [`${problem.code}  ${adapter.name}: ${problem.message}`]
    return connected ? [] : [`${adapter.name}: not connected yet`]
  })
  const applications = control.host.registrar
    .views()
    .flatMap(({ application, health, healthProblem, registrationProblem, state }) => [
      ...(health === false ? [`${application.id}: unhealthy: ${healthProblem ?? 'it says so itself'}`] : []),
      ...(state === 'failing' ? [`${application.id}: its registration fails${wordsOf(registrationProblem)}`] : []),
    ])
  const stale = [...staleRegistries(control, control.deps.clock.wall())].map(
    ([name, age]) =>
      `E_REGISTRY_STALE  ${name}: ${age < 0 ? 'never heard' : `not heard for ${Math.round(age / 1000)} s`}; serving the last good endpoints`,
  )
  const held = control.core.directory
    .heldBack()
    .map((key) => `E_REGISTRY_HELD  ${key}: a shrinking answer is held back`)
  const spelled = control.core.knownNames
    .clashes()
    .map((keys) => `${keys.join(' and ')} differ by case only: a Host in lower case leads to ${keys[0]}`)
  return [
    ...control.problems.filter((one) => one.severity === 'error').map(formatProblem),
    ...control.certificateProblems,
    ...rejected,
    ...listeners,
    ...ports,
    ...registries,
    ...stale,
    ...held,
    ...spelled,
    ...applications,
    ...control.state.problems(),
    ...faults,
  ]
}

function wordsOf(registrationProblem: string | undefined): string {
  return registrationProblem === undefined ? '; tried again' : `: ${registrationProblem}`
}

/** Registries that were not heard for longer than the configuration allows. */
export function staleRegistries(control: AdminView, now: number): Map<string, number> {
  const stale = new Map<string, number>()
  for (const adapter of control.deps.adapters) {
    const status = adapter.status()
    const age = status.lastHeardAt === 0 ? -1 : Math.max(0, now - status.lastHeardAt)
    if (!status.connected && (age === -1 || age > control.config.endpoints.staleAfter)) stale.set(adapter.name, age)
  }
  return stale
}
