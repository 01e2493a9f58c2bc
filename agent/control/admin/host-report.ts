/** What this host tells the centers about itself (`contracts/host-report.ts`), within the bounds of a report. */
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { RestartReport } from '../../../contracts/handoff.ts'
import { isRuleFault, type RuleStatus } from '../../../contracts/rule-status.ts'
import { ruleVersion } from '../../../contracts/rule-version.ts'
import {
  hostReportFormat,
  maxReportBytes,
  maxReportText,
  reportBounds,
  type AskedRule,
  type HostReport,
  type ReportedApplication,
  type ReportedRestart,
  type ReportedRules,
} from '../../../contracts/host-report.ts'
import { collect, type CollectView } from './collect.ts'
import type { Rules } from '../core/rules/types.ts'
import type { ToldBeside } from '../leading-part.ts'
import type { AdminView } from './view.ts'
import { readiness } from './readiness.ts'
import { openConnections, trafficByCaller, type CallerTraffic } from './traffic-by-service.ts'

/** `beside`: of parts that control does not know. */
export async function hostReport(
  context: CollectView,
  { askedRules = [], ...more }: ToldBeside = {},
): Promise<HostReport> {
  const { control, version, startedAt } = context
  const { config, deps, core } = control
  const { name, address, zone, region, labels } = config.host
  const series = await collect(context)
  const traffic = trafficByCaller(series)
  const relay = context.watchdog()?.state()?.relay
  const [restart] = context.watchdog()?.state()?.reports ?? []
  const now = readiness(context)
  return fitted({
    format: hostReportFormat,
    host: name,
    address,
    zone,
    region,
    labels,
    version,
    generation: deps.generation,
    startedAt: Math.round(deps.clock.wall() - (deps.clock.monotonic() - startedAt)),
    workers: core.publisher.states().length,
    snapshotVersion: core.store.version,
    isReady: now.ready,
    problems: now.problems.slice(0, reportBounds.problems).map(cut),
    tier: {
      now: relay?.tier ?? 'agent',
      agent: traffic.reduce((sum, row) => sum + (row.reporter === 'source' ? row.requests : 0), 0),
      center: relay?.connections.center ?? 0,
      direct: relay?.connections.direct ?? 0,
    },
    connections: openConnections(series),
    applications: applicationsOf(control),
    registries: deps.adapters.slice(0, reportBounds.registries).map((adapter) => {
      const { connected, problem } = adapter.status()
      const words = problem === undefined ? '' : cut(`${problem.code}  ${problem.message}`)
      return { name: adapter.name, type: adapter.type, isConnected: connected, problem: words }
    }),
    rules: rulesOf(control, askedRules),
    ...(restart === undefined ? {} : { lastRestart: restartOf(restart) }),
    ...more,
    bucketsMs: traffic.find(({ bounds }) => bounds.length > 0)?.bounds.slice(0, reportBounds.buckets - 1) ?? [],
    traffic: busiest(traffic).map(({ reporter, source, service, requests, failures, counts }) => ({
      reporter: reporter === 'destination' ? 'destination' : 'source',
      source: cut(source),
      service: cut(service),
      requests,
      failures,
      counts: counts.slice(0, reportBounds.buckets),
    })),
  })
}

/** Fewer rows of traffic where it would be too long: the rest of a report is small. */
function fitted(report: HostReport): HostReport {
  let made = report
  while (made.traffic.length > 0 && Buffer.byteLength(JSON.stringify(made)) > maxReportBytes)
    made = { ...made, traffic: made.traffic.slice(0, Math.floor(made.traffic.length / 2)) }
  return made
}

function busiest(traffic: readonly CallerTraffic[]): readonly CallerTraffic[] {
  return traffic.toSorted((a, b) => b.requests - a.requests).slice(0, reportBounds.traffic)
}

function applicationsOf({ host }: AdminView): ReportedApplication[] {
  return host.registrar
    .views()
    .slice(0, reportBounds.applications)
    .map(({ application, inboundPort, health, healthProblem, state }) => ({
      service: serviceKey(application.service),
      address: application.address,
      port: application.port,
      inboundPort: inboundPort ?? 0,
      protocol: application.protocol,
      health: health === undefined ? 'unchecked' : health ? 'healthy' : 'unhealthy',
      state,
      problem: cut(healthProblem ?? ''),
    }))
}

function rulesOf({ deps }: AdminView, asked: readonly string[]): ReportedRules {
  const statuses = deps.rules.statuses()
  const faults = statuses.filter(({ state }) => isRuleFault(state))
  return {
    applied: statuses.filter(({ state }) => state === 'applied').length,
    rejected: faults.slice(0, reportBounds.rejectedRules).map(({ kind, namespace, name, source, state, problems }) => ({
      kind: cut(kind),
      namespace: cut(namespace),
      name: cut(name),
      source: cut(source),
      state,
      message: cut(problems.map(({ path, message }) => `${path}: ${message}`).join('; ')),
    })),
    ...(asked.length === 0 ? {} : { asked: asked.map((rule) => askedRule(deps.rules, statuses, rule)) }),
  }
}

function askedRule(rules: Pick<Rules, 'inForce'>, statuses: readonly RuleStatus[], rule: string): AskedRule {
  const read = statuses.filter(({ kind, name, namespace }) => `${kind} ${namespace}/${name}` === rule)
  const { state } = read.find(({ state: one }) => one !== 'applied') ?? read[0] ?? { state: 'absent' }
  const text = rules.inForce(rule)
  return { rule, version: text === undefined ? '' : ruleVersion(text), state }
}

function restartOf({ kind, outcome, to, cause, startedAt, servingMs }: RestartReport): ReportedRestart {
  return { kind, outcome, generation: to, cause: cut(cause ?? ''), at: startedAt, servingMs: servingMs ?? -1 }
}

function cut(text: string): string {
  return text.length <= maxReportText ? text : `${text.slice(0, maxReportText - 1)}…`
}
