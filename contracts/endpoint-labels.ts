/** Which instances of a service a rule means: by labels, and by ports. */
import { metadataKeys } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'

/** What the table of clusters says for a caller that named a port that its ServiceEntry does not list. */
export const noPort = 0

/** Ports that people are told of. */
const maxTold = 8

/**
 * Labels are metadata of an endpoint, its version, or (`cluster`) its Nacos cluster; metadata of that name comes first.
 */
export function hasLabels(endpoint: Endpoint, labels: Readonly<Record<string, string>>): boolean {
  for (const [name, wanted] of Object.entries(labels)) {
    if (endpoint.metadata[name] === wanted) continue
    if (name === 'version' && endpoint.version === wanted) continue
    if (name === 'cluster' && endpoint.metadata['cluster'] === undefined && endpoint.cluster === wanted) continue
    return false
  }
  return true
}

/**
 * Whether a rule's port chooses among these endpoints. In a service of a registry a port that none of them has is taken
 * for the service's own, which its callers see (as in Kubernetes), and chooses none of them out; in a ServiceEntry,
 * which lists its ports, it is no match.
 */
export function choosesByPort(endpoints: readonly Endpoint[], port: number): boolean {
  return (
    port === noPort ||
    endpoints.some((one) => one.metadata[metadataKeys.servicePorts] !== undefined || hasPort(one, port))
  )
}

/**
 * A rule's port is the endpoint's own, or where that is an agent's inbound port, the port of the application. An
 * endpoint of a ServiceEntry goes by the ports that the entry gives it alone.
 */
export function hasPort(endpoint: Endpoint, port: number): boolean {
  const named = endpoint.metadata[metadataKeys.servicePorts]
  if (named !== undefined) return named.split(',').includes(String(port))
  return endpoint.port === port || endpoint.metadata[metadataKeys.appPort] === String(port)
}

/** For people: those that a rule may choose by, in ascending order. */
export function portsOf(endpoints: readonly Endpoint[]): string {
  const all = new Set<number>()
  for (const { metadata, port } of endpoints) {
    const named = metadata[metadataKeys.servicePorts]?.split(',') ?? [
      String(port),
      metadata[metadataKeys.appPort] ?? '',
    ]
    for (const one of named) if (one !== '') all.add(Number(one))
  }
  const sorted = [...all].toSorted((a, b) => a - b)
  return `${sorted.slice(0, maxTold).join(', ')}${sorted.length > maxTold ? ', …' : ''}`
}
