/**
 * SOCKS5 (RFC 1928), the side of the server: CONNECT alone. A name and password (RFC 1929) are taken and prove nothing.
 */
import type { LocalAnswer } from '../../../../http1/local-reply.ts'
import { dottedAddress, groupedAddress } from './address-text.ts'
import type { TunnelRequest } from './tunnel.ts'

export const socksVersion = 5

const connect = 1
const addressKind = { ipv4: 1, name: 3, ipv6: 4 } as const
const method = { none: 0, password: 2, noneTaken: 0xff } as const
const reply = {
  granted: 0,
  failed: 1,
  notAllowed: 2,
  unreachable: 4,
  refused: 5,
  badCommand: 7,
  badAddress: 8,
} as const

export type SocksStep =
  | { readonly kind: 'more' }
  /** `length` bytes are read; it goes on behind them. */
  | { readonly kind: 'say'; readonly length: number; readonly bytes: Buffer }
  | { readonly kind: 'refuse'; readonly bytes: Buffer }
  | { readonly kind: 'request'; readonly length: number; readonly request: TunnelRequest }

const more: SocksStep = { kind: 'more' }

/** One conversation up to its request; no step needs more than 515 bytes. */
export class Socks5 {
  private stage: 'greeting' | 'password' | 'request' = 'greeting'

  look(bytes: Buffer): SocksStep {
    if (this.stage === 'greeting') return this.greeting(bytes)
    return this.stage === 'password' ? this.password(bytes) : readRequest(bytes)
  }

  private greeting(bytes: Buffer): SocksStep {
    const length = 2 + (bytes[1] ?? 0)
    if (bytes.length < Math.max(2, length)) return more
    const offered = bytes.subarray(2, length)
    const taken = [method.none, method.password].find((one) => offered.includes(one)) ?? method.noneTaken
    const said = Buffer.of(socksVersion, taken)
    if (bytes[0] !== socksVersion || taken === method.noneTaken) return { kind: 'refuse', bytes: said }
    this.stage = taken === method.password ? 'password' : 'request'
    return { kind: 'say', length, bytes: said }
  }

  private password(bytes: Buffer): SocksStep {
    const nameEnd = 2 + (bytes[1] ?? 0)
    if (bytes.length <= nameEnd) return more
    const length = nameEnd + 1 + bytes[nameEnd]!
    if (bytes.length < length) return more
    if (bytes[0] !== 1) return { kind: 'refuse', bytes: Buffer.of(1, reply.failed) }
    this.stage = 'request'
    return { kind: 'say', length, bytes: Buffer.of(1, reply.granted) }
  }
}

function readRequest(bytes: Buffer): SocksStep {
  if (bytes.length < 5) return more
  const [version, command, , kind] = bytes
  const size =
    kind === addressKind.ipv4 ? 4 : kind === addressKind.ipv6 ? 16 : kind === addressKind.name ? bytes[4]! : 0
  if (version !== socksVersion) return { kind: 'refuse', bytes: answer(reply.failed) }
  if (command !== connect) return { kind: 'refuse', bytes: answer(reply.badCommand) }
  if (size === 0) return { kind: 'refuse', bytes: answer(reply.badAddress) }
  const from = kind === addressKind.name ? 5 : 4
  const length = from + size + 2
  if (bytes.length < length) return more
  const address = bytes.subarray(from, from + size)
  const host =
    kind === addressKind.ipv4
      ? dottedAddress(address)
      : kind === addressKind.ipv6
        ? `[${groupedAddress(address)}]`
        : address.toString('latin1').toLowerCase()
  const port = bytes.readUInt16BE(from + size)
  return { kind: 'request', length, request: { kind: 'SOCKS5', host, port, granted: answer(reply.granted), refused } }
}

/** The address behind it is that of our end, which tells a caller nothing. */
function answer(code: number): Buffer {
  return Buffer.of(socksVersion, code, 0, addressKind.ipv4, 0, 0, 0, 0, 0, 0)
}

function refused({ code, status }: LocalAnswer): Buffer {
  if (status === 403) return answer(reply.notAllowed)
  if (code === 'E_CONNECT_FAILED') return answer(reply.refused)
  return answer(status === 400 ? reply.failed : reply.unreachable)
}
