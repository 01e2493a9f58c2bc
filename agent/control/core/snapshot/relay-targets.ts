/**
 * What the watchdog relays to when no generation is healthy, from the snapshot as it is now
 * (`contracts/relay-targets.ts`).
 */
import { createHash } from 'node:crypto'
import {
  endpointId,
  isAgentInbound,
  metadataKeys,
  type Endpoint,
  type EndpointSet,
  type ServiceKey,
} from '../../../../contracts/endpoint.ts'
import type { RelayListener, RelayTargets } from '../../../../contracts/relay-targets.ts'
import type { DiscoveredService } from '../../../../contracts/sdk-discovery.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import { takesDatagrams } from '../../../../contracts/snapshot.ts'
import type { ListenerSpec, ServiceSpec } from '../../../../contracts/snapshot.ts'
import { formatHostPort, type HostPort } from '../../config/scalars.ts'
import { isGuarded } from '../rules/guards.ts'
import { splitKey } from './compiler.ts'
import type { SnapshotStore } from './store.ts'

/** What the relay may use of a set. */
export interface SetTargets {
  /** For the direct tier. */
  readonly addresses: readonly string[]
  /** Some take mutual TLS alone. */
  readonly hasStrict: boolean
}

/** Bounds of the contract. */
const maxEndpoints = 64
const maxNames = 10_000
/** Listeners or names of one turn of the loop: well under a millisecond of work. */
export const recordsPerTurn = 50

/** What is written of them: records as maps, for callers choose names, and `__proto__` is one like any other. */
export interface WrittenTargets extends Omit<RelayTargets, 'listeners' | 'services' | 'names'> {
  readonly listeners: ReadonlyMap<string, RelayListener>
  readonly services: ReadonlyMap<ServiceKey, readonly string[]>
  readonly names: ReadonlyMap<string, ServiceKey>
}

/** What requests to a virtual host may do without a worker. */
interface HostTargets {
  readonly mayUseCenter: boolean
  readonly service: ServiceSpec | undefined
}

/**
 * The order in which a host tries the centers: the same on every start, another on every host, so that the hosts of a
 * dead center spread over the others.
 */
export function centerOrder(host: string, centers: readonly HostPort[]): string[] {
  const rank = (center: string): string => createHash('sha256').update(`${host} ${center}`).digest('hex')
  return centers
    .map(formatHostPort)
    .map((center) => ({ center, rank: rank(center) }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ center }) => center)
}

/**
 * A listener for which nothing is written is held: where policies decide who may call, nothing is carried that was not
 * judged.
 *
 * The file is written after each change of anything, and a registry's next change must not wait for it: after every
 * `recordsPerTurn` the others have their turn. What changes meanwhile is in it or not, each service by itself, and is
 * written once more.
 *
 * @param guardsCalls whether a policy may refuse calls of local applications.
 * @param known targets of sets that were looked at before: sets are immutable, so of 10,000 services only the changed
 * ones are gone through.
 * @param nextTurn resolves when whoever waits has been served.
 */
export async function relayTargets(
  store: Pick<SnapshotStore, 'allListeners' | 'allNames' | 'service' | 'virtualHost'>,
  host: string,
  centers: readonly string[],
  fallbackNetworks: readonly string[],
  /** Namespace and group that a name without them means. */
  defaults: { readonly namespace: string; readonly group: string },
  writtenAt: number,
  guardsCalls: boolean,
  /** Centers are called in mutual TLS: what wants TLS may go there. */
  centerMtls: boolean,
  known: WeakMap<EndpointSet, SetTargets>,
  nextTurn: () => Promise<void>,
): Promise<WrittenTargets> {
  const setTargets = (set: EndpointSet): SetTargets => {
    let targets = known.get(set)
    if (targets === undefined) {
      targets = { addresses: chooseTargets(set), hasStrict: set.endpoints.some(takesTlsAlone) }
      known.set(set, targets)
    }
    return targets
  }
  const targetsOf = (set: EndpointSet): readonly string[] => setTargets(set).addresses
  // whatever agents would call in mutual TLS, and cannot call otherwise, goes to no center in plain
  const mayUseCenter = (virtualHost: string): boolean =>
    centerMtls ||
    servicesBehind(virtualHost, store).every((one) => mayBePlain(one) && !setTargets(one.endpoints).hasStrict)
  const hosts = new Map<string, HostTargets>()
  const hostTargets = (virtualHost: string): HostTargets => {
    let targets = hosts.get(virtualHost)
    if (targets === undefined) {
      targets = { mayUseCenter: mayUseCenter(virtualHost), service: serviceBehind(virtualHost, store) }
      hosts.set(virtualHost, targets)
    }
    return targets
  }
  let records = 0
  const giveWay = (): Promise<void> | undefined => (++records % recordsPerTurn === 0 ? nextTurn() : undefined)
  const listeners = new Map<string, RelayListener>()
  for (const listener of store.allListeners()) {
    const isHeld =
      (listener.kind === 'inbound' && listener.mtls === 'strict') ||
      // what comes waits in the kernel for the next worker
      takesDatagrams(listener) ||
      isJudged(listener, store, guardsCalls)
    const target = isHeld ? undefined : targetOf(listener, store, hostTargets, targetsOf)
    if (target !== undefined) listeners.set(listener.name, target)
    await giveWay()
  }
  const services = new Map<ServiceKey, readonly string[]>()
  const names = new Map<string, ServiceKey>()
  let mayUseAll = true
  const add = (name: string, virtualHost: string): void => {
    if (names.has(name)) return
    const targets = hostTargets(virtualHost)
    mayUseAll &&= targets.mayUseCenter
    const { service } = targets
    if (service === undefined) return
    if (names.size >= maxNames || !mayGoDirect(service)) return
    names.set(name, service.key)
    if (!services.has(service.key)) services.set(service.key, targetsOf(service.endpoints))
  }
  for (const [name, virtualHost] of store.allNames()) {
    if (virtualHost !== null) add(name, virtualHost)
    await giveWay()
  }
  // a service with a port of its own may be named on the shared port as well, also if nobody did so yet
  for (const listener of store.allListeners()) {
    if (listener.kind !== 'service' || takesDatagrams(listener)) continue
    const { namespace, group, name } = splitKey(listener.service)
    if (namespace === defaults.namespace) {
      if (group === defaults.group) {
        add(name, listener.virtualHost)
        // a Host arrives in lower case
        add(name.toLowerCase(), listener.virtualHost)
      }
      add(`${group}@@${name}`, listener.virtualHost)
    }
    add(listener.service, listener.virtualHost)
    await giveWay()
  }
  // its requests may name any of these services, and the bytes are not looked at
  if (!mayUseAll)
    for (const [name, listener] of listeners)
      if (listener.kind === 'shared-http') listeners.set(name, { ...listener, center: false })
  return { writtenAt, host, centers, listeners, services, names, fallbackNetworks }
}

/**
 * Where an application that the agent cannot serve may go with requests that name `name` on the shared HTTP port.
 * `endpoints`: as in `RelayListener`; empty where the direct way is closed. null = nobody knows the service; undefined
 * = nobody has said so yet.
 */
export function namedTarget(
  store: Pick<SnapshotStore, 'nameOf' | 'service' | 'virtualHost'>,
  name: string,
  guardsCalls: boolean,
): DiscoveredService | null | undefined {
  const virtualHost = store.nameOf(name)
  if (virtualHost === undefined || virtualHost === null) return virtualHost
  const service = serviceBehind(virtualHost, store)
  if (service === undefined) return null
  const direct = !guardsCalls && mayGoDirect(service)
  return {
    service: service.key,
    center:
      !guardsCalls &&
      service.policy.fallback.center &&
      // an application calls a center in plain
      servicesBehind(virtualHost, store).every(
        (one) => mayBePlain(one) && !one.endpoints.endpoints.some(takesTlsAlone),
      ),
    direct,
    endpoints: direct ? chooseTargets(service.endpoints) : [],
  }
}

/**
 * The endpoints of a service as a caller without an agent may have them, in plain. undefined = a rule wants TLS or
 * closes the direct way, or nobody has said anything yet.
 */
export function plainEndpoints(store: Pick<SnapshotStore, 'service'>, key: ServiceKey): Endpoint[] | undefined {
  const service = store.service(key)
  return service === undefined || !mayGoDirect(service) ? undefined : chooseEndpoints(service.endpoints)
}

function isJudged(listener: ListenerSpec, store: Services, guardsCalls: boolean): boolean {
  if (listener.kind === 'shared-http' || listener.kind === 'shared-rpc') return guardsCalls
  if (listener.kind === 'relay' || listener.kind === 'gateway') return false
  return isGuarded(store.virtualHost(listener.virtualHost))
}

function targetOf(
  listener: ListenerSpec,
  store: Services,
  hostTargets: (virtualHost: string) => HostTargets,
  targetsOf: (set: EndpointSet) => readonly string[],
): RelayListener | undefined {
  switch (listener.kind) {
    // each of its requests names another service: bytes cannot be relayed for it
    case 'shared-rpc':
    case 'relay':
    // its TLS ends in a worker, and what it asks for is judged there: its connections wait
    case 'gateway':
      return undefined
    case 'shared-http':
      if (listener.isHeld === true) return undefined
      return {
        kind: 'shared-http',
        protocol: 'http',
        service: undefined,
        center: true,
        direct: true,
        endpoints: [],
        halfClosed: listener.halfClosed ?? 'gone',
      }
    case 'inbound': {
      const service = store.service(listener.service)
      return {
        kind: 'inbound',
        protocol: listener.protocol,
        service: undefined,
        center: false,
        direct: true,
        endpoints: service === undefined ? [] : targetsOf(service.endpoints),
        applicationUser: listener.applicationUser,
        ...(listener.mtls === undefined ? {} : { mtls: true as const }),
        halfClosed: listener.halfClosed ?? 'gone',
      }
    }
    case 'service': {
      const { mayUseCenter, service } = hostTargets(listener.virtualHost)
      return {
        kind: 'service',
        protocol: listener.protocol,
        service: listener.service,
        center: service === undefined || (service.policy.fallback.center && mayUseCenter),
        direct: service === undefined || mayGoDirect(service),
        endpoints: service === undefined ? [] : targetsOf(service.endpoints),
        halfClosed: listener.halfClosed ?? 'gone',
      }
    }
  }
}

type Services = Pick<SnapshotStore, 'service' | 'virtualHost'>

/**
 * The service itself, or where the routes of its virtual host lead: the last route without conditions is the ordinary
 * way.
 */
function serviceBehind(virtualHost: string, store: Services): ServiceSpec | undefined {
  const own = store.service(virtualHost as ServiceKey)
  if (own !== undefined && own.endpoints.endpoints.length > 0) return own
  const services = destinationsBehind(virtualHost, store)
  return services.find((service) => service.endpoints.endpoints.length > 0) ?? own ?? services[0]
}

/** All that its requests may come to. */
function servicesBehind(virtualHost: string, store: Services): ServiceSpec[] {
  const own = store.service(virtualHost as ServiceKey)
  return [...(own === undefined ? [] : [own]), ...destinationsBehind(virtualHost, store)]
}

function destinationsBehind(virtualHost: string, store: Services): ServiceSpec[] {
  const host = store.virtualHost(virtualHost)
  return host === undefined ? [] : destinationsOf(host).flatMap((key) => store.service(key) ?? [])
}

function destinationsOf(host: VirtualHostSpec): ServiceKey[] {
  const http = host.http
    .toReversed()
    .flatMap((route) => (route.action.kind === 'forward' ? route.action.destinations : []))
  const tcp = host.tcp.toReversed().flatMap((route) => route.destinations)
  return [...http, ...tcp].toSorted((a, b) => b.weight - a.weight).map((destination) => destination.service)
}

function mayGoDirect(service: ServiceSpec): boolean {
  return service.policy.fallback.direct && mayBePlain(service)
}

/** A relay speaks plain to endpoints: where a rule wants TLS, for all of the service or for a part, there is none. */
function mayBePlain({ policy, portPolicies, subsets }: ServiceSpec): boolean {
  const parts = [{ policy, portPolicies }, ...Object.values(subsets)]
  return parts
    .flatMap((part) => [part.policy, ...Object.values(part.portPolicies ?? {})])
    .every(({ tls }) => tls === undefined || tls.mode === 'disable')
}

/** An agent's port that refuses what a relay has to say, which is plain. */
function takesTlsAlone(endpoint: Endpoint): boolean {
  return isAgentInbound(endpoint) && endpoint.metadata[metadataKeys.mtls] === 'strict'
}

/**
 * Healthy endpoints that the registry names first choice; then those that are held back; when none is healthy, all that
 * an operator has not switched off.
 */
function chooseEndpoints(set: EndpointSet): Endpoint[] {
  const allowed = set.endpoints.filter(
    (endpoint) => endpoint.enabled && endpoint.weight > 0 && !takesTlsAlone(endpoint),
  )
  const healthy = allowed.filter((endpoint) => endpoint.healthy)
  const held = new Set(set.held)
  const named = healthy.filter((endpoint) => !held.has(endpointId(endpoint)))
  const chosen = [named, healthy, allowed].find((endpoints) => endpoints.length > 0) ?? []
  return chosen.slice(0, maxEndpoints)
}

function chooseTargets(set: EndpointSet): string[] {
  return chooseEndpoints(set).map(endpointId)
}
