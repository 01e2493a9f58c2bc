/** Endpoints, endpoint sets and service keys: the shape in which every registry's data enters the mesh. */

/** `namespace/group@@name`, in Nacos's terms; other registries are mapped to it. `public/DEFAULT_GROUP@@orders`. */
export type ServiceKey = `${string}/${string}@@${string}`

export interface ServiceName {
  readonly namespace: string
  readonly group: string
  readonly name: string
}

export const defaultNamespace = 'public'
export const defaultGroup = 'DEFAULT_GROUP'

/** Longest accepted name of each part, in characters (Nacos's own bound for service names is 512). */
export const maxServicePartLength = 512

const partPattern = /^[A-Za-z0-9._:$-]+$/

export function serviceKey(name: ServiceName): ServiceKey {
  return `${name.namespace}/${name.group}@@${name.name}`
}

/**
 * Reads what an operator or a caller writes: `orders`, `GROUP@@orders` or `namespace/GROUP@@orders`.
 * Missing parts come from `defaults`. Answers undefined when a part is empty, too long or holds a character outside
 * `A-Za-z0-9._:$-`.
 */
export function parseServiceName(
  text: string,
  defaults: { namespace: string; group: string } = { namespace: defaultNamespace, group: defaultGroup },
): ServiceName | undefined {
  const slash = text.indexOf('/')
  const namespace = slash < 0 ? defaults.namespace : text.slice(0, slash)
  const rest = slash < 0 ? text : text.slice(slash + 1)
  const at = rest.indexOf('@@')
  const group = at < 0 ? defaults.group : rest.slice(0, at)
  const name = at < 0 ? rest : rest.slice(at + 2)
  for (const part of [namespace, group, name]) {
    if (part.length > maxServicePartLength || !partPattern.test(part)) return undefined
  }
  return { namespace, group, name }
}

export interface Locality {
  readonly region: string
  readonly zone: string
}

/** Metadata of one instance: how many names, and bytes of all names and values. */
export const metadataBounds = { entries: 64, bytes: 16_384 } as const

/**
 * One instance of a service.
 *
 * address: IPv4 or IPv6 literal, never a name. port: 1..65535. weight: 0..10_000, Nacos's scale where 1 is ordinary and
 * 0 takes no traffic. metadata: strings only, within `metadataBounds` (checked by
 * `agent/control/core/endpoints`). `healthy` is the registry's opinion; `enabled` the operator's.
 */
export interface Endpoint {
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly healthy: boolean
  readonly enabled: boolean
  readonly ephemeral: boolean
  readonly cluster: string
  readonly locality: Locality
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
}

/** An instance of which no more is known than `known` says: ordinary weight, used, nowhere in particular. */
export function endpointAt(address: string, port: number, known: Partial<Endpoint> = {}): Endpoint {
  return {
    address,
    port,
    weight: 1,
    healthy: true,
    enabled: true,
    ephemeral: true,
    cluster: '',
    locality: { region: '', zone: '' },
    version: '',
    metadata: {},
    ...known,
  }
}

/** `10.0.0.1:80` or `[::1]:80`: identity of an endpoint inside its set. */
export function endpointId(endpoint: { address: string; port: number }): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`
}

/**
 * The immutable, versioned list of a service. Endpoints are sorted by id and unique by id.
 * A known service without instances is an empty set, not a missing one.
 */
export interface EndpointSet {
  readonly service: ServiceKey
  /** Grows with each change of this set inside one process; never compared between processes. */
  readonly version: number
  readonly endpoints: readonly Endpoint[]
  /**
   * Ids of endpoints of this set that the registry's newest word lacks; they stay until the loss is certain. Absent =
   * none. They are the last choice: a worker uses them only when the others fail or are gone, and none any more that
   * refused a connection.
   */
  readonly held?: readonly string[]
  /** 0..1: Nacos's protect threshold: below this healthy share, unhealthy endpoints are used too. 0 switches it off. */
  readonly protectThreshold: number
  /** Name of the registry in `agent.yaml`; never a mix of two. */
  readonly registry: string
  /** Epoch ms of the registry's last word on it; older than the registry's staleness bound = stale. */
  readonly confirmedAt: number
  /** The registry cannot have such a service and was not asked: no word of it. Absent = it was. */
  readonly isForeign?: true
}

/** Metadata keys that we register, so that others can decide. */
export const metadataKeys = {
  inbound: 'hostmesh.inbound',
  appPort: 'hostmesh.app-port',
  /** Of an endpoint that a ServiceEntry declares: the ports by which callers name it, with commas between them. */
  servicePorts: 'hostmesh.service-ports',
  protocol: 'hostmesh.protocol',
  mtls: 'hostmesh.mtls',
  version: 'version',
  zone: 'zone',
  region: 'region',
} as const

/**
 * Whether the port is an agent's, with an application behind it. So says the registry, hence whoever may register the
 * instance.
 */
export function isAgentInbound(endpoint: Endpoint): boolean {
  return endpoint.metadata[metadataKeys.inbound] === 'true'
}

/** Whether an endpoint says that it takes mutual TLS: an agent's port by our word, a sidecar's by Istio's. */
export function takesMutualTls(endpoint: Endpoint): boolean {
  const { metadata } = endpoint
  if (metadata['security.istio.io/tlsMode'] === 'istio') return true
  const mode = metadata[metadataKeys.mtls]
  return isAgentInbound(endpoint) && (mode === 'permissive' || mode === 'strict')
}
