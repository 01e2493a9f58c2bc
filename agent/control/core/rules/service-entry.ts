/** Services that a ServiceEntry declares: endpoints outside any registry. */
import { isIP } from 'node:net'
import { endpointId, metadataKeys } from '../../../../contracts/endpoint.ts'
import type { Endpoint, EndpointSet, ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import { entryProtocols } from './service-entry-shape.ts'
import type { ServiceEntrySpec } from './service-entry-shape.ts'
import type { DeclaredService, EntryEndpoint, EntrySetBuilder } from './types.ts'

/** Name of the source in endpoint sets that come from rules. */
const rulesRegistry = 'rules'

type EntryPort = ServiceEntrySpec['ports'][number]

/**
 * One service per host of the entry. An endpoint stands once per port of the entry, at the port's target; the port that callers name is kept as its
 * application port, which is what a destination's `port` selects.
 */
export function declareService(
  spec: ServiceEntrySpec,
  host: string,
  key: ServiceKey,
  origin: RuleOrigin,
): DeclaredService {
  const places = spec.endpoints ?? [{ address: host }]
  return {
    key,
    protocol: entryProtocols[spec.ports[0]?.protocol ?? 'TCP'] ?? 'tcp',
    resolution: spec.resolution === 'STATIC' ? 'static' : 'dns',
    endpoints: places.flatMap((place) => spec.ports.map((port) => entryEndpoint(place, port))),
    origin,
  }
}

function entryEndpoint(
  place: NonNullable<ServiceEntrySpec['endpoints']>[number] | { readonly address: string },
  port: EntryPort,
): EntryEndpoint {
  const labels = 'labels' in place ? (place.labels ?? {}) : {}
  const [region = '', zone = ''] = 'locality' in place ? (place.locality ?? '').split('/') : []
  const ownPort = 'ports' in place ? place.ports?.[port.name] : undefined
  return {
    host: place.address,
    port: ownPort ?? port.targetPort ?? port.number,
    weight: 'weight' in place ? (place.weight ?? 1) : 1,
    healthy: true,
    enabled: true,
    ephemeral: false,
    cluster: '',
    locality: { region, zone },
    version: labels[metadataKeys.version] ?? '',
    metadata: { ...labels, [metadataKeys.appPort]: String(port.number) },
  }
}

/** Endpoints of names that did not resolve are left out; the same address from two names stands once. */
export const entrySet: EntrySetBuilder = (service, addresses, version, now): EndpointSet => {
  const byId = new Map<string, Endpoint>()
  for (const { host, ...rest } of service.endpoints) {
    for (const address of isIP(host) === 0 ? (addresses.get(host) ?? []) : [host]) {
      const endpoint: Endpoint = { address, ...rest }
      if (isIP(address) !== 0) byId.set(endpointId(endpoint), endpoint)
    }
  }
  const endpoints = [...byId].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint)
  return { service: service.key, version, endpoints, protectThreshold: 0, registry: rulesRegistry, confirmedAt: now }
}
