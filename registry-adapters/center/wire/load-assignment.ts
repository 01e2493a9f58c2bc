/**
 * Endpoints as Envoy's ClusterLoadAssignment. What Envoy's message has no place for stands in the metadata of each
 * endpoint, under `hostmesh`. Source: envoy api, config/endpoint/v3/endpoint.proto.
 */
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { bytesIn, double, fieldsOf, message, textOf } from '../../../contracts/envoy-api/protobuf.ts'

export interface Assignment {
  readonly endpoints: readonly Endpoint[]
  readonly protectThreshold: number
}

const ours = 'hostmesh'
const healthy = 1
const unhealthy = 2

/** `name`: of the cluster. */
export function encodeAssignment(name: string, { endpoints, protectThreshold }: Assignment): Buffer {
  const byPlace = new Map<string, Endpoint[]>()
  for (const endpoint of endpoints) {
    const place = `${endpoint.locality.region}\0${endpoint.locality.zone}`
    const there = byPlace.get(place)
    if (there === undefined) byPlace.set(place, [endpoint])
    else there.push(endpoint)
  }
  const groups = [...byPlace.values()].map((group) => {
    const { region, zone } = group[0]!.locality
    const locality = message([1, region], [2, zone])
    return message([1, locality], [2, group.map((one) => encodeEndpoint(one, protectThreshold))], [3, message([1, 1])])
  })
  return message([1, name], [2, groups])
}

function encodeEndpoint(endpoint: Endpoint, protectThreshold: number): Buffer {
  const socket = message([2, endpoint.address], [3, endpoint.port])
  const known: Record<string, string | number> = {
    weight: endpoint.weight,
    enabled: endpoint.enabled ? 1 : 0,
    ephemeral: endpoint.ephemeral ? 1 : 0,
    cluster: endpoint.cluster,
    version: endpoint.version,
    ...(protectThreshold > 0 ? { protectThreshold } : {}),
    ...Object.fromEntries(Object.entries(endpoint.metadata).map(([key, value]) => [`metadata.${key}`, value])),
  }
  return message(
    [1, message([1, message([1, socket])])],
    [2, endpoint.healthy ? healthy : unhealthy],
    [3, message([1, message([1, ours], [2, encodeStruct(known)])])],
    [4, message([1, Math.max(1, Math.round(endpoint.weight * 100))])],
  )
}

function encodeStruct(values: Readonly<Record<string, string | number>>): Buffer {
  const entries = Object.entries(values).map(([key, value]) =>
    message([1, key], [2, typeof value === 'number' ? double(2, value) : stringValue(value)]),
  )
  return message([1, entries])
}

/** Also an empty text is a value. */
function stringValue(value: string): Buffer {
  return message([3, [Buffer.from(value)]])
}

/** Throws RangeError for what is no such message, or an endpoint without address or port. */
export function decodeAssignment(bytes: Buffer): Assignment {
  const endpoints: Endpoint[] = []
  let protectThreshold = 0
  for (const group of fieldsOf(bytes)) {
    if (group.field !== 2) continue
    let locality = { region: '', zone: '' }
    for (const { field, value } of fieldsOf(bytesIn(group.value))) if (field === 1) locality = decodeLocality(value)
    for (const { field, value } of fieldsOf(bytesIn(group.value))) {
      if (field !== 2) continue
      const { endpoint, threshold } = decodeEndpoint(bytesIn(value), locality)
      endpoints.push(endpoint)
      protectThreshold = threshold
    }
  }
  return { endpoints, protectThreshold }
}

function decodeLocality(bytes: Buffer | number): Endpoint['locality'] {
  const locality = { region: '', zone: '' }
  for (const { field, value } of fieldsOf(bytesIn(bytes))) {
    if (field === 1) locality.region = textOf(value)
    else if (field === 2) locality.zone = textOf(value)
  }
  return locality
}

function decodeEndpoint(bytes: Buffer, locality: Endpoint['locality']): { endpoint: Endpoint; threshold: number } {
  let address = ''
  let port = 0
  let isHealthy = true
  let known: ReadonlyMap<string, string | number> = new Map()
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === 1) {
      for (const { field: at, value: found } of fieldsOf(inside(inside(bytesIn(value), 1), 1))) {
        if (at === 2) address = textOf(found)
        else if (at === 3 && typeof found === 'number') port = found
      }
    } else if (field === 2) isHealthy = value === 0 || value === healthy
    else if (field === 3) known = decodeMetadata(bytesIn(value))
  }
  if (address === '' || port < 1 || port > 65_535) throw new RangeError('an endpoint has no address and port')
  const text = (key: string): string => String(known.get(key) ?? '')
  const metadata = [...known].flatMap(([key, value]) =>
    key.startsWith('metadata.') ? [[key.slice('metadata.'.length), String(value)] as const] : [],
  )
  const endpoint: Endpoint = {
    address,
    port,
    weight: Number(known.get('weight') ?? 1),
    healthy: isHealthy,
    enabled: known.get('enabled') !== 0,
    ephemeral: known.get('ephemeral') !== 0,
    cluster: text('cluster'),
    locality,
    version: text('version'),
    metadata: Object.fromEntries(metadata),
  }
  return { endpoint, threshold: Number(known.get('protectThreshold') ?? 0) }
}

/** The fields of our own, of all metadata by filter. */
function decodeMetadata(bytes: Buffer): Map<string, string | number> {
  const found = new Map<string, string | number>()
  for (const entry of fieldsOf(bytes)) {
    if (entry.field !== 1 || inside(bytesIn(entry.value), 1).toString() !== ours) continue
    for (const { field, value } of fieldsOf(inside(bytesIn(entry.value), 2))) {
      if (field !== 1) continue
      const key = inside(bytesIn(value), 1).toString()
      for (const { field: kind, value: one } of fieldsOf(inside(bytesIn(value), 2)))
        found.set(key, kind === 2 && typeof one === 'number' ? one : textOf(one))
    }
  }
  return found
}

/** The last one of this field; empty when there is none. */
function inside(bytes: Buffer, wanted: number): Buffer {
  let found = Buffer.alloc(0)
  for (const { field, value } of fieldsOf(bytes)) if (field === wanted) found = Buffer.from(bytesIn(value))
  return found
}
