/**
 * What an answer says about a name, aliases followed. Sources: RFC 1034 section 3.6.2, RFC 2308 (how long a denial
 * counts), RFC 2782 (SRV).
 */
import { isIP } from 'node:net'
import type { Answer } from 'dns-packet'
import type { DnsAnswer, RecordType } from './dns-client.ts'

export interface SrvTarget {
  readonly host: string
  readonly port: number
  /** Lower ones come first. */
  readonly priority: number
  readonly weight: number
}

export interface Said<T> {
  /** Empty = there is none. */
  readonly values: readonly T[]
  /** How long it may be used: the shortest of all records that it rests on. */
  readonly ttlMs: number
  /** The name is another one's, about which this answer says nothing. */
  readonly alias: string | undefined
}

/** A denial without a word on how long it counts. */
const denialMs = 30_000
const maxAliases = 16

/** Addresses of `name`, as texts. */
export function addressesIn(packet: DnsAnswer, name: string, type: 'A' | 'AAAA'): Said<string> {
  return read(packet, name, type, ({ data }) => (typeof data === 'string' && isIP(data) !== 0 ? data : undefined))
}

/** A target `.` says that there is no such service: it is none. */
export function targetsIn(packet: DnsAnswer, name: string): Said<SrvTarget> {
  return read(packet, name, 'SRV', ({ data }) => {
    const { target, port, priority, weight } = data as {
      target: string
      port: number
      priority?: number
      weight?: number
    }
    if (target === '.' || target === '' || port < 1) return undefined
    return { host: target.toLowerCase(), port, priority: priority ?? 0, weight: weight ?? 0 }
  })
}

/** Addresses of these families that came along for names which the answer names, by name. */
export function addressesBeside(
  packet: DnsAnswer,
  families: readonly ('A' | 'AAAA')[],
): ReadonlyMap<string, Pick<Said<string>, 'values' | 'ttlMs'>> {
  const byName = new Map<string, { readonly values: string[]; ttlMs: number }>()
  for (const record of packet.additionals ?? []) {
    const { type, name, data } = record as { type: string; name: string; data?: unknown }
    if (!(families as readonly string[]).includes(type) || typeof data !== 'string' || isIP(data) === 0) continue
    const said = byName.get(plain(name)) ?? { values: [], ttlMs: Infinity }
    said.values.push(data)
    said.ttlMs = Math.min(said.ttlMs, ttlOf(record) * 1000)
    byName.set(plain(name), said)
  }
  return byName
}

function read<T>(
  packet: DnsAnswer,
  name: string,
  type: RecordType,
  valueOf: (answer: { data: unknown }) => T | undefined,
): Said<T> {
  const answers = packet.answers ?? []
  const asked = plain(name)
  let owner = asked
  let ttl = Infinity
  for (let aliases = 0; aliases <= maxAliases; aliases++) {
    const own = answers.filter((one) => plain(one.name) === owner)
    const records = own.filter((one) => one.type === type)
    if (records.length > 0) {
      const values = records.flatMap((one) => valueOf(one as { data: unknown }) ?? [])
      return { values, ttlMs: Math.min(ttl, ...records.map(ttlOf)) * 1000, alias: undefined }
    }
    const alias = own.find((one) => one.type === 'CNAME')
    if (alias === undefined) break
    ttl = Math.min(ttl, ttlOf(alias))
    owner = plain((alias as unknown as { data: string }).data)
  }
  const ttlMs = Math.min(ttl * 1000, denialOf(packet))
  return { values: [], ttlMs, alias: owner === asked || packet.rcode === 'NXDOMAIN' ? undefined : owner }
}

function denialOf(packet: DnsAnswer): number {
  for (const one of packet.authorities ?? [])
    if (one.type === 'SOA') return Math.min(ttlOf(one), one.data.minimum ?? denialMs / 1000) * 1000
  return denialMs
}

/** Seconds; a value with the highest bit set counts as none (RFC 2181 section 8). */
function ttlOf(answer: Answer): number {
  const { ttl = 0 } = answer as { ttl?: number }
  return ttl > 0x7fff_ffff ? 0 : ttl
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
