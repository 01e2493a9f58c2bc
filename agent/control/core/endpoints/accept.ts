/**
 * The gate for what registries say: their content is hostile until it was checked here.
 *
 * Refused are endpoints that no remote instance can have (loopback, unspecified, link-local with 169.254.169.254, multicast, broadcast), our own listeners (a loop), values outside the contract, and what is too
 * large. A refused endpoint never takes a good one with it. Sources: security notes on Nacos content (SSRF and loops); the bounds are those of `contracts/endpoint.ts`.
 */
import { BlockList, isIP } from 'node:net'
import { endpointId, type Endpoint, type EndpointSet } from '../../../../contracts/endpoint.ts'

export interface AcceptRules {
  /** For demonstrations and tests on one machine. */
  readonly allowLoopback: boolean
  readonly maxPerService: number
  /** Whether this address and port is a listener of this agent that must never be an endpoint (admin, outbound ports, relay). */
  readonly isOwnListener: (address: string, port: number) => boolean
}

export interface Refused {
  /** `address:port` as far as it can be read, at most 64 characters. */
  readonly endpoint: string
  readonly reason: RefusalReason
}

export type RefusalReason =
  | 'address'
  | 'loopback'
  | 'link-local'
  | 'unspecified'
  | 'multicast'
  | 'own-listener'
  | 'port'
  | 'weight'
  | 'metadata'
  | 'text'
  | 'duplicate'
  | 'too-many'

const maxMetadataEntries = 64
const maxMetadataBytes = 16_384
/** Of all endpoints of a service: it has to fit into one frame to the workers, and JSON may need six bytes for one. */
export const maxServiceMetadataBytes = 8 * 1024 * 1024
const maxTextLength = 256

const loopback = blockList([
  ['127.0.0.0', 8, 'ipv4'],
  ['::1', 128, 'ipv6'],
])
const linkLocal = blockList([
  ['169.254.0.0', 16, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
])
const multicast = blockList([
  ['224.0.0.0', 3, 'ipv4'],
  ['ff00::', 8, 'ipv6'],
])
const unspecified = blockList([
  ['0.0.0.0', 8, 'ipv4'],
  ['::', 128, 'ipv6'],
])

/** The good endpoints of a set, unique and sorted by id, and what was refused with the reason. Cost: linear in the set. */
export function acceptEndpoints(
  set: EndpointSet,
  rules: AcceptRules,
): { endpoints: readonly Endpoint[]; refused: readonly Refused[] } {
  const refused: Refused[] = []
  const byId = new Map<string, Endpoint>()
  for (const raw of set.endpoints) {
    const reason = refusalOf(raw, rules)
    if (reason !== undefined) {
      refused.push({ endpoint: describe(raw), reason })
      continue
    }
    const plain = plainAddress(raw.address)
    const endpoint = plain === raw.address ? raw : { ...raw, address: plain }
    const id = endpointId(endpoint)
    const twin = byId.get(id)
    if (twin !== undefined) refused.push({ endpoint: id, reason: 'duplicate' })
    // two records of one address: the one that may take traffic is believed
    if (twin === undefined || (!(twin.healthy && twin.enabled) && endpoint.healthy && endpoint.enabled))
      byId.set(id, endpoint)
  }
  const ids = [...byId.keys()].sort()
  for (const id of ids.splice(countThatFits(ids, byId, rules.maxPerService)))
    refused.push({ endpoint: id, reason: 'too-many' })
  return { endpoints: ids.map((id) => byId.get(id)!), refused }
}

function countThatFits(ids: readonly string[], byId: ReadonlyMap<string, Endpoint>, most: number): number {
  let bytes = 0
  const end = Math.min(most, ids.length)
  for (let count = 0; count < end; count++) {
    bytes += metadataBytes(byId.get(ids[count]!)!.metadata)
    if (bytes > maxServiceMetadataBytes) return count
  }
  return end
}

function metadataBytes(metadata: Endpoint['metadata']): number {
  let bytes = 0
  for (const [key, value] of Object.entries(metadata)) bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  return bytes
}

function refusalOf(endpoint: Endpoint, rules: AcceptRules): RefusalReason | undefined {
  if (typeof endpoint !== 'object' || endpoint === null) return 'address'
  const { address, port, weight, metadata } = endpoint
  if (typeof address !== 'string' || isIP(address) === 0 || address.includes('%')) return 'address'
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return 'port'
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= 10_000)) return 'weight'
  const plain = plainAddress(address)
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4'
  if (unspecified.check(plain, family)) return 'unspecified'
  if (!rules.allowLoopback && loopback.check(plain, family)) return 'loopback'
  if (linkLocal.check(plain, family)) return 'link-local'
  if (multicast.check(plain, family)) return 'multicast'
  if (rules.isOwnListener(plain, port)) return 'own-listener'
  if (typeof metadata !== 'object' || metadata === null) return 'metadata'
  const values = Object.values(metadata)
  if (values.length > maxMetadataEntries || values.some((value) => typeof value !== 'string')) return 'metadata'
  if (metadataBytes(metadata) > maxMetadataBytes) return 'metadata'
  const texts = [endpoint.cluster, endpoint.version, endpoint.locality?.region, endpoint.locality?.zone]
  return texts.every((text) => typeof text === 'string' && text.length <= maxTextLength) ? undefined : 'text'
}

/** `::ffff:10.0.0.1` and its hexadecimal twin are IPv4 addresses in disguise: both would slip past the IPv4 lists. */
function plainAddress(address: string): string {
  if (!address.includes(':') || !/^[0:]*:ffff:/i.test(address)) return address
  const tail = address.slice(address.toLowerCase().lastIndexOf('ffff:') + 5)
  if (isIP(tail) === 4) return tail
  const words = tail.split(':').map((word) => Number.parseInt(word, 16))
  if (words.length !== 2 || words.some(Number.isNaN)) return address
  return `${words[0]! >> 8}.${words[0]! & 255}.${words[1]! >> 8}.${words[1]! & 255}`
}

function describe(endpoint: unknown): string {
  const { address, port } = (endpoint ?? {}) as { address?: unknown; port?: unknown }
  return `${String(address)}:${String(port)}`.replace(/[^\x21-\x7e]/g, '?').slice(0, 64)
}

function blockList(subnets: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): BlockList {
  const list = new BlockList()
  for (const [network, bits, family] of subnets) list.addSubnet(network, bits, family)
  return list
}
