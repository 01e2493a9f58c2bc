/** Brings control's gauges up to date and asks the workers for theirs; called when somebody looks, never by a timer. */
import type { StatSeries } from '../../../contracts/control-link.ts'
import type { PageView } from './context.ts'
import { readiness, staleRegistries, type ReadinessView } from './readiness.ts'
import { workerAnswerMs } from './worker-answer.ts'

/** Where the numbers come from. */
export type CollectView = PageView<'control' | 'metrics' | 'stats' | 'startedAt' | 'watchdog' | 'version'> &
  ReadinessView

export async function collect(context: CollectView): Promise<StatSeries[]> {
  const { control, metrics, stats } = context
  const { answers } = await control.core.publisher.ask({ kind: 'stats' }, workerAnswerMs)
  for (const { pid, body } of answers) stats.update(pid, body)
  stats.retain(new Set(control.core.publisher.states().map((worker) => worker.pid)))
  setGauges(context)
  return stats.merged([...metrics.series(), istioBuild(context)])
}

/** What Istio's overview lists as versions of components. */
function istioBuild({ control, version }: CollectView): StatSeries {
  return {
    name: 'istio_build',
    kind: 'gauge',
    help: 'always 1; the labels say role and version, as in Istio',
    labelNames: ['component', 'tag'],
    samples: [{ labels: [control.config.role, version], value: 1 }],
  }
}

function setGauges(context: CollectView): void {
  const { control, metrics, watchdog, version } = context
  const { clock, generation } = control.deps
  const gauge = (name: string, value: number): void => metrics.gauge(name, {}, value)
  const { role, host } = control.config
  metrics.gauge('build_info', { version, role, host: host.name, generation: String(generation) }, 1)
  gauge('ready', readiness(context).ready ? 1 : 0)
  gauge('leading', control.isLeading ? 1 : 0)
  gauge('uptime_seconds', Math.round((clock.monotonic() - context.startedAt) / 1000))
  gauge('snapshot_version', control.core.store.version)
  const { services, names } = control.core.store.counts
  gauge('snapshot_services', services)
  gauge('snapshot_names', names)
  let endpoints = 0
  for (const service of control.core.store.allServices()) endpoints += service.endpoints.endpoints.length
  gauge('snapshot_endpoints', endpoints)
  const workers = control.core.publisher.states()
  gauge('workers_connected', workers.length)
  metrics.clear('worker_version')
  for (const worker of workers) metrics.gauge('worker_version', { worker: String(worker.index) }, worker.version)
  const now = clock.wall()
  const stale = staleRegistries(control, now)
  for (const adapter of control.deps.adapters) {
    const status = adapter.status()
    const labels = { registry: adapter.name }
    metrics.gauge('registry_up', labels, status.connected ? 1 : 0)
    metrics.gauge('registry_stale', labels, stale.has(adapter.name) ? 1 : 0)
    const heard = status.lastHeardAt === 0 ? -1 : Math.max(0, (now - status.lastHeardAt) / 1000)
    metrics.gauge('registry_heard_seconds', labels, heard)
    metrics.gauge('registry_subscriptions', labels, status.subscriptions)
    metrics.gauge('registry_registrations', labels, status.registrations)
  }
  gauge('services_held_back', control.core.directory.heldBack().length)
  metrics.clear('applications')
  const states = new Map<string, number>()
  metrics.clear('application_healthy')
  for (const { application, health, state } of control.host.registrar.views()) {
    states.set(state, (states.get(state) ?? 0) + 1)
    if (health !== undefined) metrics.gauge('application_healthy', { application: application.id }, health ? 1 : 0)
  }
  for (const [state, count] of states) metrics.gauge('applications', { state }, count)
  let failed = 0
  for (const name of control.core.store.listenerNames())
    if (control.host.readiness.listenerProblem(name) !== undefined) failed++
  gauge(
    'listeners_failed',
    failed + control.host.listeners.portRows().filter((row) => row.problem !== undefined).length,
  )
  gauge('config_problems', control.problems.length)
  metrics.clear('rules')
  const rules = new Map<string, number>()
  for (const { state } of control.deps.rules.statuses()) rules.set(state, (rules.get(state) ?? 0) + 1)
  for (const [state, count] of rules) metrics.gauge('rules', { state }, count)
  const relay = watchdog()?.state()?.relay
  const tier = relay?.tier ?? 'agent'
  for (const one of ['agent', 'center', 'direct']) metrics.gauge('tier', { tier: one }, one === tier ? 1 : 0)
  metrics.clear('center_usable')
  for (const { address, isUsable } of relay?.centers ?? [])
    metrics.gauge('center_usable', { center: address }, isUsable ? 1 : 0)
}
