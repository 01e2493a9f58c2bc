/**
 * Why a request goes where it goes. Nothing is decided here: the matchers, conditions and candidates are those of the
 * data path, asked one after the other instead of until the first that fits. Changes nothing: no token is taken, no
 * cluster is made, no fault is drawn.
 */
import type { ExplainAnswer, ExplainDestination, ExplainRequest, ExplainStep } from '../../../contracts/control-link.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { HttpRouteSpec, RuleOrigin } from '../../../contracts/route-spec.ts'
import type { ListenerSpec, SourceAppSpec } from '../../../contracts/snapshot.ts'
import { headers as meshHeaders } from '../../../contracts/words.ts'
import { splitAuthority } from './authority.ts'
import { clusterKeyFor, subsetOf } from './destination.ts'
import { explainOverride } from './explain-override.ts'
import { compileHttpMatch, describeMiss } from './http-match.ts'
import { GatewayTable } from './gateway-table.ts'
import { mayBeAName } from './name-table.ts'
import type { NameTable } from './name-table.ts'
import { originText } from './origin-text.ts'
import { percent } from './percent.ts'
import { tcpRouteMatches } from './tcp-route.ts'
import type { ConnectionView, Destination, RequestView, Route, TcpRoute, VirtualHost } from './types.ts'
import { matchRoute } from './virtual-host.ts'

/** What `explain` may look at. */
export interface ExplainSources {
  readonly listeners: readonly ListenerSpec[]
  readonly names: NameTable
  /** By the data path's own reader. */
  read(request: ExplainRequest, by: AskedBy): AskedRequest | AskedFault
  /** Applications by name, for `sourceApp`: labels and namespace. */
  readonly sourceApps: Iterable<SourceAppSpec>
  /**
   * Candidates and policy of a destination; undefined while the worker knows no such service. Must not create living
   * state.
   */
  destination(destination: Destination): DestinationFacts | undefined
}

/** A request as the data path reads it. */
export interface AskedRequest extends RequestView {
  isNamedByHost: boolean
  readonly endsHere: boolean
}

/** Who is said to ask. */
export type AskedBy = Pick<RequestView, 'localPort' | 'sourceAddress' | 'source'>

/** The answer to a request that the data path does not take. */
export interface AskedFault {
  readonly status: number
  readonly code: string
  readonly reason: string
  readonly rule: string
}

export interface DestinationFacts {
  readonly candidates: readonly { readonly endpoint: string; readonly usable: boolean; readonly reason: string }[]
  readonly note: string | undefined
  readonly policy: TrafficPolicySpec
}

export function explainRequest(request: ExplainRequest, sources: ExplainSources): ExplainAnswer {
  const listener = findListener(request.listener, sources.listeners)
  if (listener === undefined) {
    const known = sources.listeners.map((one) => `${one.name} (${one.port})`).join(', ')
    return emptyAnswer(
      request.listener ?? 'shared HTTP port',
      undefined,
      `no such listener; there are: ${known || 'none'}`,
    )
  }
  // what comes from the network is known by its certificate alone
  const isOfTheNetwork = listener.kind === 'inbound' || listener.kind === 'gateway'
  const source = isOfTheNetwork ? undefined : sourceOf(request.sourceApp, sources.sourceApps)
  const view = sources.read(request, {
    localPort: listener.port,
    sourceAddress: request.sourceAddress ?? '127.0.0.1',
    source,
  })
  const peer: PeerIdentity =
    request.principal === undefined ? { kind: 'none' } : { kind: 'spiffe', id: request.principal }
  if ('reason' in view) {
    return emptyAnswer(
      listener.name,
      undefined,
      `answered ${view.status} with ${view.code}: ${view.reason} (${view.rule})`,
    )
  }
  const isOfOneService = listener.kind === 'service' || isOfTheNetwork
  view.isNamedByHost = !isOfOneService && view.header(meshHeaders.service) === undefined
  if (view.endsHere)
    return emptyAnswer(listener.name, undefined, 'answered 200 here: OPTIONS that may not be forwarded')
  const { name, host, problem } = findHost(listener, view, sources.names)
  if (host === undefined) return emptyAnswer(listener.name, name, problem)
  const isTcp = isOfOneService && ['tcp', 'udp'].includes(protocolAt(listener, view))
  const caller = source?.app ?? request.principal ?? view.sourceAddress
  const override = isTcp ? undefined : explainOverride(host, view, caller, sources.names)
  if (override !== undefined && override.host === undefined)
    return { ...emptyAnswer(listener.name, name, override.step.reason), steps: [override.step] }
  const led = override?.host ?? host
  const { steps, route } = isTcp ? tcpSteps(led, view) : httpSteps(led, view)
  return {
    listener: listener.name,
    name,
    virtualHost: led.name,
    steps: override === undefined ? steps : [override.step, ...steps],
    outcome: route === undefined ? 'no route matches: 404 with E_ROUTE_NONE' : outcomeOf(route),
    filters: [...(isTcp ? [] : explained(led.firstFilters, view, peer)), ...explainFilters(route, view, peer)],
    destinations: route === undefined ? [] : explainDestinations(ledTo(route, led, override?.subset), view, sources),
  }
}

function emptyAnswer(listener: string, name: string | undefined, outcome: string): ExplainAnswer {
  return { listener, name, virtualHost: undefined, steps: [], outcome, filters: [], destinations: [] }
}

/** By name, by port, or without either the shared HTTP port. */
function findListener(wanted: string | undefined, listeners: readonly ListenerSpec[]): ListenerSpec | undefined {
  if (wanted === undefined) return listeners.find((one) => one.kind === 'shared-http') ?? listeners[0]
  return listeners.find((one) => one.name === wanted) ?? listeners.find((one) => String(one.port) === wanted)
}

/** As the data path finds it: a listener of one service knows its host; else x-mesh-service, else Host. */
function findHost(
  listener: ListenerSpec,
  view: RequestView,
  names: NameTable,
): { name: string | undefined; host: VirtualHost | undefined; problem: string } {
  if (listener.kind === 'service' || listener.kind === 'inbound') {
    const problem = `the virtual host ${listener.virtualHost} of the listener is not in the snapshot`
    return { name: listener.virtualHost, host: names.host(listener.virtualHost), problem }
  }
  if (listener.kind === 'gateway') {
    const name = gatewayHost(listener, view)
    return { name, host: names.host(name), problem: `the virtual host ${name} of the listener is not in the snapshot` }
  }
  const named = view.header(meshHeaders.service)
  const name = named ?? view.authority
  if (name === '')
    return {
      name: undefined,
      host: undefined,
      problem: 'answered 400 with E_ROUTE_NO_NAME: the request names no service',
    }
  const found = named === undefined ? names.findAuthority(name) : names.findName(name)
  if (found !== null && found !== undefined) return { name, host: found, problem: '' }
  if (!mayBeAName(name)) {
    const problem = 'answered 400: no service can have this name: E_ROUTE_NAME_NOT_ALLOWED'
    return { name, host: undefined, problem }
  }
  const problem =
    found === null
      ? 'answered 503: no registry and no rule knows the name: E_ROUTE_UNKNOWN_SERVICE'
      : 'this worker has not asked for the name yet: the first request asks control for it and waits'
  return { name, host: undefined, problem }
}

type GatewayListener = Extract<ListenerSpec, { readonly kind: 'gateway' }>

/** Callers say the same name in TLS and in Host. */
function gatewayHost({ name, servers }: GatewayListener, { authority }: RequestView): string {
  const [host] = splitAuthority(authority)
  const table = new GatewayTable(servers)
  const server = table.server(host)
  return (server?.protocol === 'tcp' ? server.virtualHost : table.host(host, authority)) ?? name
}

function protocolAt(
  listener: Extract<ListenerSpec, { readonly kind: 'service' | 'inbound' | 'gateway' }>,
  { authority }: RequestView,
): string {
  if (listener.kind !== 'gateway') return listener.protocol
  return new GatewayTable(listener.servers).server(splitAuthority(authority)[0])?.protocol ?? listener.protocol
}

/** An application that the host does not know by user id is taken by its name alone. */
function sourceOf(app: string | undefined, apps: Iterable<SourceAppSpec>): SourceAppSpec | undefined {
  if (app === undefined) return undefined
  for (const known of apps) if (known.app === app) return known
  return { app, namespace: '', labels: {} }
}

interface Explained<R> {
  readonly steps: readonly ExplainStep[]
  readonly route: R | undefined
}

/** One step per rule up to the one that decides, which is the one that the data path finds. */
export function httpSteps(host: VirtualHost, view: RequestView): Explained<Route> {
  const route = matchRoute(host, view)
  const steps: ExplainStep[] = []
  for (const spec of host.spec.http) {
    const isDecided = route !== undefined && route.spec === spec
    steps.push({
      rule: spec.name,
      origin: originText(spec.origin),
      matched: isDecided,
      reason: isDecided ? hitReason(spec, view) : missReason(spec, view),
    })
    if (isDecided) break
  }
  return { steps, route }
}

function hitReason(spec: HttpRouteSpec, view: RequestView): string {
  if (spec.matches.length === 0) return 'takes every request'
  const index = spec.matches.findIndex((match, at) => describeMiss(compileHttpMatch(match, at), view) === undefined)
  const match = spec.matches[index]
  return match === undefined ? 'matches' : `${match.name ?? `match[${index}]`} holds`
}

function missReason(spec: HttpRouteSpec, view: RequestView): string {
  return spec.matches
    .map((match, at) => {
      const compiled = compileHttpMatch(match, at)
      return `${compiled.name}: ${describeMiss(compiled, view) ?? 'holds'}`
    })
    .join('; ')
}

function tcpSteps(host: VirtualHost, view: RequestView): Explained<TcpRoute> {
  const connection = connectionOf(view)
  const steps: ExplainStep[] = []
  for (const route of host.tcpRoutes) {
    const matched = tcpRouteMatches(route, connection)
    const origin = originText(route.spec.origin)
    const reason = matched ? 'matches' : tcpMiss(route, connection)
    steps.push({ rule: route.spec.name, origin, matched, reason })
    if (matched) return { steps, route }
  }
  return { steps, route: undefined }
}

function connectionOf(view: RequestView): ConnectionView {
  const { authority, localPort, source, sourceAddress } = view
  return { localAddress: '127.0.0.1', localPort, source, sourceAddress, serverName: splitAuthority(authority)[0] }
}

function tcpMiss(route: TcpRoute, view: ConnectionView): string {
  return route.matches
    .map((conditions, at) => {
      const failed = conditions.find((condition) => !condition.test(view))
      return `match[${at}]: ${failed?.describeMiss(view) ?? 'holds'}`
    })
    .join('; ')
}

function outcomeOf(route: Route | TcpRoute): string {
  const by = `${route.spec.name} of ${originText(route.spec.origin)}`
  if (!('action' in route.spec)) return `${by}: relays the connection`
  const notes = notesOf(route.spec)
  const rest = notes.length === 0 ? '' : `; on the way: ${notes.join(', ')}`
  const { action } = route.spec
  if (action.kind === 'redirect') return `${by}: redirects with ${action.status}${rest}`
  if (action.kind === 'direct') return `${by}: answers ${action.status} itself${rest}`
  return `${by}: forwards${rest}`
}

/** What else of the rule takes part, beside its filters. */
function notesOf(spec: HttpRouteSpec): string[] {
  const notes: string[] = []
  if (spec.rewrite !== undefined) notes.push('rewrite')
  if (spec.timeoutMs > 0) notes.push(`timeout ${spec.timeoutMs} ms`)
  if (spec.retry !== undefined) {
    const { all, attempts, on } = spec.retry
    notes.push(`up to ${attempts} retries ${all === true ? 'of all requests ' : ''}on ${on.join(', ')}`)
  }
  if (spec.hedge !== undefined)
    notes.push(`hedging ${spec.hedge.all === true ? 'of all requests ' : ''}after ${spec.hedge.afterMs} ms`)
  for (const mirror of spec.mirrors ?? [])
    notes.push(`mirror to ${mirror.destination.service} for ${percent(mirror.share)}`)
  return notes
}

/** In the order in which they run; none of them is asked. */
function explainFilters(
  route: Route | TcpRoute | undefined,
  view: RequestView,
  peer: PeerIdentity,
): ExplainAnswer['filters'] {
  if (route === undefined) return []
  if ('matches' in route) {
    const connection = connectionOf(view)
    return route.filters.map(({ filter }) => ({
      filter: filter.kind,
      does: filter.explainConnection(connection, peer),
    }))
  }
  return explained(route.filters, view, peer)
}

function explained(filters: Route['filters'], view: RequestView, peer: PeerIdentity): ExplainAnswer['filters'] {
  return filters.map(({ filter }) => ({ filter: filter.kind, does: filter.explain(view, peer) }))
}

/** Of the route, or the subset to which its caller sends the request. */
function ledTo(route: Route | TcpRoute, { name }: VirtualHost, subset = ''): readonly Destination[] {
  const isSent = subset !== '' && 'rewritePath' in route && route.destinations.length > 0
  return isSent ? [subsetOf(route, name as ServiceKey, subset)] : route.destinations
}

function explainDestinations(
  destinations: readonly Destination[],
  view: RequestView,
  sources: ExplainSources,
): ExplainDestination[] {
  const total = destinations.reduce((sum, one) => sum + one.spec.weight, 0)
  return destinations.map((destination) => {
    const clusterKey = clusterKeyFor(destination, view.namedPort, view.localPort)
    const facts = sources.destination({ ...destination, clusterKey })
    return {
      service: destination.spec.service,
      subset: destination.spec.subset,
      share: destination.spec.weight / total,
      candidates: facts?.candidates ?? [],
      ...(facts?.note === undefined ? {} : { note: facts.note }),
      policy: facts === undefined ? [] : explainPolicy(facts.policy),
    }
  })
}

/** Every value of the policy with where it came from: the nearest origin at or above its path, else the default. */
export function explainPolicy(policy: TrafficPolicySpec): ExplainDestination['policy'] {
  const rows: { path: string; value: string; origin: string }[] = []
  const walk = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}.${key}`)
    } else rows.push({ path, value: valueText(value), origin: originText(originAt(policy.origins, path)) })
  }
  const { origins: _, ...values } = policy
  walk(values, '')
  return rows
}

function valueText(value: unknown): string {
  if (value === undefined || value === null) return 'off'
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean)
}

function originAt(origins: TrafficPolicySpec['origins'], path: string): RuleOrigin | undefined {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (Object.hasOwn(origins, at)) return origins[at]
  }
  return undefined
}
