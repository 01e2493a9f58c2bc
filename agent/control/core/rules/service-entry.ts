/** Services that a ServiceEntry declares: endpoints outside any registry. */
import { isIP } from 'node:net'
import { endpointId, metadataKeys } from '../../../../contracts/endpoint.ts'
import type { Endpoint, EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import { hasMessages } from '../../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import { portName, portProtocol } from './service-entry-shape.ts'
import type { ServiceEntrySpec, WorkloadEntrySpec } from './service-entry-shape.ts'
import type { DeclaredPort, DeclaredService, EntryEndpoint, EntrySetBuilder } from './types.ts'

/** Name of the source in endpoint sets that come from rules. */
const rulesRegistry = 'rules'

/** What the rules say of one service. */
export interface Declaration {
  readonly spec: ServiceEntrySpec
  /** The host of the entry, or the name under its wildcard. */
  readonly host: string
  readonly key: ServiceKey
  readonly origin: RuleOrigin
  /** Of the entry's namespace. */
  readonly workloads: readonly WorkloadEntrySpec[]
}

/**
 * An endpoint stands once per port of the entry, at the port's target; the ports that callers name are kept with it,
 * which is what a dialled port and a destination's `port` select.
 */
export function declareService({ spec, host, key, origin, workloads }: Declaration): DeclaredService {
  const places = placesOf(spec, host, workloads)
  return {
    key,
    ports: declaredPorts(spec),
    protocol: protocolOf(declaredPorts(spec)),
    resolution: places.every((place) => isIP(place.address) !== 0) ? 'static' : 'dns',
    endpoints: places.flatMap((place) => spec.ports.map((port, index) => entryEndpoint(place, port, index))),
    origin,
  }
}

/** A service is spoken to in one protocol: beside ports of HTTP/1.1, those of HTTP/2 pass as they are. */
export function declaredPorts(spec: ServiceEntrySpec): DeclaredPort[] {
  const ports = spec.ports.map((port) => ({ number: port.number, protocol: portProtocol(port) }))
  if (!ports.some(({ protocol }) => protocol === 'http')) return ports
  return ports.map((port) => (port.protocol === 'http' ? port : { ...port, protocol: 'tcp' }))
}

/** The first whose messages are read. */
function protocolOf(ports: readonly DeclaredPort[]): AppProtocol {
  return ports.map(({ protocol }) => protocol).find(hasMessages) ?? 'tcp'
}

/** Numbers of the ports that speak the protocol; all of them where none does: the entry's word may be missing. */
export function portsSpeaking(ports: readonly DeclaredPort[], protocol: AppProtocol): number[] {
  const speaking = ports.filter((port) => hasMessages(port.protocol) === hasMessages(protocol))
  return (speaking.length === 0 ? ports : speaking).map((port) => port.number)
}

/**
 * Endpoints, or the workloads that the selector takes, or without both what the caller would have reached: the plain
 * addresses with STATIC and NONE, else what the name resolves to.
 */
function placesOf(
  spec: ServiceEntrySpec,
  host: string,
  workloads: readonly WorkloadEntrySpec[],
): readonly WorkloadEntrySpec[] {
  if (spec.endpoints !== undefined) return spec.endpoints
  if (spec.workloadSelector !== undefined) {
    const wanted = Object.entries(spec.workloadSelector.labels)
    return workloads.filter(({ labels }) => wanted.every(([name, value]) => labels?.[name] === value))
  }
  const resolution = spec.resolution ?? 'NONE'
  const addresses = (spec.addresses ?? []).filter((one) => isIP(one) !== 0)
  const isByAddress = (resolution === 'STATIC' || resolution === 'NONE') && addresses.length > 0
  return (isByAddress ? addresses : [host]).map((address) => ({ address }))
}

function entryEndpoint(
  place: WorkloadEntrySpec,
  port: ServiceEntrySpec['ports'][number],
  index: number,
): EntryEndpoint {
  const labels = place.labels ?? {}
  const [region = '', zone = ''] = (place.locality ?? '').split('/')
  return {
    host: place.address,
    port: place.ports?.[portName(port, index)] ?? port.targetPort ?? port.number,
    weight: place.weight ?? 1,
    healthy: true,
    enabled: true,
    ephemeral: false,
    cluster: '',
    locality: { region, zone },
    version: labels[metadataKeys.version] ?? '',
    metadata: { ...labels, [metadataKeys.servicePorts]: String(port.number) },
  }
}

/**
 * Endpoints of names that did not resolve are left out; the same address from two names stands once, and two ports with
 * one target are one endpoint of both.
 */
export const entrySet: EntrySetBuilder = (service, addresses, version, now): EndpointSet => {
  const byId = new Map<string, Endpoint>()
  for (const { host, ...rest } of service.endpoints) {
    for (const address of isIP(host) === 0 ? (addresses.get(host) ?? []) : [host]) {
      const endpoint: Endpoint = { address, ...rest }
      const id = endpointId(endpoint)
      const twin = byId.get(id)
      if (isIP(address) !== 0) byId.set(id, twin === undefined ? endpoint : ofBothPorts(twin, endpoint))
    }
  }
  const endpoints = [...byId].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
  return { service: service.key, version, endpoints, protectThreshold: 0, registry: rulesRegistry, confirmedAt: now }
}

function ofBothPorts(one: Endpoint, other: Endpoint): Endpoint {
  const key = metadataKeys.servicePorts
  const ports = new Set([one, other].flatMap(({ metadata }) => metadata[key]?.split(',') ?? []))
  return { ...one, metadata: { ...one.metadata, [key]: [...ports].join(',') } }
}
