/**
 * Names that the codec or the data path treats specially, known by a small number from the moment their line is read.
 * Look-up: a hash of length, first and last byte, then a comparison; a name that is not listed costs one table read.
 */
import { alphanumericBytes } from './byte-classes.ts'

export const Field = {
  /** Any name not listed here. */
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  upgrade: 5,
  expect: 6,
  te: 7,
  maxForwards: 8,
  keepAlive: 9,
  proxyConnection: 10,
  http2Settings: 11,
  trailer: 12,
  via: 13,
  authorization: 14,
  proxyAuthorization: 15,
  proxyAuthenticate: 16,
  wwwAuthenticate: 17,
  cookie: 18,
  setCookie: 19,
  contentType: 20,
  contentEncoding: 21,
  contentRange: 22,
  cacheControl: 23,
  range: 24,
  ifMatch: 25,
  ifNoneMatch: 26,
  ifModifiedSince: 27,
  ifUnmodifiedSince: 28,
  ifRange: 29,
  location: 30,
  vary: 31,
  age: 32,
  date: 33,
  expires: 34,
  pragma: 35,
  retryAfter: 36,
  userAgent: 37,
  origin: 38,
  xRequestId: 39,
  traceparent: 40,
  tracestate: 41,
  b3: 42,
  xB3TraceId: 43,
  xForwardedFor: 44,
  grpcTimeout: 45,
  xMeshService: 46,
  xMeshFallback: 47,
  xMeshSource: 48,
  xMeshError: 49,
  xMeshTier: 50,
  /** Any other `x-mesh-*`, and every look-alike that is spelt with other separators (R36). */
  xMeshOther: 51,
  /** Look-alikes included (R36). */
  xForwardedClientCert: 52,
  /**
   * Spelt like Content-Length or Transfer-Encoding with other separators: some backends take one for the other (R36).
   */
  framingLookAlike: 53,
} as const
export type Field = (typeof Field)[keyof typeof Field]

export const fieldKinds = 54

/** Meant for the next hop only; never forwarded as received (R17, R18, R19). */
const hop = 1
/** Stays although Connection names it: an end-to-end control that a caller could otherwise switch off (R17). */
const kept = 2
/** Must not stand in a trailer (R16; RFC 9110 section 6.5.1). */
const headOnly = 4
/** Says who the caller is; only the mesh may set it (R36). */
const identity = 8

/** Lower-case names, and what is done with the field. */
export const knownFields: readonly (readonly [name: string, field: Field, flags: number])[] = [
  ['host', Field.host, kept | headOnly],
  ['connection', Field.connection, hop | headOnly],
  ['content-length', Field.contentLength, kept | headOnly],
  ['transfer-encoding', Field.transferEncoding, hop | headOnly],
  ['upgrade', Field.upgrade, hop | headOnly],
  ['expect', Field.expect, kept | headOnly],
  ['te', Field.te, hop | headOnly],
  ['max-forwards', Field.maxForwards, kept | headOnly],
  ['keep-alive', Field.keepAlive, hop | headOnly],
  ['proxy-connection', Field.proxyConnection, hop | headOnly],
  ['http2-settings', Field.http2Settings, hop | headOnly],
  ['trailer', Field.trailer, headOnly],
  ['via', Field.via, kept | headOnly],
  ['authorization', Field.authorization, kept | headOnly],
  ['proxy-authorization', Field.proxyAuthorization, headOnly],
  ['proxy-authenticate', Field.proxyAuthenticate, headOnly],
  ['www-authenticate', Field.wwwAuthenticate, kept | headOnly],
  ['cookie', Field.cookie, kept | headOnly],
  ['set-cookie', Field.setCookie, kept | headOnly],
  ['content-type', Field.contentType, kept | headOnly],
  ['content-encoding', Field.contentEncoding, kept | headOnly],
  ['content-range', Field.contentRange, kept | headOnly],
  ['cache-control', Field.cacheControl, kept | headOnly],
  ['range', Field.range, headOnly],
  ['if-match', Field.ifMatch, headOnly],
  ['if-none-match', Field.ifNoneMatch, headOnly],
  ['if-modified-since', Field.ifModifiedSince, headOnly],
  ['if-unmodified-since', Field.ifUnmodifiedSince, headOnly],
  ['if-range', Field.ifRange, headOnly],
  ['location', Field.location, headOnly],
  ['vary', Field.vary, headOnly],
  ['age', Field.age, headOnly],
  ['date', Field.date, headOnly],
  ['expires', Field.expires, headOnly],
  ['pragma', Field.pragma, headOnly],
  ['retry-after', Field.retryAfter, headOnly],
  ['user-agent', Field.userAgent, 0],
  ['origin', Field.origin, kept],
  ['x-request-id', Field.xRequestId, kept],
  ['traceparent', Field.traceparent, kept],
  ['tracestate', Field.tracestate, kept],
  ['b3', Field.b3, kept],
  ['x-b3-traceid', Field.xB3TraceId, kept],
  ['x-forwarded-for', Field.xForwardedFor, kept | headOnly],
  ['grpc-timeout', Field.grpcTimeout, 0],
  ['x-mesh-service', Field.xMeshService, kept | headOnly | identity],
  ['x-mesh-fallback', Field.xMeshFallback, kept | headOnly | identity],
  ['x-mesh-source', Field.xMeshSource, kept | headOnly | identity],
  ['x-mesh-error', Field.xMeshError, kept | headOnly | identity],
  ['x-mesh-tier', Field.xMeshTier, kept | headOnly | identity],
  ['x-forwarded-client-cert', Field.xForwardedClientCert, kept | headOnly | identity],
]

const flags = new Uint8Array(fieldKinds)
flags[Field.xMeshOther] = kept | headOnly | identity
flags[Field.framingLookAlike] = hop | headOnly
/** Lower-case bytes of all names, one behind the other. */
const nameBytes = new Uint8Array(1024)
const nameOffset = new Int32Array(fieldKinds)
const nameLength = new Int32Array(fieldKinds)
/** First candidate per hash, and the next one with the same hash; 0 = none. */
const candidates = new Uint8Array(1024)
const nextCandidate = new Uint8Array(fieldKinds)

const hashOf = (length: number, first: number, last: number) => (length * 37 + first * 11 + last * 3) & 1023

{
  let offset = 0
  for (const [name, field, flag] of knownFields) {
    const bytes = Buffer.from(name, 'latin1')
    nameBytes.set(bytes, offset)
    nameOffset[field] = offset
    nameLength[field] = bytes.length
    flags[field] = flag
    offset += bytes.length
    const hash = hashOf(bytes.length, bytes[0] as number, bytes[bytes.length - 1] as number)
    nextCandidate[field] = candidates[hash] as number
    candidates[hash] = field
  }
}

const meshWord = Buffer.from('mesh', 'latin1')
const certWord = Buffer.from('x-forwarded-client-cert', 'latin1')
const lengthWord = Buffer.from('content-length', 'latin1')
const codingWord = Buffer.from('transfer-encoding', 'latin1')

/** Number of the name at `buf[start, end)`, which holds token bytes only. */
export function fieldOf(buf: Buffer, start: number, end: number): Field {
  const length = end - start
  const first = (buf[start] as number) | 0x20
  const hash = hashOf(length, first, (buf[end - 1] as number) | 0x20)
  for (let field = candidates[hash] as number; field !== 0; field = nextCandidate[field] as number) {
    if (nameLength[field] !== length) continue
    const offset = nameOffset[field] as number
    let i = 0
    // Token bytes that differ in bit 5 only are letters of the other case, except `^` and `~`, which no listed name
    // holds
    while (i < length && ((buf[start + i] as number) | 0x20) === nameBytes[offset + i]) i++
    if (i === length) return field as Field
  }
  if (first === 0x78 && length > 6) return identityLookAlike(buf, start, length)
  const word = length === lengthWord.length ? lengthWord : length === codingWord.length ? codingWord : null
  return word !== null && looksLike(buf, start, word) ? Field.framingLookAlike : Field.other
}

/** Whether the name is `word` with any separators. */
function looksLike(buf: Buffer, start: number, word: Buffer): boolean {
  for (let i = 0; i < word.length; i++) {
    const byte = buf[start + i] as number
    const wanted = word[i]
    if (wanted === 0x2d ? alphanumericBytes[byte] === 1 : (byte | 0x20) !== wanted) return false
  }
  return true
}

/**
 * R36: backends that turn names into variables make one of `x-mesh-source`, `x_mesh_source` and, some of them,
 * `x.mesh.source`. Any separator counts.
 */
function identityLookAlike(buf: Buffer, start: number, length: number): Field {
  if (alphanumericBytes[buf[start + 1] as number] === 1) return Field.other
  let i = 0
  while (i < 4 && ((buf[start + 2 + i] as number) | 0x20) === meshWord[i]) i++
  if (i === 4 && alphanumericBytes[buf[start + 6] as number] === 0) return Field.xMeshOther
  return length === certWord.length && looksLike(buf, start, certWord) ? Field.xForwardedClientCert : Field.other
}

export const isHopByHop = (field: number): boolean => ((flags[field] as number) & hop) !== 0
export const isIdentity = (field: number): boolean => ((flags[field] as number) & identity) !== 0
export const isForbiddenInTrailers = (field: number): boolean => ((flags[field] as number) & headOnly) !== 0
/** Whether the field stays although Connection names it. */
export const isProtected = (field: number): boolean => ((flags[field] as number) & kept) !== 0
