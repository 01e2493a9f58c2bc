/**
 * A server's view of a service, read with distrust: whatever cannot be an endpoint is refused one by one, with a
 * reason; the rest is used. Unknown fields are ignored. Only a view that is no view of the wanted service at all is
 * refused whole.
 */
import { endpointId, metadataBounds, metadataKeys } from '../../../contracts/endpoint.ts'
import type { Endpoint, ServiceName } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { lookedAtShare } from '../../../contracts/registry-adapter.ts'
import type { EndpointRules } from '../config.ts'
import { instanceDefaults, maxInstanceWeight } from '../wire/instance.ts'
import { groupedName } from '../wire/service-name.ts'
import { canonicalAddress, refusalOf } from './addresses.ts'
import type { AddressRefusal } from './addresses.ts'

/** Why an instance, or part of it, was not taken. */
export type Refusal =
  AddressRefusal | 'shape' | 'port' | 'weight' | 'cluster' | 'duplicate' | 'metadata' | 'too-many' | 'other-cluster'

export interface ServiceAnswer {
  /** Sorted by id, unique by id. */
  readonly endpoints: readonly Endpoint[]
  /** On the server's clock; 0 = it did not say. */
  readonly lastRefTime: number
  /** The server found too few healthy instances and shows all as healthy. */
  readonly isProtected: boolean
  /** The server says itself that this is no real answer. */
  readonly isValid: boolean
  readonly refused: ReadonlyMap<Refusal, number>
}

export interface ReadOptions {
  readonly rules: EndpointRules
  /** Empty = all. */
  readonly clusters: readonly string[]
}

const defaultMaxEndpoints = 10_000

/** Throws E_REGISTRY_PROTOCOL when `info` is no view of `service`. */
export function readService(info: unknown, service: ServiceName, options: ReadOptions): ServiceAnswer {
  if (!isRecord(info) || !Array.isArray(info['hosts']))
    throw new MeshError('E_REGISTRY_PROTOCOL', `service ${service.name}: the answer holds no list of instances`)
  const { name, groupName } = info
  const isWanted =
    name === groupedName(service.group, service.name) ||
    (name === service.name && (groupName ?? service.group) === service.group)
  if (!isWanted)
    throw new MeshError(
      'E_REGISTRY_PROTOCOL',
      `service ${service.name}: the answer is about ${String(groupName).slice(0, 80)}@@${String(name).slice(0, 80)}`,
    )
  const refused = new Map<Refusal, number>()
  const refuse = (reason: Refusal): void => void refused.set(reason, (refused.get(reason) ?? 0) + 1)
  const found = new Map<string, Endpoint>()
  const bound = options.rules.maxEndpoints ?? defaultMaxEndpoints
  const hosts = info['hosts'] as readonly unknown[]
  const most = bound * lookedAtShare
  for (const host of hosts.length > most ? hosts.slice(0, most) : hosts) {
    const endpoint = readInstance(host, options, refuse)
    if (endpoint === undefined) continue
    const id = endpointId(endpoint)
    const other = found.get(id)
    if (other !== undefined) refuse('duplicate')
    if (other === undefined || (usable(endpoint) && !usable(other))) found.set(id, endpoint)
  }
  const ids = [...found.keys()].sort()
  const beyond = Math.max(0, hosts.length - most) + Math.max(0, ids.length - bound)
  if (beyond > 0) refused.set('too-many', beyond)
  const lastRefTime = info['lastRefTime']
  return {
    endpoints: ids.slice(0, bound).map((id) => found.get(id)!),
    lastRefTime: typeof lastRefTime === 'number' && Number.isFinite(lastRefTime) ? lastRefTime : 0,
    isProtected: info['reachProtectionThreshold'] === true,
    isValid: info['valid'] !== false,
    refused,
  }
}

function readInstance(host: unknown, options: ReadOptions, refuse: (reason: Refusal) => void): Endpoint | undefined {
  const no = (reason: Refusal): undefined => {
    refuse(reason)
    return undefined
  }
  if (!isRecord(host) || typeof host['ip'] !== 'string') return no('shape')
  const cluster = host['clusterName'] ?? instanceDefaults.clusterName
  if (typeof cluster !== 'string' || cluster.length > 256) return no('cluster')
  if (options.clusters.length > 0 && !options.clusters.includes(cluster)) return undefined
  const port = host['port']
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) return no('port')
  const weight = host['weight'] ?? instanceDefaults.weight
  if (typeof weight !== 'number' || !Number.isFinite(weight) || weight < 0) return no('weight')
  const address = canonicalAddress(host['ip'].trim())
  if (address === undefined) return no('address')
  const refusal = refusalOf(address, port, options.rules)
  if (refusal !== undefined) return no(refusal)
  const metadata = readMetadata(host['metadata'], refuse)
  return {
    address,
    port,
    weight: Math.min(weight, maxInstanceWeight),
    healthy: host['healthy'] !== false,
    enabled: host['enabled'] !== false,
    ephemeral: host['ephemeral'] !== false,
    cluster,
    locality: {
      region: metadata[metadataKeys.region] ?? '',
      // Nacos's own word for a place: clients of Spring Cloud prefer their own cluster
      zone: metadata[metadataKeys.zone] ?? (cluster === instanceDefaults.clusterName ? '' : cluster),
    },
    version: metadata[metadataKeys.version] ?? '',
    metadata,
  }
}

/** Words that decide how a call is made come first, so that no flood of others can push them out. */
const ownKeys = new Set<string>(Object.values(metadataKeys))

function readMetadata(value: unknown, refuse: (reason: Refusal) => void): Readonly<Record<string, string>> {
  const out: Record<string, string> = {}
  if (value === undefined || value === null) return out
  if (!isRecord(value)) {
    refuse('metadata')
    return out
  }
  const entries = Object.entries(value)
  const isSmall = entries.length <= metadataBounds.entries
  const ordered = isSmall
    ? entries
    : [...entries.filter(([key]) => ownKeys.has(key)), ...entries.filter(([key]) => !ownKeys.has(key))]
  let count = 0
  let bytes = 0
  let isCut = false
  for (const [key, item] of ordered) {
    if (item === null || item === undefined) continue
    const text =
      typeof item === 'string' ? item : typeof item === 'number' || typeof item === 'boolean' ? String(item) : undefined
    const size = text === undefined ? 0 : key.length + text.length
    if (
      text === undefined ||
      key === '__proto__' ||
      count >= metadataBounds.entries ||
      bytes + size > metadataBounds.bytes
    ) {
      isCut = true
      continue
    }
    out[key] = text
    count++
    bytes += size
  }
  if (isCut) refuse('metadata')
  return out
}

function usable(endpoint: Endpoint): boolean {
  return endpoint.healthy && endpoint.enabled && endpoint.weight > 0
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether two lists, both sorted by id, say the same. */
export function sameEndpoints(left: readonly Endpoint[], right: readonly Endpoint[]): boolean {
  if (left.length !== right.length) return false
  return left.every((endpoint, index) => sameEndpoint(endpoint, right[index]!))
}

function sameEndpoint(left: Endpoint, right: Endpoint): boolean {
  if (
    left.address !== right.address ||
    left.port !== right.port ||
    left.weight !== right.weight ||
    left.healthy !== right.healthy ||
    left.enabled !== right.enabled ||
    left.ephemeral !== right.ephemeral ||
    left.cluster !== right.cluster
  )
    return false
  const keys = Object.keys(left.metadata)
  return (
    keys.length === Object.keys(right.metadata).length &&
    keys.every((key) => left.metadata[key] === right.metadata[key])
  )
}
