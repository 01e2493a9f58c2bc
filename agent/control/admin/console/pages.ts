/** Pages that the console reads and that other programs had no need of: who calls whom, services, drills. */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterDump } from '../../../../contracts/control-link.ts'
import { defaultGroup, endpointId, parseServiceName, type ServiceKey } from '../../../../contracts/endpoint.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import type { ReportedTraffic } from '../../../../contracts/host-report.ts'
import { collect, type CollectView } from '../collect.ts'
import type { PageView } from '../context.ts'
import { jsonReply, type AdminPage, type AdminReply } from '../http.ts'
import { mask } from '../mask.ts'
import { mergeClusters } from '../pages-traffic.ts'
import { readiness } from '../readiness.ts'
import { trafficByCaller } from '../traffic-by-service.ts'
import { workerAnswerMs } from '../worker-answer.ts'
import { CallWindow, type CallCounters, type CallRow } from './call-window.ts'
import { ListedServices } from './listed-services.ts'

const maxServices = 10_000
const maxDrills = 50
const maxDrillBytes = 64 * 1024

/** What the console shows of every node. */
const consolePages = ['overview', 'graph', 'services', 'rules', 'explain', 'events', 'certificates', 'drills'] as const

export function consoleDataPages(context: PageView<'version' | 'reportedTraffic'> & CollectView): AdminPage[] {
  const { control } = context
  const window = new CallWindow()
  const listed = new ListedServices(() => control.deps)
  return [
    {
      path: '/about',
      method: 'GET',
      help: 'what the console shows here, and how this node is',
      answer: () => {
        const { host, role } = control.config
        const state = readiness(context)
        return jsonReply({ role, host: host.name, version: context.version, pages: consolePages, kinds: [], state })
      },
    },
    {
      path: '/graph',
      method: 'GET',
      isPublic: 'api',
      help: 'who calls whom over the last minute: rate, failures, p99, tier; on a center of all hosts that report',
      answer: async () => {
        const series = await collect(context)
        const keys = keysByName(context)
        const rows = trafficByCaller(series)
        const own: CallCounters = {
          host: '',
          identity: series,
          bounds: rows[0]?.bounds ?? [],
          rows: () => callRows(rows, control.config.role, keys),
        }
        const others = context.reportedTraffic().map(({ bucketsMs, host, traffic }): CallCounters => ({
          host,
          identity: traffic,
          bounds: bucketsMs,
          rows: () => callRows(traffic, 'agent', keys),
        }))
        return jsonReply(window.look([own, ...others], control.deps.clock.monotonic()))
      },
    },
    {
      path: '/services',
      method: 'GET',
      isPublic: 'api',
      help: 'services: their registry, instances and how many are healthy; ?name=KEY: the instances of one as workers see them',
      answer: async ({ query }) => {
        const name = query.get('name')
        return name === null ? jsonReply(await listServices(context, listed)) : oneService(context, name)
      },
    },
    {
      path: '/drills',
      method: 'GET',
      help: 'reports of the newest drills on this host',
      answer: () => jsonReply({ drills: drillReports(join(control.config.stateDir, 'drills')) }),
    },
  ]
}

type Traffic = Pick<ReportedTraffic, 'source' | 'service' | 'requests' | 'failures' | 'counts'> & {
  readonly reporter: string
}

/**
 * A call is told where it was sent and where it came in; the former knows the caller. What comes in counts only for
 * services that nobody is seen to call.
 */
function callRows(traffic: readonly Traffic[], tier: string, keys: ReadonlyMap<string, string>): CallRow[] {
  const sent = new Set(traffic.flatMap(({ reporter, service }) => (reporter === 'source' ? [service] : [])))
  return traffic.flatMap(({ counts, failures, reporter, requests, service, source }) => {
    if (service === 'unknown/unknown' || (reporter !== 'source' && sent.has(service))) return []
    return [{ source, target: keys.get(service) ?? keyOf(service), tier, requests, failures, counts }]
  })
}

function keysByName({ control }: PageView<'control'>): ReadonlyMap<string, string> {
  const keys = new Map<string, string>()
  for (const { endpoints } of control.core.store.allServices()) {
    const name = parseServiceName(endpoints.service)
    if (name !== undefined) keys.set(`${name.namespace}/${name.name}`, endpoints.service)
  }
  return keys
}

function keyOf(service: string): string {
  const slash = service.indexOf('/')
  return `${service.slice(0, slash)}/${defaultGroup}@@${service.slice(slash + 1)}`
}

async function listServices({ control }: PageView<'control'>, listed: ListedServices): Promise<object> {
  const { names, problems } = await listed.ask()
  const rows = new Map<string, object>()
  for (const service of names) rows.set(service, { service, registry: '', instances: -1, healthy: 0, held: 0 })
  for (const { endpoints } of control.core.store.allServices()) {
    const { held = [], registry, service } = endpoints
    const healthy = endpoints.endpoints.filter((one) => one.healthy && one.enabled).length
    rows.set(service, { service, registry, instances: endpoints.endpoints.length, healthy, held: held.length })
  }
  const services = [...rows.values()] as { service: string }[]
  services.sort((a, b) => (a.service < b.service ? -1 : 1))
  return { services: services.slice(0, maxServices), left: Math.max(0, services.length - maxServices), problems }
}

async function oneService({ control }: PageView<'control'>, text: string): Promise<AdminReply> {
  if (parseServiceName(text) === undefined)
    throw new MeshError('E_ADMIN_REQUEST', `name: found ${JSON.stringify(text.slice(0, 80))}, allowed a service key`)
  const spec = control.core.store.service(text as ServiceKey)
  if (spec === undefined) return jsonReply({ service: text, instances: null, breaker: 'off' })
  const { answers } = await control.core.publisher.ask({ kind: 'clusters' }, workerAnswerMs)
  const dumps = answers.flatMap(({ body }) => (Array.isArray(body) ? (body as ClusterDump[]) : []))
  const own = mergeClusters(dumps.filter(({ service }) => service === text))
  const seen = new Map(own.flatMap(({ endpoints }) => endpoints).map((one) => [one.endpoint, one]))
  const breaker = own.find((one) => one.breaker === 'open' || one.breaker === 'half-open')?.breaker ?? 'closed'
  const instances = spec.endpoints.endpoints.map((one) => {
    const endpoint = endpointId(one)
    const live = seen.get(endpoint)
    const said = !one.enabled ? 'disabled' : one.healthy ? 'healthy' : 'unhealthy'
    return {
      endpoint,
      state: live?.state ?? said,
      isUsed: live?.healthy ?? (one.enabled && one.healthy),
      version: one.version,
      zone: one.locality.zone,
      weight: one.weight,
      requests: live?.requests ?? 0,
      failures: live?.failures ?? 0,
      latencyMs: live?.latencyMs ?? 0,
      metadata: (mask({ metadata: one.metadata }) as { metadata: object }).metadata,
    }
  })
  return jsonReply({ service: text, instances, breaker })
}

/** Newest first; what is no report is left out. */
function drillReports(folder: string): object[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  const newest = names
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .toReversed()
  return newest.slice(0, maxDrills).flatMap((name) => {
    try {
      const file = join(folder, name)
      if (statSync(file).size > maxDrillBytes) return []
      const report = JSON.parse(readFileSync(file, 'utf8')) as { drill?: unknown; probe?: unknown; problems?: unknown }
      const isReport = typeof report.drill === 'string' && typeof report.probe === 'object' && report.probe !== null
      return isReport && Array.isArray(report.problems) ? [report] : []
    } catch {
      return []
    }
  })
}
