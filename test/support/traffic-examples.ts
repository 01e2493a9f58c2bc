/**
 * Reads the examples of `docs/traffic.md` and runs them: a fenced `yaml` block holds rules, the `text` block under it
 * says what becomes of requests.
 *
 *   GET host/path [from APP] [at PORT] [| name: value]...  -> fact; fact      a request on its way out (`inbound GET
 *   …`: on its way in) TCP host [from APP] [source ADDRESS] [at PORT]         -> fact            a connection
 *   host [SUBSET] [port N]                                 -> path = value    the policy of a destination, or its
 *   endpoints rejected LINE:COLUMN path: message                                        a problem of the rules
 *
 * Every fact must hold, and the destinations named must be all there are.
 */
import { entrySet } from '../../agent/control/core/rules/service-entry.ts'
import type { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import { explainPolicy } from '../../agent/worker/route/explain.ts'
import { makeHashCookie, readHash } from '../../agent/worker/route/hash-key.ts'
import { murmur3 } from '../../agent/worker/route/murmur3.ts'
import { matchTcpRoute } from '../../agent/worker/route/tcp-route.ts'
import type { Answer } from '../../agent/worker/filters/answer.ts'
import type { FilterContext } from '../../agent/worker/filters/filter.ts'
import type { RequestView, Route, TcpRoute } from '../../agent/worker/route/types.ts'
import { matchRoute } from '../../agent/worker/route/virtual-host.ts'
import type { ServiceKey } from '../../contracts/endpoint.ts'
import type { HeaderEditsSpec } from '../../contracts/route-spec.ts'
import { app, compiled, connection, context, replyHead, request, inboundApplication } from './routing.ts'

export interface TrafficExample {
  /** Heading above it and line in the document. */
  readonly title: string
  readonly yaml: string
  readonly lines: readonly string[]
}

export function trafficExamples(markdown: string): TrafficExample[] {
  const examples: TrafficExample[] = []
  let heading = ''
  let block: { language: string; line: number; lines: string[] } | undefined
  let yaml: { text: string; line: number } | undefined
  markdown.split('\n').forEach((line, index) => {
    if (block === undefined) {
      if (line.startsWith('#')) heading = line.replace(/^#+ /, '')
      const fence = /^```(\w*)$/.exec(line)
      if (fence !== null) block = { language: fence[1]!, line: index + 1, lines: [] }
      return
    }
    if (line !== '```') {
      block.lines.push(line)
      return
    }
    if (block.language === 'yaml') yaml = { text: block.lines.join('\n'), line: block.line }
    else if (block.language === 'text' && yaml !== undefined) {
      examples.push({ title: `${heading} (line ${yaml.line})`, yaml: yaml.text, lines: block.lines })
      yaml = undefined
    }
    block = undefined
  })
  return examples
}

/** Splits `left -> fact; fact`. */
export function expectation(line: string): { left: string; facts: string[] } {
  const [left = '', right = ''] = line.split('->')
  return { left: left.trim(), facts: right.split(';').map((fact) => fact.trim()) }
}

/** Facts about a line's left side, against which the expected ones are held. */
export interface Outcome {
  /** Places where it may go; all of them must be expected. */
  readonly destinations: readonly string[]
  readonly facts: readonly string[]
}

export function outcomeOf(left: string, store: RuleStore): Outcome {
  if (left.startsWith('TCP ')) return tcpOutcome(left.slice(4), store)
  const http = /^(inbound )?([A-Z]+) (\S+?)(\/\S*)(.*)$/.exec(left)
  if (http !== null) return httpOutcome(http, store)
  return policyOutcome(left, store)
}

function keyOf(host: string, store: RuleStore): ServiceKey {
  const key = store.resolveName(host.replace(/:\d+$/, ''))
  if (key === undefined) throw new Error(`${host} is no name`)
  return key
}

function shortName(key: ServiceKey): string {
  return key.replace(/^public\//, '').replace(/^DEFAULT_GROUP@@/, '')
}

function httpOutcome([, inbound, method, host, path, rest]: RegExpExecArray, store: RuleStore): Outcome {
  const [traits = '', ...fields] = rest!.split(' | ')
  const headers = Object.fromEntries(
    fields.map(
      (field) =>
        field
          .trim()
          .split(/: (.*)/s)
          .slice(0, 2) as [string, string],
    ),
  )
  const source = / from (\S+)/.exec(traits)?.[1]
  const port = / at (\d+)/.exec(traits)?.[1]
  const view = request({
    method: method!,
    host: host!,
    path: path!,
    headers,
    ...(source === undefined ? {} : { source: app(source) }),
    ...(port === undefined ? {} : { port: Number(port) }),
  })
  const key = keyOf(host!, store)
  const spec =
    inbound === undefined ? store.virtualHost(key).spec : store.inboundVirtualHost(key, inboundApplication(key))
  const route = matchRoute(compiled(spec), view)
  if (route === undefined) return { destinations: ['no route'], facts: [] }
  const limits = limitFacts(route, view)
  const reply = firstReply(
    route,
    context(view, 0, () => 0.999_999),
  )
  if (reply !== undefined) return { destinations: [replyText(reply)], facts: limits }
  return {
    destinations: destinationsOf(route),
    facts: [...limits, ...routeFacts(route, view), ...hashFacts(key, view, store)],
  }
}

function firstReply(route: Route, filterContext: FilterContext): Answer | undefined {
  for (const { filter } of route.filters) {
    if (filter.kind === 'rate-limit') continue
    const verdict = filter.onRequest(filterContext)
    if (verdict?.kind === 'answer') return verdict
  }
  return undefined
}

function replyText(reply: Answer): string {
  const location = reply.fields.find(([name]) => name === 'location')?.[1]
  return `${reply.status} ${location ?? JSON.stringify(reply.body.toString())}`
}

/** `3 pass, then 429`: tried out. */
function limitFacts(route: Route, view: RequestView): string[] {
  const limits = route.filters.map(({ filter }) => filter).filter(({ kind }) => kind === 'rate-limit')
  if (limits.length === 0) return []
  for (let passed = 0; ; passed++) {
    for (const limit of limits) {
      const verdict = limit.onRequest(context(view, 0))
      if (verdict?.kind === 'answer') return [`${passed} pass, then ${verdict.status}`]
    }
  }
}

function destinationsOf(route: Route | TcpRoute): string[] {
  const total = route.destinations.reduce((sum, one) => sum + one.spec.weight, 0)
  return route.destinations.map(({ spec }) => {
    const place = [shortName(spec.service), spec.subset, spec.port === undefined ? undefined : `port ${spec.port}`]
    const share = route.destinations.length === 1 ? undefined : percent(spec.weight / total)
    return [...place, share].filter((part) => part !== undefined).join(' ')
  })
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`
}

function routeFacts(route: Route, view: RequestView): string[] {
  const { spec, retry } = route
  const facts = [
    spec.timeoutMs === 0 ? 'no timeout' : `timeout ${spec.timeoutMs} ms`,
    ...editFacts('request', spec.requestHeaders),
    ...editFacts('response', spec.responseHeaders),
  ]
  if (route.rewritePath !== null) facts.push(`path ${route.rewritePath(view)}`)
  if (route.rewriteAuthority !== null) facts.push(`host ${route.rewriteAuthority}`)
  if (retry === null) facts.push('no retries')
  else {
    facts.push(`${retry.spec.attempts} retries`)
    if (retry.spec.perTryTimeoutMs > 0) facts.push(`per try ${retry.spec.perTryTimeoutMs} ms`)
    for (let status = 400; status < 600; status++)
      facts.push(`${retry.onStatus(status) ? 'retries' : 'passes'} ${status}`)
  }
  for (const filter of spec.filters ?? []) {
    if (filter.kind === 'fault-delay') facts.push(`delays ${percent(filter.share)} by ${filter.fixedMs} ms`)
    if (filter.kind === 'fault-abort') facts.push(`aborts ${percent(filter.share)} with ${filter.status}`)
  }
  for (const mirror of route.mirrors)
    facts.push(`mirrors ${percent(mirror.share)} to ${shortName(mirror.destination.spec.service)}`)
  if (spec.retry?.all === true) facts.push('repeats all requests')
  if (spec.hedge !== undefined) facts.push(`hedges after ${spec.hedge.afterMs} ms`)
  for (const filter of route.replyFilters) {
    const edits = filter.onReply(context(view), replyHead(200))
    for (const [name, value] of edits?.fields ?? []) facts.push(`answers ${name}: ${value}`)
  }
  for (const { spec: destination } of route.destinations) {
    const name = shortName(destination.service)
    for (const fact of editFacts('request', destination.requestHeaders)) facts.push(`${name} ${fact}`)
    for (const fact of editFacts('response', destination.responseHeaders)) facts.push(`${name} ${fact}`)
  }
  return facts
}

function editFacts(side: string, edits: HeaderEditsSpec | undefined): string[] {
  return [
    ...(edits?.set ?? []).map(([name, value]) => `${side} sets ${name}: ${value}`),
    ...(edits?.add ?? []).map(([name, value]) => `${side} adds ${name}: ${value}`),
    ...(edits?.remove ?? []).map((name) => `${side} removes ${name}`),
  ]
}

function hashFacts(key: ServiceKey, view: RequestView, store: RuleStore): string[] {
  const { loadBalancer } = store.service(key).policy
  if (loadBalancer.kind !== 'ring-hash' && loadBalancer.kind !== 'maglev') return []
  const hash = readHash(loadBalancer.key, view)
  if (hash !== undefined) {
    return ['a', '7', 'k1'].filter((value) => murmur3(value) === hash).map((value) => `hashes "${value}"`)
  }
  const made = makeHashCookie(loadBalancer.key, () => 0.5)
  const cookie = made === undefined ? null : /^(\w+)=\w+; Max-Age=(\d+);/.exec(made.edits.fields[0]![1])
  return ['hashes nothing', ...(cookie === null ? [] : [`makes the cookie ${cookie[1]} for ${cookie[2]} s`])]
}

function tcpOutcome(left: string, store: RuleStore): Outcome {
  const host = left.split(' ')[0]!
  const source = / from (\S+)/.exec(left)?.[1]
  const address = / source (\S+)/.exec(left)?.[1]
  const port = / at (\d+)/.exec(left)?.[1]
  const serverName = / named (\S+)/.exec(left)?.[1]
  const route = matchTcpRoute(
    compiled(store.virtualHost(keyOf(host, store)).spec),
    connection({
      ...(source === undefined ? {} : { source: app(source) }),
      ...(address === undefined ? {} : { sourceAddress: address }),
      ...(port === undefined ? {} : { localPort: Number(port) }),
      ...(serverName === undefined ? {} : { serverName }),
    }),
  )
  return { destinations: route === undefined ? ['no route'] : destinationsOf(route), facts: [] }
}

function policyOutcome(left: string, store: RuleStore): Outcome {
  const [host = '', ...rest] = left.split(' ')
  const key = keyOf(host, store)
  const port = rest[0] === 'port' ? rest[1] : undefined
  const subset = port === undefined ? rest[0] : undefined
  const service = store.service(key)
  const facts: string[] = []
  const policy =
    port !== undefined
      ? service.portPolicies[port]
      : subset !== undefined
        ? service.subsets[subset]?.policy
        : service.policy
  if (policy === undefined) throw new Error(`${left} has no policy`)
  for (const row of explainPolicy(policy)) facts.push(`${row.path} = ${row.value}`)
  if (subset !== undefined) {
    const labels = Object.entries(service.subsets[subset]!.labels).map(([name, value]) => `${name}=${value}`)
    facts.push(`labels ${labels.join(' ')}`)
  }
  const declared = store.declaredService(key)
  if (declared !== undefined) {
    const places = declared.endpoints.map((one) => `${one.host}:${one.port}`)
    facts.push(`endpoints ${places.join(' ')}`, `protocol ${declared.protocol}`)
    if (declared.resolution === 'static' && entrySet(declared, new Map(), 1, 0).endpoints.length !== places.length) {
      throw new Error(`${left}: not every endpoint stands in the set`)
    }
  }
  return { destinations: [], facts }
}
