/**
 * The PROXY protocol, versions 1 and 2: who the original caller was, said once at the start of a connection.
 * Source: HAProxy's proxy-protocol.txt, sections 2.1 to 2.2. Our own TLVs are in `contracts/words.ts`.
 */
import { MeshError } from './errors.ts'
import { isIpv4, parseIpv6 } from './ip-literal.ts'
import { proxyTlv } from './words.ts'

export interface ProxyHeader {
  /** `local`: the sender speaks for itself (health checks); addresses are then unknown. */
  readonly command: 'proxy' | 'local'
  readonly source: ProxyEndpoint | undefined
  readonly destination: ProxyEndpoint | undefined
  /** Type byte and value, in the order sent. Empty for version 1. */
  readonly tlvs: readonly { readonly type: number; readonly value: Buffer }[]
}

export interface ProxyEndpoint {
  /** IPv4 or IPv6 literal. */
  readonly address: string
  readonly port: number
}

/** Longest version 1 line with its CRLF (section 2.1). */
const maxProxyV1Bytes = 107

/**
 * Longest version 2 header that we accept: 16 fixed bytes, addresses, and room for TLVs. Longer ones are refused with
 * E_PROXY_PROTOCOL.
 */
export const maxProxyV2Bytes = 4096

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const v1Start = Buffer.from('PROXY ', 'latin1')

/** A version 1 line. Without addresses, or with mixed families: `PROXY UNKNOWN`. */
export function encodeProxyV1(source: ProxyEndpoint | undefined, destination: ProxyEndpoint | undefined): Buffer {
  const family = source && destination ? commonFamily(source.address, destination.address) : undefined
  if (!source || !destination || family === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const line = `PROXY TCP${family} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n`
  return Buffer.from(line, 'latin1')
}

/** A version 2 header. Without addresses, or with mixed families, the family is UNSPEC and only the TLVs speak. */
export function encodeProxyV2(header: ProxyHeader): Buffer {
  const { source, destination } = header
  const family = source && destination ? commonFamily(source.address, destination.address) : undefined
  let addresses: Buffer = Buffer.alloc(0)
  if (source && destination && family !== undefined) {
    const ports = Buffer.alloc(4)
    ports.writeUInt16BE(source.port, 0)
    ports.writeUInt16BE(destination.port, 2)
    addresses = Buffer.concat([addressBytes(source.address, family), addressBytes(destination.address, family), ports])
  }
  const tlvs = header.tlvs.map(({ type, value }) => {
    const head = Buffer.alloc(3)
    head.writeUInt8(type, 0)
    head.writeUInt16BE(value.length, 1)
    return Buffer.concat([head, value])
  })
  const rest = Buffer.concat([addresses, ...tlvs])
  if (16 + rest.length > maxProxyV2Bytes) {
    throw new MeshError('E_PROXY_PROTOCOL', `header of ${16 + rest.length} bytes, allowed ${maxProxyV2Bytes}`)
  }
  const fixed = Buffer.alloc(16)
  signature.copy(fixed, 0)
  fixed.writeUInt8(header.command === 'proxy' ? 0x21 : 0x20, 12)
  fixed.writeUInt8(family === 4 ? 0x11 : family === 6 ? 0x21 : 0x00, 13)
  fixed.writeUInt16BE(rest.length, 14)
  return Buffer.concat([fixed, rest])
}

/**
 * The TLVs that a watchdog sends to a center: calling host, listener, and its service ('' for the shared HTTP port).
 */
export function relayTlvs(about: { service: string; host: string; listener: string }): ProxyHeader['tlvs'] {
  return [
    { type: proxyTlv.service, value: Buffer.from(about.service, 'utf8') },
    { type: proxyTlv.host, value: Buffer.from(about.host, 'utf8') },
    { type: proxyTlv.listener, value: Buffer.from(about.listener, 'utf8') },
  ]
}

/** Value of the first TLV of this type as text, or undefined. */
export function tlvText(header: ProxyHeader, type: number): string | undefined {
  return header.tlvs.find((tlv) => tlv.type === type)?.value.toString('utf8')
}

export type ProxyParse =
  /** Not enough bytes yet; ask again with more, from the start. */
  | { readonly kind: 'more' }
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly length: number }
  /** The connection must be closed: guessing would let a caller forge addresses (section 2). */
  | { readonly kind: 'bad'; readonly reason: string }

const more: ProxyParse = { kind: 'more' }

/**
 * Reads the header at the start of `bytes[0..length)`. Strict: every byte that is there must be a possible start of a
 * header, so garbage is seen at its first wrong byte and never waited for. Never asks for more than `maxProxyV2Bytes`.
 * Holds no reference to `bytes`.
 */
export function parseProxyHeader(bytes: Uint8Array, length: number = bytes.length): ProxyParse {
  if (length === 0) return more
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, length)
  return view[0] === signature[0] ? parseV2(view) : parseV1(view)
}

function bad(reason: string): ProxyParse {
  return { kind: 'bad', reason }
}

function startsLike(view: Buffer, start: Buffer): boolean {
  const length = Math.min(view.length, start.length)
  return view.subarray(0, length).equals(start.subarray(0, length))
}

function parseV1(view: Buffer): ProxyParse {
  if (!startsLike(view, v1Start)) return bad('does not begin with a PROXY header')
  const end = view.indexOf('\r\n')
  if (end < 0) {
    return view.length >= maxProxyV1Bytes ? bad(`version 1 line longer than ${maxProxyV1Bytes} bytes`) : more
  }
  if (end + 2 > maxProxyV1Bytes) return bad(`version 1 line of ${end + 2} bytes, allowed ${maxProxyV1Bytes}`)
  const words = view.toString('latin1', 0, end).split(' ')
  const found = (header: ProxyHeader): ProxyParse => ({ kind: 'header', header, length: end + 2 })
  if (words[1] === 'UNKNOWN') return found({ command: 'proxy', source: undefined, destination: undefined, tlvs: [] })
  if ((words[1] !== 'TCP4' && words[1] !== 'TCP6') || words.length !== 6) return bad('version 1 line is malformed')
  const family = words[1] === 'TCP4' ? 4 : 6
  const source = v1Endpoint(words[2]!, words[4]!, family)
  const destination = v1Endpoint(words[3]!, words[5]!, family)
  if (!source || !destination) return bad('version 1 line has a malformed address or port')
  return found({ command: 'proxy', source, destination, tlvs: [] })
}

function v1Endpoint(address: string, port: string, family: 4 | 6): ProxyEndpoint | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65_535) return undefined
  if (family === 4 ? !isIpv4(address) : parseIpv6(address) === undefined) return undefined
  return { address, port: Number(port) }
}

function parseV2(view: Buffer): ProxyParse {
  if (!startsLike(view, signature)) return bad('does not begin with a PROXY header')
  if (view.length < 16) return more
  const version = view[12]! >> 4
  const command = view[12]! & 0x0f
  if (version !== 2) return bad(`version ${version}, allowed 2`)
  if (command > 1) return bad(`command ${command}, allowed 0 and 1`)
  const rest = view.readUInt16BE(14)
  const total = 16 + rest
  if (total > maxProxyV2Bytes) return bad(`header of ${total} bytes, allowed ${maxProxyV2Bytes}`)
  if (view.length < total) return more
  const family = view[13]! >> 4
  const transport = view[13]! & 0x0f
  if (family > 3 || transport > 2) return bad(`family and transport 0x${view[13]!.toString(16)} are unknown`)
  // Section 2.2: a receiver takes what it knows and treats other families as UNSPEC.
  const addressLength = family === 1 ? 12 : family === 2 ? 36 : family === 3 ? 216 : 0
  if (rest < addressLength) return bad(`address block of ${rest} bytes, needs ${addressLength}`)
  let source: ProxyEndpoint | undefined
  let destination: ProxyEndpoint | undefined
  if (command === 1 && transport === 1 && (family === 1 || family === 2)) {
    const size = family === 1 ? 4 : 16
    const ports = 16 + 2 * size
    source = { address: addressText(view.subarray(16, 16 + size)), port: view.readUInt16BE(ports) }
    destination = { address: addressText(view.subarray(16 + size, ports)), port: view.readUInt16BE(ports + 2) }
  }
  const tlvs: { type: number; value: Buffer }[] = []
  let at = 16 + addressLength
  while (at < total) {
    if (total - at < 3) return bad('a TLV is cut off')
    const size = view.readUInt16BE(at + 1)
    if (at + 3 + size > total) return bad('a TLV is longer than the header')
    tlvs.push({ type: view[at]!, value: Buffer.from(view.subarray(at + 3, at + 3 + size)) })
    at += 3 + size
  }
  return {
    kind: 'header',
    header: { command: command === 1 ? 'proxy' : 'local', source, destination, tlvs },
    length: total,
  }
}

function commonFamily(one: string, other: string): 4 | 6 | undefined {
  if (isIpv4(one) && isIpv4(other)) return 4
  return parseIpv6(one) && parseIpv6(other) ? 6 : undefined
}

function addressBytes(address: string, family: 4 | 6): Buffer {
  return family === 4 ? Buffer.from(address.split('.').map(Number)) : parseIpv6(address)!
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2))
  // RFC 5952: lower case, the longest run of zeros (two or more, the first of equals) becomes `::`.
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best.start < 0) return hex.join(':')
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`
}
