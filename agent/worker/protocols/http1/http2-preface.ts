import { endpointProtocol } from '../../../../contracts/protocols.ts'
import type { AppProtocol } from '../../../../contracts/protocols.ts'

/**
 * What a connection of HTTP/2 begins with, as far as it is no request of HTTP/1.1 any more: the rest of it is for who
 * speaks that protocol.
 */
const start = Buffer.from('PRI * HTTP/2.0', 'latin1')

/** Whether `buf[from..to)` begins so. Asked before a request is read: no method is named PRI (RFC 9113 section 3.4). */
export function isHttp2Preface(buf: Buffer, from: number, to: number): boolean {
  if (buf[from] !== start[0] || to - from < start.length) return false
  for (let i = 1; i < start.length; i++) if (buf[from + i] !== start[i]) return false
  return true
}

/** Whether what is neither a request of HTTP/1.1 nor the preface is refused in the words of HTTP/2 at such a port. */
export function isForHttp2(protocol: AppProtocol): boolean {
  return endpointProtocol(protocol, false) === 'http2'
}
