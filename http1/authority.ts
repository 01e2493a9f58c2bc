import { hexValues, hostBytes } from './byte-classes.ts'

/**
 * Whether `buf[start, end)` is a host with an optional port (RFC 9110 section 7.2, RFC 3986 section 3.2.2): a name, an
 * IPv4 or a bracketed IPv6 literal; port digits up to 65535, or none after the colon. Userinfo, path, comma, empty
 * host, broken percent-encoding: false (R5).
 */
export function isAuthority(buf: Buffer, start: number, end: number): boolean {
  let i = start
  if (i < end && buf[i] === 0x5b) {
    i++
    const literal = i
    while (i < end && (hexValues[buf[i] as number] !== 255 || buf[i] === 0x3a || buf[i] === 0x2e)) i++
    if (i - literal < 2 || i === end || buf[i] !== 0x5d) return false
    i++
  } else {
    while (i < end) {
      const byte = buf[i] as number
      if (byte === 0x3a) break
      if (hostBytes[byte] === 0 || byte === 0x5b || byte === 0x5d) return false
      if (byte === 0x25) {
        if (i + 2 >= end || hexValues[buf[i + 1] as number] === 255 || hexValues[buf[i + 2] as number] === 255)
          return false
        i += 2
      }
      i++
    }
    if (i === start) return false
  }
  if (i === end) return true
  if (buf[i] !== 0x3a) return false
  let port = 0
  for (i++; i < end; i++) {
    const digit = (buf[i] as number) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
    if (port > 65_535) return false
  }
  return true
}
