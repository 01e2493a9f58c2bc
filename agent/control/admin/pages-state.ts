/** Pages about this process and its configuration. */
import { RE2JS } from 're2js'
import { patternProblem } from '../core/rules/pattern.ts'
import { kindOf } from '../kinds/registries.ts'
import { collect, type CollectView } from './collect.ts'
import type { PageView } from './context.ts'
import { dumpProblem } from './dump-question.ts'
import { envoyCerts, type CertificateFiles } from './envoy/certs.ts'
import { envoyConfigDump } from './envoy/config-dump.ts'
import { envoyServerInfo, type ServerFacts } from './envoy/server-info.ts'
import { envoyStats } from './envoy/stats.ts'
import {
  columns,
  either,
  isOwnForm,
  jsonReply,
  textReply,
  type AdminPage,
  type AdminReply,
  type AdminRequest,
} from './http.ts'
import { mask } from './mask.ts'
import { prometheusText } from './stats.ts'
import { readiness } from './readiness.ts'

type StateView = PageView<'collectors'> & CollectView

export function statePages(context: StateView): AdminPage[] {
  const { control } = context
  const ready = (request: AdminRequest) => {
    const now = readiness(context)
    const text = (): string =>
      [
        ...(now.ready ? ['LIVE'] : ['NOT READY', ...now.pending.map((one) => `waits for: ${one}`)]),
        ...now.problems.map((one) => `problem: ${one}`),
      ].join('\n')
    return either(request, now, text, now.ready ? 200 : 503)
  }
  const prometheus = async () => ({
    ...textReply(await prometheusText(await collect(context))),
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
  })
  return [
    {
      path: '/ready',
      method: 'GET',
      isPublic: 'readiness',
      help: '200 when ready, else 503 with what is pending, by name',
      answer: ready,
    },
    { path: '/healthz/ready', method: 'GET', isPublic: 'readiness', help: 'the same', answer: ready },
    {
      path: '/server_info',
      method: 'GET',
      isPublic: 'api',
      help: 'version, state, workers, registries, collectors, as Envoy says it; ?format=hostmesh: without its frame',
      answer: (request) => jsonReply(isOwnForm(request) ? serverInfo(context) : envoyInfo(context)),
    },
    {
      path: '/certs',
      method: 'GET',
      help: 'certificates of this host and those that the agent reads: names, serial numbers, days until they expire',
      answer: () =>
        jsonReply(envoyCerts(certificateFiles(context), control.core.certificates.all(), control.deps.clock.wall())),
    },
    {
      path: '/identities',
      method: 'GET',
      help: 'names of this host and its applications, with the state of their certificates; no keys',
      answer: (request) => {
        const now = control.deps.clock.wall()
        const identities = control.host.identities.view()
        const time = (ms: number | undefined): string => (ms === undefined ? '-' : new Date(ms).toISOString())
        const text = (): string =>
          columns([
            ['identity', 'source', 'state', 'ends', 'renewal', 'problem'],
            ...identities.map(({ id, source, state, notAfter, renewAt, problem }) => {
              return [id, source, state, time(notAfter), time(renewAt), problem ?? '-']
            }),
          ])
        return either(request, { identities, now }, text)
      },
    },
    { path: '/memory', method: 'GET', help: 'memory of control', answer: () => jsonReply(process.memoryUsage()) },
    {
      path: '/config_dump',
      method: 'GET',
      help: "what workers have, in Envoy's form, values that may be secret masked, with ?include_eds for endpoints; ?resource=configuration|snapshot|listeners|virtualHosts|services|names: in our own form, with ?mask=off for root and the user of the agent",
      answer: (request) => {
        const isMasked = request.query.get('mask') !== 'off'
        if (!isMasked && !request.isOwner) return textReply("mask=off is for root and the agent's own user", 403)
        const problem = dumpProblem(request.query)
        return problem === undefined ? configDump(context, request.query, isMasked) : jsonReply({ error: problem }, 400)
      },
    },
    {
      path: '/rules',
      method: 'GET',
      isPublic: 'api',
      help: 'every rule: applied, or rejected with path and reason; and problems of configuration files',
      answer: (request) => {
        const rules = control.deps.rules.statuses()
        const text = (): string =>
          columns([
            ['state', 'kind', 'name', 'source', 'document', 'problems'],
            ...rules.map((rule) => [
              rule.state === 'rejected' && rule.inForce ? 'rejected, last good version in force' : rule.state,
              rule.kind,
              `${rule.namespace}/${rule.name}`,
              rule.source,
              `${rule.document}:${rule.line}`,
              rule.problems.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`).join('; '),
            ]),
          ])
        return either(request, { rules, configuration: control.problems }, text)
      },
    },
    {
      path: '/metrics',
      method: 'GET',
      isPublic: 'metrics',
      help: 'all metrics as Prometheus text',
      answer: prometheus,
    },
    { path: '/stats/prometheus', method: 'GET', isPublic: 'metrics', help: 'the same', answer: prometheus },
    {
      path: '/stats',
      method: 'GET',
      isPublic: 'api',
      help: 'all metrics; ?filter=REGEX, ?usedonly, ?format=json|prometheus',
      answer: async (request) => {
        if (request.query.get('format') === 'prometheus') return prometheus()
        return stats(request, await collect(context))
      },
    },
    {
      path: '/generations',
      method: 'GET',
      help: 'what the watchdog supervises, and the newest restart reports',
      answer: () =>
        jsonReply(context.watchdog()?.state() ?? { supervised: false, generation: control.deps.generation }),
    },
  ]
}

function serverInfo(context: StateView) {
  const { control, version } = context
  const { config, deps } = control
  const { ready } = readiness(context)
  return {
    version,
    state: stateOf(ready, context),
    role: config.role,
    host: config.host.name,
    address: config.host.address,
    generation: deps.generation,
    leading: control.isLeading,
    uptimeSeconds: Math.round((deps.clock.monotonic() - context.startedAt) / 1000),
    pid: process.pid,
    node: process.version,
    snapshotVersion: control.core.store.version,
    ...control.core.store.counts,
    workers: control.core.publisher.states().map((worker) => ({
      index: worker.index,
      pid: worker.pid,
      snapshotVersion: worker.version,
      ...(worker.transport === undefined ? {} : { transport: worker.transport }),
      ...(worker.refusal === undefined ? {} : { refused: worker.refusal }),
    })),
    registries: deps.adapters.map((adapter) => ({ ...adapter.status() })),
    collectors: context.collectors(),
  }
}

function certificateFiles({ control }: PageView<'control'>): CertificateFiles[] {
  const { accessLog, registries, tracing } = control.config
  const ofRegistries = registries.map((section) => {
    const files = kindOf(section).files(section)
    const at = (name: string): string | undefined => files.find(({ path }) => path.join('.') === `tls.${name}`)?.file
    return { ca: at('ca'), cert: at('cert') }
  })
  const ofCollectors = [tracing.collector, accessLog.collector].map((one) => ({ ca: one?.ca, cert: one?.cert }))
  return [...ofRegistries, ...ofCollectors].filter(({ ca, cert }) => ca !== undefined || cert !== undefined)
}

function stateOf(isReady: boolean, { control, drain }: PageView<'control' | 'drain'>): ServerFacts['state'] {
  if (drain.extent !== 'none') return 'DRAINING'
  if (isReady) return 'LIVE'
  return control.isLeading ? 'INITIALIZING' : 'PRE_INITIALIZING'
}

function configDump(context: StateView, query: URLSearchParams, isMasked: boolean): AdminReply {
  const { control } = context
  const now = control.deps.clock.wall()
  const snapshot = control.core.store.whole(now)
  const resource = query.get('resource')
  if (resource === null) {
    const { address } = control.config.admin
    return jsonReply(
      envoyConfigDump(snapshot, {
        withEndpoints: query.has('include_eds'),
        node: (envoyInfo(context) as { node: object }).node,
        admin: address === 'off' ? undefined : address,
        updatedAt: now,
      }),
    )
  }
  const parts: Record<string, unknown> = {
    configuration: { ...control.config, problems: control.problems },
    snapshot,
    listeners: snapshot.listeners,
    virtualHosts: snapshot.virtualHosts,
    services: snapshot.services,
    names: snapshot.names,
  }
  const asked = parts[resource]
  return asked === undefined
    ? jsonReply({ error: `resource "${resource}", allowed ${Object.keys(parts).join(', ')}` }, 400)
    : jsonReply((isMasked ? mask(asked) : asked) as object)
}

function envoyInfo(context: StateView): object {
  const { config, deps } = context.control
  const own = serverInfo(context)
  return envoyServerInfo(
    {
      version: context.version,
      state: own.state,
      host: config.host.name,
      role: config.role,
      locality: config.host,
      uptimeSeconds: own.uptimeSeconds,
      generation: deps.generation,
      workers: config.workers,
      configFile: config.file,
    },
    own,
  )
}

function stats(request: AdminRequest, series: Awaited<ReturnType<typeof collect>>) {
  const wanted = request.query.get('filter') ?? ''
  const problem = wanted === '' ? undefined : patternProblem(wanted)
  if (problem !== undefined) return textReply(`filter: ${problem}`, 400)
  // never V8's engine: the pattern is the caller's, and this loop is everybody's
  const filter = wanted === '' ? undefined : RE2JS.compile(wanted)
  const isUsedOnly = request.query.has('usedonly')
  const rows = series.flatMap((one) =>
    one.samples.flatMap((sample) => {
      const labels = one.labelNames.map((name, at) => `${name}=${sample.labels[at] ?? ''}`).join(',')
      const name = labels === '' ? one.name : `${one.name}{${labels}}`
      const count = sample.counts?.reduce((sum, value) => sum + value, 0)
      const isUsed = sample.value !== 0 || (count ?? 0) > 0
      if ((isUsedOnly && !isUsed) || (filter !== undefined && !filter.matcher(name).find())) return []
      return [{ name, value: sample.value, count, buckets: one.buckets, counts: sample.counts }]
    }),
  )
  const text = (): string =>
    rows
      .map(({ name, value, count }) =>
        count === undefined ? `${name}: ${value}` : `${name}: count=${count} sum=${value}`,
      )
      .join('\n')
  return either(request, envoyStats(rows), text)
}
