/** struct sockaddr_in and sockaddr_in6: family in host order, port in network order. And what sockaddr_un allows. */
import { isIPv4, SocketAddress } from 'node:net'
import { networkInterfaces } from 'node:os'
import { parseIpv6 } from '../contracts/ip-literal.ts'

export const unixFamily = 1
/** With the zero behind it a path fits into `sun_path` (108 bytes). */
export const maxSocketPathBytes = 107
const inetFamily = 2
const inet6Family = 10
/** Of the larger one. */
export const socketAddressBytes = 28

export function familyOf(address: string): number {
  return isIPv4(address) ? inetFamily : inet6Family
}

export function readSocketAddress(bytes: Buffer): { address: string; port: number } | undefined {
  const family = bytes.readUInt16LE(0)
  const port = bytes.readUInt16BE(2)
  if (family === inetFamily) return { address: `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`, port }
  if (family !== inet6Family) return undefined
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + 2 * index).toString(16))
  return { address: new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address, port }
}

/**
 * Answers its length; 0 for what is no IP literal. A zone (`fe80::1%eth0`) is the name or the number of an interface.
 */
export function writeSocketAddress(bytes: Buffer, address: string, port: number): number {
  bytes.fill(0, 0, socketAddressBytes)
  bytes.writeUInt16BE(port, 2)
  if (isIPv4(address)) {
    bytes.writeUInt16LE(inetFamily, 0)
    writeIpv4(bytes, address)
    return 16
  }
  const [literal = '', zone] = address.split('%')
  const parsed = parseIpv6(literal)
  if (parsed === undefined) return 0
  bytes.writeUInt16LE(inet6Family, 0)
  parsed.copy(bytes, 8)
  if (zone !== undefined) bytes.writeUInt32LE(scopeOf(zone), 24)
  return socketAddressBytes
}

/** By its digits: a connection to an endpoint waits for it. */
function writeIpv4(bytes: Buffer, address: string): void {
  let at = 4
  let part = 0
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index)
    if (code === 0x2e) {
      bytes[at++] = part
      part = 0
    } else part = part * 10 + code - 0x30
  }
  bytes[at] = part
}

function scopeOf(zone: string): number {
  if (/^[0-9]{1,9}$/.test(zone)) return Number(zone)
  return networkInterfaces()[zone]?.find((one) => one.family === 'IPv6')?.scopeid ?? 0
}
