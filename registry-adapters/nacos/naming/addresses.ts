/**
 * Which addresses may be endpoints. A registry is not trusted: an address that leads back to this host or to its
 * cloud's metadata service is refused.
 */
import { BlockList, isIP } from 'node:net'
import type { EndpointRules } from '../config.ts'

export type AddressRefusal = 'address' | 'loopback' | 'link-local' | 'own-port'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

/** Unspecified, multicast, reserved and broadcast: nobody can be called there. */
const impossible = new BlockList()
impossible.addSubnet('0.0.0.0', 8, 'ipv4')
impossible.addSubnet('224.0.0.0', 3, 'ipv4')
impossible.addAddress('::', 'ipv6')
impossible.addSubnet('ff00::', 8, 'ipv6')

/**
 * The address in the form in which two spellings of one address are equal, or undefined if it is no IP literal. IPv4
 * inside IPv6 becomes IPv4.
 */
export function canonicalAddress(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  const family = isIP(bare)
  if (family === 4) return bare
  if (family !== 6 || bare.includes('%')) return undefined
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (mapped === null) return canonical
  const high = Number.parseInt(mapped[1]!, 16)
  const low = Number.parseInt(mapped[2]!, 16)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/** Why this canonical address and port may not be an endpoint; undefined = it may. */
export function refusalOf(address: string, port: number, rules: EndpointRules): AddressRefusal | undefined {
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  if (impossible.check(address, family)) return 'address'
  if (!rules.allowLoopback && loopback.check(address, family)) return 'loopback'
  if (!rules.allowLinkLocal && linkLocal.check(address, family)) return 'link-local'
  return rules.isOwnPort(address, port) ? 'own-port' : undefined
}
