/** Pages about this process and its configuration. */
import { RE2JS } from 're2js'
import { patternProblem } from '../core/rules/pattern.ts'
import { collect } from './collect.ts'
import type { AdminContext } from './context.ts'
import { columns, either, jsonReply, textReply, type AdminPage, type AdminRequest } from './http.ts'
import { mask } from './mask.ts'
import { prometheusText } from './stats.ts'
import { readiness } from './readiness.ts'

export function statePages(context: AdminContext): AdminPage[] {
  const { control, registries } = context
  /** Of the running drill, so that a second one replaces the first. */
  let endCut: (() => void) | undefined
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
      help: 'version, state, workers, registries',
      answer: () => jsonReply(serverInfo(context)),
    },
    { path: '/memory', method: 'GET', help: 'memory of control', answer: () => jsonReply(process.memoryUsage()) },
    {
      path: '/config_dump',
      method: 'GET',
      help: 'configuration and compiled snapshot, values that may be secret masked; ?mask=off for root and the user of the agent; ?resource=configuration|snapshot|listeners|virtualHosts|services|names',
      answer: (request) => {
        const isMasked = request.query.get('mask') !== 'off'
        if (!isMasked && !request.isOwner) return textReply("mask=off is for root and the agent's own user", 403)
        return jsonReply(configDump(context, request.query.get('resource'), isMasked))
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
        jsonReply(context.continuity()?.state() ?? { supervised: false, generation: control.deps.generation }),
    },
    {
      path: '/drill',
      method: 'POST',
      help: '{"cutRegistryMs": N}: behave for N ms (at most 600000) as if no registry could be reached; 0 ends it',
      answer: ({ body }) => {
        const ms = (body as { cutRegistryMs?: unknown } | undefined)?.cutRegistryMs
        if (typeof ms !== 'number' || !(ms >= 0 && ms <= 600_000))
          return textReply(`cutRegistryMs: found ${JSON.stringify(ms)}, allowed 0 to 600000`, 400)
        endCut?.()
        for (const registry of registries) registry.setCut(ms > 0)
        const restore = (): void => {
          for (const registry of registries) registry.setCut(false)
        }
        endCut = ms > 0 ? control.deps.clock.after(ms, restore) : undefined
        return jsonReply({ cutRegistryMs: ms })
      },
    },
  ]
}

function serverInfo(context: AdminContext): object {
  const { control, version } = context
  const { config, deps } = control
  const { ready } = readiness(context)
  return {
    version,
    state: ready ? 'LIVE' : control.isLeading ? 'INITIALIZING' : 'PRE_INITIALIZING',
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
      ...(worker.refusal === undefined ? {} : { refused: worker.refusal }),
    })),
    registries: deps.adapters.map((adapter) => ({ ...adapter.status() })),
  }
}

function configDump({ control }: AdminContext, resource: string | null, isMasked: boolean): object {
  const snapshot = control.core.store.whole(control.deps.clock.wall())
  const parts: Record<string, unknown> = {
    configuration: control.config,
    snapshot,
    listeners: snapshot.listeners,
    virtualHosts: snapshot.virtualHosts,
    services: snapshot.services,
    names: snapshot.names,
  }
  const asked =
    resource === null
      ? { configuration: parts['configuration'], problems: control.problems, snapshot }
      : parts[resource]
  return asked === undefined
    ? { error: `resource "${resource}", allowed ${Object.keys(parts).join(', ')}` }
    : ((isMasked ? mask(asked) : asked) as object)
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
      return [{ name, value: sample.value, count }]
    }),
  )
  const text = (): string =>
    rows
      .map(({ name, value, count }) =>
        count === undefined ? `${name}: ${value}` : `${name}: count=${count} sum=${value}`,
      )
      .join('\n')
  return either(request, { stats: rows }, text)
}
