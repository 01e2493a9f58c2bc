/**
 * The leaves of the configuration schema. Each says in words what it allows, so that an error, the documentation and
 * the parser cannot disagree. A leaf takes the plain YAML value and answers the value that the code works with
 * (durations in ms, sizes in bytes), or undefined when it is not allowed.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import { parseLogFormat } from '../../../contracts/access-log-format.ts'
import { metadataBounds, parseServiceName } from '../../../contracts/endpoint.ts'
import { rpcNamePattern, rpcProtocols } from '../../../contracts/protocols.ts'
import type { AppProtocol, RpcProtocol } from '../../../contracts/protocols.ts'
import { isPathSegment, isTrustDomain } from '../../../contracts/spiffe-id.ts'

// A compiled checker per schema pays only for many documents; a start checks one. Before the first schema, because
// schemas look at it when they are made.
z.config({ jitless: true })

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface PortRange {
  readonly first: number
  readonly last: number
}

/** A value of its own: what is allowed in words, and how it is read; undefined = not allowed. */
export function leaf<T>(allowed: string, parse: (value: unknown) => T | undefined, words?: readonly string[]) {
  return z
    .unknown()
    .transform((value, context): T => {
      const parsed = parse(value)
      if (parsed !== undefined) return parsed
      context.issues.push({ code: 'custom', input: value, message: 'not allowed', params: { allowed, words } })
      return z.NEVER
    })
    .meta({ allowed })
}

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * `250ms`, `5s`, `1.5m`, `2h`, `1d` to milliseconds; undefined for anything else, and for a bare number, whose unit
 * nobody could know.
 */
export function parseDuration(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text.trim())
  if (match === null) return undefined
  return Math.round(Number(match[1]) * durationUnits[match[2]!]!)
}

const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** `512B`, `64KiB`, `256MiB`, `1GiB` or a whole number of bytes. */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(value.trim())
  return match === null ? undefined : Number(match[1]) * sizeUnits[match[2]!]!
}

/** `10.0.0.1:80`, `[::1]:80` or `name:80`; names only where `names` is set. */
export function parseHostPort(value: unknown, names: boolean): HostPort | undefined {
  if (typeof value !== 'string') return undefined
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(value)
  if (match === null) return undefined
  const port = Number(match[3])
  const host = match[1] ?? match[2]!
  if (!isPortNumber(port)) return undefined
  if (match[1] !== undefined) return isIP(host) === 6 ? { host, port } : undefined
  if (isIP(host) === 4) return { host, port }
  return names && /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/.test(host) && !/^[\d.]+$/.test(host)
    ? { host, port }
    : undefined
}

export function formatHostPort(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

function isPortNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535
}

export function parsePortRange(value: unknown): PortRange | undefined {
  if (typeof value !== 'string') return undefined
  const match = /^(\d{1,5})\s*-\s*(\d{1,5})$/.exec(value.trim())
  if (match === null) return undefined
  const [first, last] = [Number(match[1]), Number(match[2])]
  return isPortNumber(first) && isPortNumber(last) && first <= last ? { first, last } : undefined
}

function parseCidr(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const slash = value.indexOf('/')
  const address = slash < 0 ? value : value.slice(0, slash)
  const family = isIP(address)
  if (family === 0) return undefined
  const widest = family === 4 ? 32 : 128
  if (slash < 0) return `${address}/${widest}`
  const bits = value.slice(slash + 1)
  return /^\d{1,3}$/.test(bits) && Number(bits) <= widest ? value : undefined
}

/** A duration between two bounds, given in the same notation. */
export function duration(least: string, most: string) {
  const [from, to] = [parseDuration(least)!, parseDuration(most)!]
  return leaf(`a time with unit from ${least} to ${most}, like 500ms, 30s, 5m`, (value) => {
    const ms = parseDuration(value)
    return ms !== undefined && ms >= from && ms <= to ? ms : undefined
  })
}

export function size(least: string, most: string) {
  const [from, to] = [parseSize(least)!, parseSize(most)!]
  return leaf(`a size from ${least} to ${most}, like 64KiB, 16MiB, or a number of bytes`, (value) => {
    const bytes = parseSize(value)
    return bytes !== undefined && bytes >= from && bytes <= to ? bytes : undefined
  })
}

export function integer(least: number, most: number) {
  return leaf(`a whole number from ${least} to ${most}`, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : undefined,
  )
}

export function share() {
  return leaf('a number from 0 to 1', (value) =>
    typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined,
  )
}

export function flag() {
  return leaf('true or false', (value) => (typeof value === 'boolean' ? value : undefined))
}

export function port() {
  return leaf('a port number from 1 to 65535', (value) => (isPortNumber(value) ? value : undefined))
}

export function portRange() {
  return leaf('a range of ports like 20000-20999', parsePortRange)
}

export function localAddress() {
  return leaf('an IPv4 or IPv6 address', (value) => (typeof value === 'string' && isIP(value) > 0 ? value : undefined))
}

/** Where we listen: a literal address, so that no name look-up stands before a bind. */
export function listenAddress() {
  return leaf('address:port like 127.0.0.1:15000 or [::1]:15000', (value) => parseHostPort(value, false))
}

/** The same, or `off`. */
export function optionalListenAddress() {
  return leaf('address:port like 127.0.0.1:15000 or [::1]:15000, or off', (value) =>
    value === 'off' || value === false ? ('off' as const) : parseHostPort(value, false),
  )
}

export function remoteAddress() {
  return leaf('host:port like 10.0.0.2:8848 or nacos.example.com:8848', (value) => parseHostPort(value, true))
}

export function cidr() {
  return leaf('a network like 10.0.0.0/8, or an address', parseCidr)
}

/** Where a collector listens: scheme, host and port; a path is allowed, nothing behind it. */
export function collectorUrl() {
  return leaf('a URL like http://127.0.0.1:4318 or https://collector.example.com', (value) => {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined
    const { hash, password, protocol, search, username } = new URL(value)
    const isPlain = hash === '' && search === '' && username === '' && password === ''
    return isPlain && (protocol === 'http:' || protocol === 'https:') ? value : undefined
  })
}

/**
 * `orders`, `GROUP@@orders` or `namespace/GROUP@@orders`, kept as written: what is missing comes from the first Nacos
 * registry (`resolve.ts`).
 */
export function serviceName() {
  return leaf('orders, GROUP@@orders or namespace/GROUP@@orders, of letters, digits and . _ : $ -', (value) =>
    typeof value === 'string' && parseServiceName(value) !== undefined ? value : undefined,
  )
}

/** A name of ours (host, registry): it goes into logs, metrics and TLVs. */
export function plainName(what: string) {
  return leaf(`${what} of 1 to 128 letters, digits and . _ -`, (value) =>
    typeof value === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(value) ? value : undefined,
  )
}

/** Short text without control characters; empty where `least` is 0. */
export function text(least: number, most: number) {
  return leaf(`text of ${least} to ${most} characters`, (value) =>
    typeof value === 'string' && value.length >= least && value.length <= most && !hasControlCharacter(value)
      ? value
      : undefined,
  )
}

/** Of a line of the access log. Formats that were written for Envoy end their line, and some have tabs in it. */
export function logFormat() {
  const line = leaf('one line of 1 to 4096 characters, with tabs and a line end behind it where wanted', (value) => {
    if (typeof value !== 'string') return undefined
    const format = value.replace(/\r?\n$/, '')
    const isGood = format.length > 0 && format.length <= 4096 && !hasControlCharacter(format.replaceAll('\t', ''))
    return isGood ? format : undefined
  })
  return line.superRefine((format, context) => {
    const parsed = parseLogFormat(format)
    if (typeof parsed === 'string') context.addIssue(parsed)
  })
}

/** A path in the file system; a relative one is taken from the folder of the file that names it. */
export function path() {
  return leaf('a path', (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= 4096 && !hasControlCharacter(value)
      ? value
      : undefined,
  )
}

export function httpPath() {
  return leaf('an HTTP path that begins with /', (value) =>
    typeof value === 'string' && /^\/[\x21-\x7e]{0,2047}$/.test(value) ? value : undefined,
  )
}

/** `0660`: an octal text. Answers the number. */
export function fileMode() {
  return leaf('an octal file mode from 0000 to 0777, as text', (value) =>
    typeof value === 'string' && /^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : undefined,
  )
}

/** The user that a local application runs as: a name of /etc/passwd or a number. */
export function userName() {
  return leaf('a user name or a user id', (value) => {
    if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : undefined
    return typeof value === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$/.test(value) ? value : undefined
  })
}

/**
 * Names to short texts, within the bounds of the metadata of an instance.
 */
export function textMap() {
  return leaf(
    `names with text values, at most ${metadataBounds.entries} and ${metadataBounds.bytes / 1024} KiB in all`,
    (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
      const entries: [string, string][] = []
      let bytes = 0
      for (const [key, one] of Object.entries(value)) {
        if (!/^[A-Za-z0-9._/-]{1,128}$/.test(key)) return undefined
        if (typeof one !== 'string' && typeof one !== 'number' && typeof one !== 'boolean') return undefined
        const plain = String(one)
        if (hasControlCharacter(plain)) return undefined
        bytes += key.length + Buffer.byteLength(plain)
        entries.push([key, plain])
      }
      return entries.length <= metadataBounds.entries && bytes <= metadataBounds.bytes
        ? (Object.fromEntries(entries) as Readonly<Record<string, string>>)
        : undefined
    },
  )
}

/** Of a rule: `metadata.namespace`. */
export function ruleNamespace() {
  return leaf('a namespace of 1 to 253 letters, digits and . _ -', (value) =>
    typeof value === 'string' && /^[A-Za-z0-9._-]{1,253}$/.test(value) ? value : undefined,
  )
}

/** Labels with dots between them; lower case afterwards. */
export function hostDomain() {
  return leaf('a domain like cluster.local', (value) =>
    typeof value === 'string' && /^[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,9}$/.test(value)
      ? value.toLowerCase()
      : undefined,
  )
}

/** First part of a SPIFFE id. */
export function trustDomain() {
  return leaf('1 to 255 lower-case letters, digits and . _ -', (value) =>
    typeof value === 'string' && isTrustDomain(value) ? value : undefined,
  )
}

/** A namespace or an account in a SPIFFE id. */
export function identityPart() {
  return leaf('1 to 255 letters, digits and . _ -, neither . nor ..', (value) =>
    typeof value === 'string' && isPathSegment(value) ? value : undefined,
  )
}

/** Names to `namespace/GROUP`. */
export function placeMap() {
  const part = /^[A-Za-z0-9._:$-]{1,512}$/
  return leaf('a map of names to namespace/GROUP', (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value as Record<string, unknown>).map(([name, place]) => {
      const [namespace = '', group = '', ...rest] = typeof place === 'string' ? place.split('/') : []
      const isGood = [name, namespace, group].every((one) => part.test(one)) && rest.length === 0
      return isGood ? ([name, { namespace, group }] as const) : undefined
    })
    const good = entries.filter((entry) => entry !== undefined)
    return good.length === entries.length ? Object.fromEntries(good) : undefined
  })
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words).meta({ allowed: words.join(', ') })
}

const carriedAs: Readonly<Record<string, AppProtocol>> = {
  http: 'http',
  websocket: 'http',
  http2: 'http2',
  grpc: 'grpc',
  tcp: 'tcp',
  udp: 'udp',
  ...Object.fromEntries(rpcProtocols.map((name) => [name, name])),
}

export const protocolWords = Object.keys(carriedAs)

/** A protocol as operators call it, to what it is carried as: messages of HTTP with their upgrades, or connections. */
export function appProtocol() {
  const parse = (value: unknown): AppProtocol | undefined =>
    typeof value === 'string' ? (carriedAs[value] ?? described(value)) : undefined
  return leaf(`${protocolWords.join(', ')}, or a name of rpcProtocols`, parse, protocolWords)
}

/** Which there are is checked beside the whole configuration (`protocolProblem`). */
function described(name: string): RpcProtocol | undefined {
  return rpcNamePattern.test(name) ? (name as RpcProtocol) : undefined
}

/** What a described private RPC is called. */
export function rpcName() {
  const allowed = 'a name of 1 to 32 characters a-z 0-9 - that begins with a letter'
  return leaf(allowed, (value) => (typeof value === 'string' && rpcNamePattern.test(value) ? value : undefined))
}

/** Bytes as hexadecimal digits. YAML reads bare digits as a number, which is none. */
export function hexBytes(least: number, most: number) {
  return leaf(`${least} to ${most} bytes as hexadecimal digits in quotes, like "4d53"`, (value) => {
    const isHex = typeof value === 'string' && /^(?:[0-9a-f]{2})+$/i.test(value)
    return isHex && value.length >= least * 2 && value.length <= most * 2 ? value.toLowerCase() : undefined
  })
}

const isWhole = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 4_294_967_295

export function wholeNumbers() {
  return leaf('a list of 1 to 64 whole numbers from 0 to 4294967295', (value) =>
    Array.isArray(value) && value.length > 0 && value.length <= 64 && value.every(isWhole) ? value : undefined,
  )
}

/** Numbers of a protocol to statuses of HTTP. */
export function statusMap() {
  return leaf('a map of at most 64 numbers to 400 to 599', (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value as Record<string, unknown>)
    const isGood = entries.every(([key, status]) => {
      return isWhole(Number(key)) && /^\d+$/.test(key) && isWhole(status) && status >= 400 && status < 600
    })
    return isGood && entries.length <= 64 ? (Object.fromEntries(entries) as Record<string, number>) : undefined
  })
}

/** A private RPC. Which there are is checked beside the whole configuration. */
export function rpcProtocol() {
  const parse = (value: unknown) => (typeof value === 'string' ? described(value) : undefined)
  return leaf('the name of a private RPC, like bolt', parse)
}

/** What is spoken at a shared unix socket: HTTP, or what `rpcProtocol` takes. */
export function socketProtocol() {
  const parse = (value: unknown) => {
    if (value === 'http') return value
    return typeof value === 'string' ? described(value) : undefined
  }
  return leaf('http, or the name of a private RPC, like bolt', parse)
}

/** `auto` or a whole number. */
export function autoOr(least: number, most: number) {
  return leaf(`auto, or a whole number from ${least} to ${most}`, (value) => {
    if (value === 'auto') return 'auto' as const
    return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : undefined
  })
}

function hasControlCharacter(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}
