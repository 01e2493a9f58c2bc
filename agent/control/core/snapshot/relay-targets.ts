/**
 * What the watchdog relays to when no generation is healthy, from the snapshot as it is now
 * (`contracts/relay-targets.ts`).
 */
import { createHash } from 'node:crypto'
import { endpointId, type EndpointSet, type ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RelayListener, RelayTargets } from '../../../../contracts/relay-targets.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { ListenerSpec, ServiceSpec } from '../../../../contracts/snapshot.ts'
import { formatHostPort, type HostPort } from '../../config/scalars.ts'
import { splitKey } from './compiler.ts'
import type { SnapshotStore } from './store.ts'

/** Bounds of the contract. */
const maxEndpoints = 64
const maxNames = 10_000

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
 * @param known targets of sets that were looked at before: sets are immutable, so of 10,000 services only the changed
 * ones cost anything.
 */
export function relayTargets(
  store: SnapshotStore,
  host: string,
  centers: readonly string[],
  fallbackNetworks: readonly string[],
  /** Namespace and group that a name without them means. */
  defaults: { readonly namespace: string; readonly group: string },
  writtenAt: number,
  known: WeakMap<EndpointSet, readonly string[]> = new WeakMap(),
): RelayTargets {
  const targetsOf = (set: EndpointSet): readonly string[] => {
    let targets = known.get(set)
    if (targets === undefined) {
      targets = chooseTargets(set)
      known.set(set, targets)
    }
    return targets
  }
  const listeners: Record<string, RelayListener> = {}
  for (const listener of store.allListeners()) {
    const target = targetOf(listener, store, targetsOf)
    if (target !== undefined) listeners[listener.name] = target
  }
  // maps, because callers choose the names: `constructor` and `__proto__` are names like any other
  const services = new Map<ServiceKey, readonly string[]>()
  const names = new Map<string, ServiceKey>()
  const add = (name: string, virtualHost: string): void => {
    if (names.size >= maxNames || names.has(name)) return
    const service = serviceBehind(virtualHost, store)
    if (service?.policy.fallback.direct !== true) return
    names.set(name, service.key)
    if (!services.has(service.key)) services.set(service.key, targetsOf(service.endpoints))
  }
  for (const [name, virtualHost] of store.allNames()) if (virtualHost !== null) add(name, virtualHost)
  // a service with a port of its own may be named on the shared port as well, also if nobody did so yet
  for (const listener of store.allListeners()) {
    if (listener.kind !== 'service') continue
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
  }
  return {
    writtenAt,
    host,
    centers,
    listeners,
    services: Object.fromEntries(services),
    names: Object.fromEntries(names),
    fallbackNetworks,
  }
}

function targetOf(
  listener: ListenerSpec,
  store: SnapshotStore,
  targetsOf: (set: EndpointSet) => readonly string[],
): RelayListener | undefined {
  switch (listener.kind) {
    case 'relay':
      return undefined
    case 'shared-http':
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
        halfClosed: listener.halfClosed ?? 'gone',
      }
    }
    case 'service': {
      const service = serviceBehind(listener.virtualHost, store)
      return {
        kind: 'service',
        protocol: listener.protocol,
        service: listener.service,
        center: service?.policy.fallback.center ?? true,
        direct: service?.policy.fallback.direct ?? true,
        endpoints: service === undefined ? [] : targetsOf(service.endpoints),
        halfClosed: listener.halfClosed ?? 'gone',
      }
    }
  }
}

/**
 * The service itself, or where the routes of its virtual host lead: the last route without conditions is the ordinary
 * way.
 */
function serviceBehind(virtualHost: string, store: SnapshotStore): ServiceSpec | undefined {
  const own = store.service(virtualHost as ServiceKey)
  if (own !== undefined && own.endpoints.endpoints.length > 0) return own
  const host = store.virtualHost(virtualHost)
  const keys = host === undefined ? [] : destinationsOf(host)
  const services = keys.flatMap((key) => store.service(key) ?? [])
  return services.find((service) => service.endpoints.endpoints.length > 0) ?? own ?? services[0]
}

function destinationsOf(host: VirtualHostSpec): ServiceKey[] {
  const http = host.http
    .toReversed()
    .flatMap((route) => (route.action.kind === 'forward' ? route.action.destinations : []))
  const tcp = host.tcp.toReversed().flatMap((route) => route.destinations)
  return [...http, ...tcp].toSorted((a, b) => b.weight - a.weight).map((destination) => destination.service)
}

/**
 * Healthy endpoints that the registry names first choice; then those that are held back; when none is healthy, all that
 * an operator has not switched off.
 */
function chooseTargets(set: EndpointSet): string[] {
  const allowed = set.endpoints.filter((endpoint) => endpoint.enabled && endpoint.weight > 0)
  const healthy = allowed.filter((endpoint) => endpoint.healthy)
  const held = new Set(set.held)
  const named = healthy.filter((endpoint) => !held.has(endpointId(endpoint)))
  const chosen = [named, healthy, allowed].find((endpoints) => endpoints.length > 0) ?? []
  return chosen.slice(0, maxEndpoints).map(endpointId)
}
