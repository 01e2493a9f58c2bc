/**
 * The first message of a TLS connection (RFC 8446 section 4.1.2, the same bytes in TLS 1.2), read without a key and
 * without a side effect: who looks at it may pass the bytes on as they came, or hand them to an engine that ends the
 * connection here.
 */

/** What a caller says before anything is agreed on. */
export interface ClientHello {
  /** `server_name` (RFC 6066) in lower case; '' where the caller names none, or nothing that a host may be called. */
  readonly serverName: string
  /** `application_layer_protocol_negotiation` (RFC 7301) in the caller's order; empty without it. */
  readonly protocols: readonly string[]
  /** `supported_versions` (0x0304 = TLS 1.3), else the one version of the message. */
  readonly versions: readonly number[]
}

/** `more`: what came so far begins a hello. `none`: no more bytes could make one of it. */
export type ReadHello = ClientHello | 'more' | 'none'

/** Bytes of the message, headers of its records aside; callers send 200 to 2,000. A larger one is none. */
export const maxHelloBytes = 16_384

const record = { header: 5, handshake: 22, majorVersion: 3, maxBytes: 16_384 } as const
const message = { header: 4, clientHello: 1 } as const
const extension = { serverName: 0, alpn: 16, supportedVersions: 43 } as const
const maxRecords = 64

/** All bytes of the connection so far; nothing is kept between two calls. */
export function readClientHello(bytes: Buffer): ReadHello {
  const handshake = joinRecords(bytes)
  if (handshake === 'none') return 'none'
  if (handshake.length >= 1 && handshake[0] !== message.clientHello) return 'none'
  if (handshake.length < message.header) return 'more'
  const length = handshake.readUIntBE(1, 3)
  if (length > maxHelloBytes) return 'none'
  if (handshake.length < message.header + length) return 'more'
  return readBody(handshake.subarray(message.header, message.header + length)) ?? 'none'
}

/** The content of the records at the beginning, as far as it is there. A message may be cut over several. */
function joinRecords(bytes: Buffer): Buffer | 'none' {
  const parts: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    if (bytes[at] !== record.handshake) return parts.length === 0 ? 'none' : Buffer.concat(parts)
    if (at + 1 < bytes.length && bytes[at + 1] !== record.majorVersion) return 'none'
    if (at + record.header > bytes.length) break
    const length = bytes.readUInt16BE(at + 3)
    if (length === 0 || length > record.maxBytes || parts.length === maxRecords) return 'none'
    const from = at + record.header
    parts.push(bytes.subarray(from, Math.min(from + length, bytes.length)))
    at = from + length
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

function readBody(body: Buffer): ClientHello | undefined {
  const reader = new Reader(body)
  const version = reader.number(2)
  reader.skip(32)
  reader.vector(1)
  reader.vector(2)
  reader.vector(1)
  const hello = { serverName: '', protocols: [] as string[], versions: [version] }
  if (!reader.isBroken && reader.isAtEnd) return hello
  const extensions = new Reader(reader.vector(2))
  const seen = new Set<number>()
  while (!extensions.isBroken && !extensions.isAtEnd) {
    const type = extensions.number(2)
    const content = new Reader(extensions.vector(2))
    if (seen.has(type)) return undefined
    seen.add(type)
    if (type === extension.serverName) hello.serverName = readServerName(content)
    else if (type === extension.alpn) hello.protocols = readProtocols(content)
    else if (type === extension.supportedVersions) hello.versions = readVersions(content)
    else continue
    if (content.isBroken || !content.isAtEnd) return undefined
  }
  return reader.isBroken || !reader.isAtEnd || extensions.isBroken ? undefined : hello
}

/** The first name of type host_name; there may be one of each type. */
function readServerName(content: Reader): string {
  const list = new Reader(content.vector(2))
  let name = ''
  while (!list.isBroken && !list.isAtEnd) {
    const type = list.number(1)
    const bytes = list.vector(2)
    if (type === 0 && name === '') name = bytes.toString('latin1').toLowerCase()
  }
  if (list.isBroken) content.fail()
  return /^[a-z0-9_](?:[a-z0-9._-]{0,253}[a-z0-9_])?$/.test(name) ? name : ''
}

function readProtocols(content: Reader): string[] {
  const list = new Reader(content.vector(2))
  const protocols: string[] = []
  while (!list.isBroken && !list.isAtEnd) protocols.push(list.vector(1).toString('latin1'))
  if (list.isBroken) content.fail()
  return protocols
}

function readVersions(content: Reader): number[] {
  const list = new Reader(content.vector(1))
  const versions: number[] = []
  while (!list.isBroken && !list.isAtEnd) versions.push(list.number(2))
  if (list.isBroken) content.fail()
  return versions
}

/** Numbers and vectors of TLS's presentation language. One that reaches past the end breaks it for good. */
class Reader {
  isBroken = false
  private readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length
  }

  fail(): void {
    this.isBroken = true
  }

  /** `size` bytes, most significant first; 0 when broken. */
  number(size: 1 | 2): number {
    const from = this.at
    return this.skip(size) ? this.bytes.readUIntBE(from, size) : 0
  }

  /** A length of `size` bytes and what it counts; empty when broken. */
  vector(size: 1 | 2): Buffer {
    const length = this.number(size)
    const from = this.at
    return this.skip(length) ? this.bytes.subarray(from, from + length) : this.bytes.subarray(0, 0)
  }

  skip(count: number): boolean {
    if (this.isBroken || this.at + count > this.bytes.length) {
      this.isBroken = true
      return false
    }
    this.at += count
    return true
  }
}
