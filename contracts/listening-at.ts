/** Whether a listening socket is at an address that somebody dials. */
import { networkInterfaces } from 'node:os'
import { isIpv4, isSameAddress, parseIpv6 } from './ip-literal.ts'

/**
 * listening: what the socket is bound to; one on all addresses is at each of `interfaceAddresses`, and, whatever these
 * say, at all of 127.0.0.0/8, at `::1`, and where no address is named.
 */
export function isListeningAt(
  listening: string,
  address: string,
  interfaceAddresses: () => readonly string[],
): boolean {
  if (isSameAddress(listening, address)) return true
  if (listening !== '0.0.0.0' && listening !== '::') return false
  return isAnyOrLoopback(address) || interfaceAddresses().some((one) => isSameAddress(one, address))
}

const mapped = parseIpv6('::ffff:0.0.0.0')!.subarray(0, 12)

function isAnyOrLoopback(address: string): boolean {
  const bytes = parseIpv6(isIpv4(address) ? `::ffff:${address}` : address)
  if (bytes === undefined) return false
  const [first, last] = [bytes.subarray(0, 12), bytes.subarray(12)]
  if (first.equals(mapped)) return last[0] === 127 || last.readUInt32BE() === 0
  return first.every((byte) => byte === 0) && last.readUInt32BE() <= 1
}

/** All addresses of this host now; asks the kernel. */
export function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address))
}
