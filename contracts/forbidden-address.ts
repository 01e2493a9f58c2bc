/**
 * Addresses to which the mesh never carries a call, whoever names them: loopback, link-local, the metadata services of
 * clouds, unspecified and multicast. An IPv6 address that stands for an IPv4 one (mapped, compatible, translated,
 * NAT64, 6to4, Teredo, ISATAP) is judged by that one, too.
 */
import { BlockList, isIP } from 'node:net'

export type ForbiddenAddress = 'loopback' | 'link-local' | 'metadata-service' | 'unspecified' | 'multicast'

type Subnet = readonly [network: string, bits: number]

const lists: readonly (readonly [ForbiddenAddress, BlockList])[] = [
  ['unspecified', blockList(['0.0.0.0', 8], ['::', 128])],
  ['loopback', blockList(['127.0.0.0', 8], ['::1', 128])],
  ['link-local', blockList(['169.254.0.0', 16], ['fe80::', 10])],
  [
    'metadata-service',
    blockList(
      // Amazon (its IPv4 one is link-local, as those of Google, Microsoft, Huawei, Tencent and others are)
      ['fd00:ec2::', 32],
      // Google
      ['fd20:ce::254', 128],
      // Alibaba
      ['100.100.100.200', 32],
      // Microsoft's platform address, which answers for the host agent
      ['168.63.129.16', 32],
      // Oracle
      ['192.0.0.192', 32],
      ['fd00:c1::a9fe:a9fe', 128],
      // Scaleway
      ['fd00:42::42', 128],
    ),
  ],
  ['multicast', blockList(['224.0.0.0', 3], ['ff00::', 8])],
]

/** Why calls must not go there; undefined for an address that may be an endpoint, and for what is no address. */
export function forbiddenAddress(address: string): ForbiddenAddress | undefined {
  const bare = withoutZone(address)
  for (const spelling of [bare, ...embeddedAddresses(bare)]) {
    const family = isIP(spelling)
    if (family === 0) continue
    for (const [reason, list] of lists) if (list.check(spelling, family === 6 ? 'ipv6' : 'ipv4')) return reason
  }
  return undefined
}

/**
 * A mapped IPv4 address (`::ffff:10.0.0.1` and its hexadecimal twin) as what it is; every other one as it is written,
 * without a zone (`%eth0`), which says nothing of an address that a call may go to.
 */
export function plainAddress(address: string): string {
  const bare = withoutZone(address)
  const words = wordsOf(bare)
  if (words === undefined || words[5] !== 0xffff || words.slice(0, 5).some((word) => word !== 0)) return bare
  return dotted(words[6]!, words[7]!)
}

/** The system connects without the zone where the address needs none. */
function withoutZone(address: string): string {
  return address.split('%', 1)[0]!
}

/** IPv4 addresses for which an IPv6 address stands. */
function embeddedAddresses(address: string): string[] {
  const words = wordsOf(address)
  if (words === undefined) return []
  const [a, b, c, d, e, f, g, h] = words as [number, number, number, number, number, number, number, number]
  const isZero = (...some: readonly number[]): boolean => some.every((word) => word === 0)
  const last = dotted(g, h)
  const found: string[] = []
  // mapped ::ffff:0:0/96, translated ::ffff:0:0:0/96, compatible ::/96 (but :: and ::1 are themselves)
  if (isZero(a, b, c, d, e) && (f === 0xffff || (f === 0 && (g !== 0 || h > 1)))) found.push(last)
  if (isZero(a, b, c, d, f) && e === 0xffff) found.push(last)
  // NAT64: the well-known prefix and the one for local use (RFC 6052, RFC 8215)
  if (a === 0x64 && b === 0xff9b) {
    const inFront = dotted(d, ((e & 0xff) << 8) | (f >> 8))
    // with a prefix of 96 bits the address is at the end, with one of 48 bits in front; the other place is then zero
    if (c !== 1 || isZero(d, e, f)) found.push(last)
    else found.push(inFront, ...(isZero(g, h) ? [] : [last]))
  }
  // 6to4
  if (a === 0x2002) found.push(dotted(b, c))
  // Teredo: the server, and the client with its bits turned over
  if (a === 0x2001 && b === 0) found.push(dotted(c, d), dotted(g ^ 0xffff, h ^ 0xffff))
  // ISATAP
  if ((e & 0xfdff) === 0 && f === 0x5efe) found.push(last)
  return found
}

/** The eight words of an IPv6 address; undefined for what is none. */
function wordsOf(address: string): number[] | undefined {
  if (isIP(address) !== 6) return undefined
  const tail = /(?:^|:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const plain =
    tail === null
      ? address
      : `${address.slice(0, address.lastIndexOf(':') + 1)}${hex(tail[1], tail[2])}:${hex(tail[3], tail[4])}`
  const [left = '', right] = plain.split('::')
  const words = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16))
  const head = words(left)
  if (right === undefined) return head
  const end = words(right)
  return [...head, ...Array.from({ length: 8 - head.length - end.length }, () => 0), ...end]
}

function hex(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16)
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function blockList(...subnets: readonly Subnet[]): BlockList {
  const list = new BlockList()
  for (const [network, bits] of subnets) list.addSubnet(network, bits, isIP(network) === 6 ? 'ipv6' : 'ipv4')
  return list
}
