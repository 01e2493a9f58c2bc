/**
 * The gate for what registries, ServiceEntries and DNS say: their content is hostile until it was checked here.
 *
 * Refused are endpoints that no remote instance can have (`forbidden-address.ts`), our own listeners (a loop), values
 * outside the contract, and what is too large. A refused endpoint never takes a good one with it. Sources: security
 * notes on Nacos content (SSRF and loops); the bounds are those of `contracts/endpoint.ts`.
 */
import { isIP } from 'node:net'
import { endpointId, metadataBounds, type Endpoint, type EndpointSet } from '../../../../contracts/endpoint.ts'
import { lookedAtShare } from '../../../../contracts/registry-adapter.ts'
import { forbiddenAddress, plainAddress, type ForbiddenAddress } from '../../../../contracts/forbidden-address.ts'

export interface AcceptRules {
  /** For demonstrations and tests on one machine. */
  readonly allowLoopback: boolean
  readonly maxPerService: number
  /**
   * Whether this address and port is a listener of this agent that must never be an endpoint (admin, outbound ports,
   * relay).
   */
  readonly isOwnListener: (address: string, port: number) => boolean
}

export interface Refused {
  /** `address:port` as far as it can be read, at most 64 characters; words for those beyond a bound. */
  readonly endpoint: string
  readonly reason: RefusalReason
  /** How many; above 1 only beyond a bound. */
  readonly count: number
}

export type RefusalReason =
  'address' | ForbiddenAddress | 'own-listener' | 'port' | 'weight' | 'metadata' | 'text' | 'duplicate' | 'too-many'

/** Of all endpoints of a service: it has to fit into one frame to the workers, and JSON may need six bytes for one. */
export const maxServiceMetadataBytes = 8 * 1024 * 1024
const maxTextLength = 256

/**
 * The good endpoints of a set, unique and sorted by id, and what was refused with the reason. Cost: linear in the set,
 * but never more than twice the bound. `known`: what was accepted from there before; of the same objects, and of the
 * same addresses, only what may have changed since is asked again.
 */
export function acceptEndpoints(
  set: EndpointSet,
  rules: AcceptRules,
  known: readonly Endpoint[] = [],
): { endpoints: readonly Endpoint[]; refused: readonly Refused[] } {
  const refused: Refused[] = []
  const byId = new Map<string, Endpoint>()
  const judged = new Set(known)
  const goodAddresses = new Set(known.map(({ address }) => address))
  const most = rules.maxPerService * lookedAtShare
  let beyond = Math.max(0, set.endpoints.length - most)
  for (const raw of beyond > 0 ? set.endpoints.slice(0, most) : set.endpoints) {
    const isKnown = judged.has(raw)
    const reason = isKnown ? changedRefusal(raw, rules) : refusalOf(raw, rules, goodAddresses)
    if (reason !== undefined) {
      refused.push({ endpoint: describe(raw), reason, count: 1 })
      continue
    }
    const plain = goodAddresses.has(raw.address) ? raw.address : plainAddress(raw.address)
    const endpoint = plain === raw.address ? raw : { ...raw, address: plain }
    const id = endpointId(endpoint)
    const twin = byId.get(id)
    if (twin !== undefined) refused.push({ endpoint: id, reason: 'duplicate', count: 1 })
    // two records of one address: the one that may take traffic is believed
    if (twin === undefined || (!(twin.healthy && twin.enabled) && endpoint.healthy && endpoint.enabled))
      byId.set(id, endpoint)
  }
  const ids = [...byId.keys()].sort()
  beyond += ids.splice(countThatFits(ids, byId, rules.maxPerService)).length
  if (beyond > 0)
    refused.push({ endpoint: `beyond ${rules.maxPerService} of a service`, reason: 'too-many', count: beyond })
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

/** Of one that was accepted as it is: ports of our own come and go. */
function changedRefusal({ address, port }: Endpoint, rules: AcceptRules): RefusalReason | undefined {
  return rules.isOwnListener(address, port) ? 'own-listener' : undefined
}

function refusalOf(
  endpoint: Endpoint,
  rules: AcceptRules,
  goodAddresses: ReadonlySet<string>,
): RefusalReason | undefined {
  if (typeof endpoint !== 'object' || endpoint === null) return 'address'
  const { address, port, weight, metadata } = endpoint
  const isGood = goodAddresses.has(address)
  if (!isGood && (typeof address !== 'string' || isIP(address) === 0 || address.includes('%'))) return 'address'
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return 'port'
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= 10_000)) return 'weight'
  const plain = isGood ? address : plainAddress(address)
  const forbidden = isGood ? undefined : forbiddenAddress(address)
  if (forbidden !== undefined && !(forbidden === 'loopback' && rules.allowLoopback)) return forbidden
  if (rules.isOwnListener(plain, port)) return 'own-listener'
  if (typeof metadata !== 'object' || metadata === null) return 'metadata'
  const values = Object.values(metadata)
  if (values.length > metadataBounds.entries || values.some((value) => typeof value !== 'string')) return 'metadata'
  if (metadataBytes(metadata) > metadataBounds.bytes) return 'metadata'
  const texts = [endpoint.cluster, endpoint.version, endpoint.locality?.region, endpoint.locality?.zone]
  return texts.every((text) => typeof text === 'string' && text.length <= maxTextLength) ? undefined : 'text'
}

function describe(endpoint: unknown): string {
  const { address, port } = (endpoint ?? {}) as { address?: unknown; port?: unknown }
  return `${String(address)}:${String(port)}`.replace(/[^\x21-\x7e]/g, '?').slice(0, 64)
}
