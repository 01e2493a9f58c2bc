/**
 * `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`: its question and its answer (Envoy's rls.proto and
 * ratelimit.proto), written and read by hand.
 */
import { createHash } from 'node:crypto'
import { readHeaderValue } from './envoy-header-value.ts'
import { protoBytes, protoFields, protoMessage, protoNumber, protoNumberIn } from './proto-fields.ts'

export const shouldRateLimitPath = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'

/** In the head of an answer of a center: how many hosts asked about the domain of late. */
export const rateLimitHostsField = 'hostmesh-ratelimit-hosts'
/** In the head of a question: the name of the host that asks. */
export const rateLimitHostField = 'hostmesh-host'

export interface DescriptorEntry {
  readonly key: string
  readonly value: string
}

export interface RateLimitDescriptor {
  readonly entries: readonly DescriptorEntry[]
  /** In place of the question's; absent = that one. */
  readonly hitsAddend?: number
}

export interface RateLimitQuestion {
  readonly domain: string
  readonly descriptors: readonly RateLimitDescriptor[]
  /** From 1 on. */
  readonly hitsAddend: number
}

export const limitUnits = ['second', 'minute', 'hour', 'day', 'month', 'year', 'week'] as const
export type LimitUnit = (typeof limitUnits)[number]
/** A month has 30 days, a year 365. */
export const unitMs: Readonly<Record<LimitUnit, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000,
}

export interface NamedLimit {
  readonly requestsPerUnit: number
  readonly unit: LimitUnit
  /** '' = none. */
  readonly name: string
}

export type LimitCode = 'unknown' | 'ok' | 'over-limit'

export interface DescriptorStatus {
  readonly code: LimitCode
  /** undefined: none is known for the descriptor. */
  readonly limit: NamedLimit | undefined
  readonly remaining: number
  /** Ms until its window begins anew, from 0 on and at most its unit, or a day where no limit is said. */
  readonly resetMs: number
}

export interface RateLimitAnswer {
  readonly code: LimitCode
  /** One for each descriptor. */
  readonly statuses: readonly DescriptorStatus[]
  /** For the caller, with the reply. */
  readonly responseFields: readonly (readonly [name: string, value: string])[]
  readonly requestFields: readonly (readonly [name: string, value: string])[]
  /** Of the refusal. */
  readonly rawBody: Buffer
}

const codes: readonly LimitCode[] = ['unknown', 'ok', 'over-limit']
const noBytes = Buffer.alloc(0)
const maxUint32 = 0xff_ff_ff_ff

export function encodeQuestion({ descriptors, domain, hitsAddend }: RateLimitQuestion): Buffer {
  return Buffer.concat([
    protoBytes(1, domain),
    ...descriptors.map(({ entries, hitsAddend: own }) =>
      protoMessage(2, [
        ...entries.map(({ key, value }) => protoMessage(1, [protoBytes(1, key), protoBytes(2, value)])),
        ...(own === undefined ? [] : [protoMessage(3, [protoNumber(1, own)])]),
      ]),
    ),
    protoNumber(3, hitsAddend),
  ])
}

/** Throws a RangeError for what is none. */
export function decodeQuestion(bytes: Buffer): RateLimitQuestion {
  let domain = ''
  let hits = 0
  const descriptors: RateLimitDescriptor[] = []
  for (const field of protoFields(bytes)) {
    if (field.number === 1) domain = textOf(field.bytes)
    if (field.number === 2) descriptors.push(decodeDescriptor(field.bytes))
    if (field.number === 3) hits = Math.min(field.value, maxUint32)
  }
  return { domain, descriptors, hitsAddend: Math.max(1, hits) }
}

function decodeDescriptor(bytes: Buffer): RateLimitDescriptor {
  const entries: DescriptorEntry[] = []
  let hitsAddend: number | undefined
  for (const field of protoFields(bytes)) {
    if (field.number === 1) {
      let key = ''
      let value = ''
      for (const part of protoFields(field.bytes)) {
        if (part.number === 1) key = textOf(part.bytes)
        if (part.number === 2) value = textOf(part.bytes)
      }
      entries.push({ key, value })
    }
    if (field.number === 3) hitsAddend = Math.min(protoNumberIn(field.bytes, 1), maxUint32)
  }
  return hitsAddend === undefined ? { entries } : { entries, hitsAddend }
}

export function encodeAnswer({ code, statuses }: Pick<RateLimitAnswer, 'code' | 'statuses'>): Buffer {
  return Buffer.concat([
    protoNumber(1, codes.indexOf(code)),
    ...statuses.map((one) => protoMessage(2, statusParts(one))),
  ])
}

function statusParts({ code, limit, remaining, resetMs }: DescriptorStatus): Buffer[] {
  const duration = [protoNumber(1, Math.floor(resetMs / 1000)), protoNumber(2, Math.floor(resetMs % 1000) * 1_000_000)]
  const said =
    limit === undefined
      ? []
      : [
          protoMessage(2, [
            protoNumber(1, limit.requestsPerUnit),
            protoNumber(2, limitUnits.indexOf(limit.unit) + 1),
            ...(limit.name === '' ? [] : [protoBytes(3, limit.name)]),
          ]),
        ]
  return [
    protoNumber(1, codes.indexOf(code)),
    ...said,
    protoNumber(3, Math.min(remaining, maxUint32)),
    ...(limit === undefined ? [] : [protoMessage(4, duration)]),
  ]
}

/** Throws a RangeError for what is none. */
export function decodeAnswer(bytes: Buffer): RateLimitAnswer {
  let code: LimitCode = 'unknown'
  const statuses: DescriptorStatus[] = []
  const responseFields: (readonly [string, string])[] = []
  const requestFields: (readonly [string, string])[] = []
  let rawBody: Buffer = noBytes
  for (const field of protoFields(bytes)) {
    if (field.number === 1) code = codes[field.value] ?? 'unknown'
    if (field.number === 2) statuses.push(decodeStatus(field.bytes))
    if (field.number === 3) responseFields.push(readHeaderValue(field.bytes))
    if (field.number === 4) requestFields.push(readHeaderValue(field.bytes))
    if (field.number === 5) rawBody = field.bytes
  }
  return { code, statuses, responseFields, requestFields, rawBody }
}

function decodeStatus(bytes: Buffer): DescriptorStatus {
  let code: LimitCode = 'unknown'
  let limit: NamedLimit | undefined
  let remaining = 0
  let resetMs = 0
  for (const field of protoFields(bytes)) {
    if (field.number === 1) code = codes[field.value] ?? 'unknown'
    if (field.number === 2) limit = decodeLimit(field.bytes)
    if (field.number === 3) remaining = Math.min(field.value, maxUint32)
    if (field.number === 4)
      resetMs = protoNumberIn(field.bytes, 1) * 1000 + Math.floor(protoNumberIn(field.bytes, 2) / 1_000_000)
  }
  // a negative number is a very large one here: what is beyond the window is no time to believe
  const most = limit === undefined ? unitMs.day : unitMs[limit.unit]
  return { code, limit, remaining, resetMs: Math.min(resetMs, most) }
}

/** undefined where its unit is not known. */
function decodeLimit(bytes: Buffer): NamedLimit | undefined {
  let requestsPerUnit = 0
  let unit: LimitUnit | undefined
  let name = ''
  for (const field of protoFields(bytes)) {
    if (field.number === 1) requestsPerUnit = Math.min(field.value, maxUint32)
    if (field.number === 2) unit = limitUnits[field.value - 1]
    if (field.number === 3) name = textOf(field.bytes)
  }
  return unit === undefined ? undefined : { requestsPerUnit, unit, name }
}

/** Longer keys of counters and values of entries are told by their hash: who sends a request chooses their length. */
const maxKeyLength = 256

export function boundedKey(text: string): string {
  return text.length <= maxKeyLength ? text : `sha256-${createHash('sha256').update(text).digest('base64url')}`
}

/** Of the entries of a descriptor: the same for the same entries, and no other. */
export function descriptorKey(entries: readonly DescriptorEntry[]): string {
  return boundedKey(JSON.stringify(entries.map(({ key, value }) => [key, value])))
}

function textOf(bytes: Buffer): string {
  return bytes.toString('utf8')
}
