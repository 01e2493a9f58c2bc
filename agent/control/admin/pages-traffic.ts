/** Pages about traffic: what workers know, and what control gave them. */
import type { PortRow } from '../../../contracts/port-row.ts'
import type { ClusterDump, EndpointDump, ExplainRequest, ListenerDump } from '../../../contracts/control-link.ts'
import type { FaceRelayState } from '../../../contracts/handoff.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { collect, type CollectView } from './collect.ts'
import type { PageView } from './context.ts'
import type { AdminView } from './view.ts'
import { clusterStatuses, listenerStatuses } from './envoy/statuses.ts'
import { columns, either, isOwnForm, jsonReply, type AdminPage, type AdminRequest } from './http.ts'
import { mask } from './mask.ts'
import { mtlsPorts } from './mtls-ports.ts'
import { workerAnswerMs } from './worker-answer.ts'

export function trafficPages(context: CollectView): AdminPage[] {
  const { control } = context
  const ask = async <T>(kind: 'clusters' | 'listeners'): Promise<{ dumps: T[]; problems: string[] }> => {
    const { answers, problems } = await control.core.publisher.ask({ kind }, workerAnswerMs)
    return { dumps: answers.flatMap(({ body }) => (Array.isArray(body) ? (body as T[]) : [])), problems }
  }
  return [
    {
      path: '/clusters',
      method: 'GET',
      isPublic: 'api',
      help: 'destinations and their endpoints: health, ejection, requests, latency, connections',
      answer: async (request) => {
        const { dumps, problems } = await ask<ClusterDump>('clusters')
        const clusters = mergeClusters(dumps)
        if (isOwnForm(request)) return jsonReply({ clusters, problems })
        const statuses = clusterStatuses(clusters, control.core.store.whole(0).services)
        return either(request, statuses, () => clusterText(clusters, problems))
      },
    },
    {
      path: '/listeners',
      method: 'GET',
      isPublic: 'api',
      help: 'listeners with their real addresses and states',
      answer: async (request) => {
        const { dumps, problems } = await ask<ListenerDump>('listeners')
        const listeners = mergeListeners(dumps)
        const rows = listeners.map((one) => [
          one.name,
          `${one.address}:${one.port}`,
          one.kind,
          one.problem ?? one.state,
        ])
        if (isOwnForm(request)) return jsonReply({ listeners, problems })
        return either(request, listenerStatuses(listeners), () => [columns(rows), ...problems].join('\n'))
      },
    },
    {
      path: '/mtls',
      method: 'GET',
      help: 'inbound ports: what they take, and who came in mutual TLS and who in plain; what `hostmesh mtls plan` reads',
      answer: async (request) => {
        const ports = mtlsPorts(control.core.store.allListeners(), await collect(context))
        const text = (): string =>
          columns([
            ['service', 'address', 'mode', 'mutual TLS', 'plain'],
            ...ports.map(({ service, address, mode, mutual, plain }) => [
              service,
              address,
              mode,
              String(mutual),
              plain.map(({ caller, connections }) => `${caller}:${connections}`).join(',') || '-',
            ]),
          ])
        return either(request, { ports }, text)
      },
    },
    {
      path: '/ports',
      method: 'GET',
      isPublic: 'api',
      help: 'which localhost port leads to which service, which inbound port to which application',
      answer: (request) => {
        const rows = control.host.listeners.portRows().map((row): PortRow => {
          const problem = row.problem ?? control.host.readiness.listenerProblem(row.listener)
          const state = row.problem === undefined ? control.host.readiness.listenerState(row.listener) : 'failed'
          return { ...row, state, ...(problem === undefined ? { problem: undefined } : { problem }) }
        })
        const { http } = control.config.outbound
        const shared =
          http === 'off'
            ? []
            : [
                [
                  'outbound',
                  'shared HTTP',
                  `${http.host}:${http.port}`,
                  'http',
                  control.host.readiness.listenerState('outbound-http'),
                ],
              ]
        const text = (): string =>
          columns([
            ['direction', 'service', 'address', 'protocol', 'state'],
            ...shared,
            ...rows.map((row) => [
              row.direction,
              row.service,
              `${row.address}:${row.port}`,
              row.protocol,
              row.problem ?? row.state,
            ]),
          ])
        return either(request, { shared: http === 'off' ? null : http, ports: rows }, text)
      },
    },
    {
      path: '/explain',
      method: 'GET',
      // it tells the values that rules match, and has registries asked for what is named
      isOwnersOnly: true,
      help: 'what would happen to a request: ?method=&host=&path=&header=name:value&listener=&source=&principal=&address=',
      answer: (request) => explain(context, request),
    },
    {
      path: '/fallback',
      method: 'GET',
      help: 'which tier serves now, and where each listener would go if this generation died',
      answer: (request) => {
        const relay = context.watchdog()?.state()?.relay
        const { center } = control.config
        const data = {
          tier: relay?.tier ?? 'agent',
          supervised: context.watchdog()?.isSupervised ?? false,
          centers: center.addresses,
          relay,
        }
        const text = (): string =>
          [
            `tier: ${data.tier}`,
            ...(relay === undefined ? ['no watchdog: there is no relay on this host'] : []),
            ...(relay?.centers ?? []).map(
              (one) => `center ${one.address}: ${one.isUsable ? 'usable' : 'does not answer'}`,
            ),
            ...Object.entries(relay?.listeners ?? {}).map(([name, tier]) => `${name}: ${tier}`),
            ...(relay?.nacosFace === undefined ? [] : [faceLine(relay.nacosFace)]),
          ].join('\n')
        return either(request, data, text)
      },
    },
    {
      path: '/registrations',
      method: 'GET',
      isPublic: 'api',
      help: 'local applications: inbound port, health, what the registry knows',
      answer: (request) => {
        const views = control.host.registrar.views()
        const text = (): string =>
          columns([
            ['application', 'inbound', 'health', 'state', 'waits for'],
            ...views.map((view) => [
              view.application.id,
              String(view.inboundPort ?? '-'),
              view.health === undefined
                ? 'unknown'
                : view.health
                  ? 'healthy'
                  : `unhealthy: ${view.healthProblem ?? '-'}`,
              view.registrationProblem === undefined ? view.state : `${view.state}: ${view.registrationProblem}`,
              view.waitsFor ?? '',
            ]),
          ])
        return either(request, mask({ registrations: views }), text)
      },
    },
  ]
}

async function explain({ control }: PageView<'control'>, { query }: AdminRequest) {
  const headers: (readonly [string, string])[] = []
  for (const line of query.getAll('header')) {
    const colon = line.indexOf(':')
    if (colon < 1) throw new MeshError('E_ADMIN_REQUEST', `header: found "${line}", allowed name: value`)
    headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()])
  }
  const principal = query.get('principal')
  const sourceAddress = query.get('address')
  const request: ExplainRequest = {
    listener: query.get('listener') ?? undefined,
    method: query.get('method') ?? 'GET',
    path: query.get('path') ?? '/',
    host: query.get('host') ?? '',
    headers,
    sourceApp: query.get('source') ?? undefined,
    ...(principal === null ? {} : { principal }),
    ...(sourceAddress === null ? {} : { sourceAddress }),
  }
  // a name that nobody used yet is looked up first, as it would be for a real request
  const named = headers.find(([name]) => name.toLowerCase() === 'x-mesh-service')?.[1]
  const name = named ?? request.host.toLowerCase().replace(/:\d+$/, '')
  if (request.listener === undefined && name !== '' && control.core.store.nameOf(name) === undefined) {
    control.core.names.ask(name)
    await nameAnswered(control, name)
  }
  const { answers, problems } = await control.core.publisher.ask({ kind: 'explain', request }, workerAnswerMs)
  const [first] = answers
  if (first === undefined)
    throw new MeshError('E_ADMIN_UNREACHABLE', `no worker could explain: ${problems.join('; ') || 'none is connected'}`)
  return jsonReply(first.body)
}

/** Until the name has an answer and a worker has it, at most the time that a parked request would wait. */
async function nameAnswered(control: AdminView, name: string): Promise<void> {
  const { clock } = control.deps
  const deadline = clock.monotonic() + Math.min(control.config.limits.parkTimeoutMs, workerAnswerMs)
  const isThere = (): boolean =>
    control.core.store.nameOf(name) !== undefined &&
    control.core.publisher.states().every((worker) => worker.version >= control.core.store.version)
  while (!isThere() && clock.monotonic() < deadline) await new Promise<void>((resolve) => clock.after(10, resolve))
}

export function mergeClusters(dumps: readonly ClusterDump[]): ClusterDump[] {
  const byName = new Map<string, ClusterDump>()
  for (const dump of dumps) {
    const before = byName.get(dump.name)
    byName.set(dump.name, before === undefined ? dump : addClusters(before, dump))
  }
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const breakerOrder = ['off', 'closed', 'half-open', 'open'] as const

function addClusters(a: ClusterDump, b: ClusterDump): ClusterDump {
  const endpoints = new Map(a.endpoints.map((one) => [one.endpoint, one]))
  for (const one of b.endpoints) {
    const before = endpoints.get(one.endpoint)
    endpoints.set(one.endpoint, before === undefined ? one : addEndpoints(before, one))
  }
  return {
    ...a,
    endpoints: [...endpoints.values()],
    activeRequests: a.activeRequests + b.activeRequests,
    pendingRequests: a.pendingRequests + b.pendingRequests,
    connections: a.connections + b.connections,
    // the worst of the workers
    breaker: breakerOrder.indexOf(a.breaker) >= breakerOrder.indexOf(b.breaker) ? a.breaker : b.breaker,
  }
}

function addEndpoints(a: EndpointDump, b: EndpointDump): EndpointDump {
  const requests = a.requests + b.requests
  return {
    ...(a.healthy ? b : a),
    activeRequests: a.activeRequests + b.activeRequests,
    connections: a.connections + b.connections,
    idleConnections: a.idleConnections + b.idleConnections,
    requests,
    failures: a.failures + b.failures,
    latencyMs: requests === 0 ? 0 : (a.latencyMs * a.requests + b.latencyMs * b.requests) / requests,
  }
}

function mergeListeners(dumps: readonly ListenerDump[]): ListenerDump[] {
  const byName = new Map<string, ListenerDump>()
  for (const dump of dumps) {
    const before = byName.get(dump.name)
    if (before === undefined) byName.set(dump.name, dump)
    else
      byName.set(dump.name, {
        ...(dump.state === 'failed' ? dump : before),
        connections: before.connections + dump.connections,
      })
  }
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Envoy's form: `cluster::address::stat::value`. */
function clusterText(clusters: readonly ClusterDump[], problems: readonly string[]): string {
  const lines = clusters.flatMap((cluster) => [
    `${cluster.name}::breaker::${cluster.breaker}`,
    `${cluster.name}::rq_active::${cluster.activeRequests}`,
    `${cluster.name}::rq_pending::${cluster.pendingRequests}`,
    ...cluster.endpoints.flatMap((one) => {
      const at = `${cluster.name}::${one.endpoint}`
      return [
        `${at}::health_flags::${one.state}`,
        `${at}::weight::${one.weight}`,
        `${at}::cx_active::${one.connections}`,
        `${at}::rq_active::${one.activeRequests}`,
        `${at}::rq_total::${one.requests}`,
        `${at}::rq_error::${one.failures}`,
        `${at}::latency_ms::${Math.round(one.latencyMs * 100) / 100}`,
        `${at}::zone::${one.zone}`,
        `${at}::version::${one.version}`,
      ]
    }),
  ])
  return [...lines, ...problems].join('\n')
}

function faceLine({ isRelaying, carried, refused, problem }: FaceRelayState): string {
  const who = isRelaying ? 'a center' : 'this agent'
  const why = problem === undefined ? '' : `: ${problem}`
  return `nacos face: answered by ${who}; ${carried} connections were taken to a center, ${refused} by nobody${why}`
}
