/** IP addresses as text (RFC 4291 section 2.2) and as the bytes of a wire. */

export function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
}

/** The 16 bytes of an IPv6 address in any spelling; undefined for anything else, also with a zone. */
export function parseIpv6(text: string): Buffer | undefined {
  const halves = text.split('::')
  if (text.length > 45 || halves.length > 2) return undefined
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  const all = groups.flat()
  const last = all.at(-1)
  const bytes: number[][] = groups.map((half) => half.flatMap((group) => groupBytes(group, group === last)))
  if (bytes.some((half) => half.includes(-1))) return undefined
  const [head = [], tail = []] = bytes
  if (halves.length === 1) return head.length === 16 ? Buffer.from(head) : undefined
  const gap = 16 - head.length - tail.length
  return gap < 2 ? undefined : Buffer.from([...head, ...Array<number>(gap).fill(0), ...tail])
}

/** A host as in a URL: without the brackets that an IPv6 address has there. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** Whether two texts are one address: in any spelling of IPv6, and for IPv4 also mapped into it. */
export function isSameAddress(one: string, other: string): boolean {
  if (one === other) return true
  const bytes = bytesOf(one)
  return bytes !== undefined && bytesOf(other)?.equals(bytes) === true
}

function bytesOf(text: string): Buffer | undefined {
  return parseIpv6(isIpv4(text) ? `::ffff:${text}` : text)
}

/** Two bytes of a hexadecimal group, four of a dotted tail, or [-1] for neither. */
function groupBytes(group: string, mayBeDotted: boolean): number[] {
  if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  }
  return mayBeDotted && isIpv4(group) ? group.split('.').map(Number) : [-1]
}

/** Of an address as sockets and the configuration spell it. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}
