/**
 * The leaves that the shapes of all resources share. Each says in words what it allows; its output is what the compiler
 * works with: durations in ms, percentages as shares, times and patterns checked.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import { parseServiceName } from '../../../../contracts/endpoint.ts'
import type { PresenceMatchSpec, StringMatchSpec } from '../../../../contracts/route-spec.ts'
import { badClaim, claimOf, claimPrefix } from './claim-name.ts'
import { headerNameProblem, headerValueProblem } from './header-rules.ts'
import { patternProblem } from './pattern.ts'

/** A value that `parse` accepts; `allowed` is the text of the error. */
export function leaf<T>(allowed: string, parse: (value: unknown) => T | undefined) {
  return z
    .unknown()
    .transform((value, context): T => {
      const parsed = parse(value)
      if (parsed !== undefined) return parsed
      context.issues.push({ code: 'custom', input: value, message: 'not allowed', params: { allowed } })
      return z.NEVER
    })
    .describe(allowed)
}

/** A value that `check` has no objection to; the objection is the text of the error. */
export function checked<T>(check: (value: unknown) => { value: T } | { problem: string }) {
  return z.unknown().transform((value, context): T => {
    const result = check(value)
    if ('value' in result) return result.value
    context.issues.push({ code: 'custom', input: value, message: result.problem })
    return z.NEVER
  })
}

/** A field of the original resource that this version does not implement: refused by name, never ignored. */
export function notImplemented(advice = '') {
  const message = `not implemented by this version${advice === '' ? '' : `; ${advice}`}`
  return z.custom<undefined>((value) => value === undefined, { error: message }).optional()
}

/** Fields whose every allowed value says what is done anyway: they are taken, and decide nothing. */
export const decidesNothing = new WeakSet<z.ZodType>()

/** A field of the original resource of which this version does only what these values say. */
export function asDoneAnyway(advice: string, ...values: readonly (string | boolean)[]) {
  const made = leaf(`${values.join(' or ')}; ${advice}`, (value) =>
    values.includes(value as string | boolean) ? (value as string | boolean) : undefined,
  ).optional()
  decidesNothing.add(made)
  return made
}

const durationUnits: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
}

/** As Istio writes them (Go's duration text): `1.5s`, `1h30m`, `250ms`. ms; undefined for anything else. */
export function parseDuration(text: unknown): number | undefined {
  if (typeof text !== 'string' || text.length > 40) return undefined
  const pattern = /(\d+(?:\.\d+)?|\.\d+)(h|ms|us|µs|ns|m|s)/y
  let total = 0
  let at = 0
  while (at < text.length) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) return undefined
    total += Number(match[1]) * durationUnits[match[2]!]!
    at = pattern.lastIndex
  }
  return at === 0 ? undefined : total
}

/** Longest accepted duration: timers of Node end at 2^31 ms, 24.8 days. */
const maxDurationMs = 24 * 86_400_000

export function duration(leastMs: 0 | 1 = 1) {
  const least = leastMs === 0 ? '0s' : '1ms'
  return leaf(`a duration from ${least} to 576h like 250ms, 10s or 1h30m`, (value) => {
    const ms = parseDuration(value)
    if (ms === undefined || ms > maxDurationMs || (ms < leastMs && !(ms === 0 && leastMs === 0))) return undefined
    return ms === 0 ? 0 : Math.max(1, Math.round(ms))
  })
}

export function integer(least: number, most: number) {
  return leaf(`a whole number from ${least} to ${most}`, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : undefined,
  )
}

export function port() {
  return integer(1, 65_535)
}

export function flag() {
  return leaf('true or false', (value) => (typeof value === 'boolean' ? value : undefined))
}

/** 0..100 to a share. */
export function percentNumber() {
  return leaf('a number from 0 to 100', (value) =>
    typeof value === 'number' && value >= 0 && value <= 100 ? value / 100 : undefined,
  )
}

/** Istio's `{ value: 12.5 }`. */
export function percent() {
  return z.strictObject({ value: percentNumber() }).transform((percentage) => percentage.value)
}

export function text(least: number, most: number) {
  return leaf(`text of ${least} to ${most} characters`, (value) =>
    typeof value === 'string' && value.length >= least && value.length <= most ? value : undefined,
  )
}

export function oneOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words)
}

export function nonEmptyList<T extends z.ZodType>(item: T, most = 1000) {
  return z.array(item).min(1).max(most)
}

export function list<T extends z.ZodType>(item: T, most = 1000) {
  return z.array(item).max(most)
}

/** Label names to values; YAML numbers and booleans have to be quoted, as Kubernetes demands. */
export function labels() {
  return z.record(text(1, 256), text(0, 256)).refine((map) => Object.keys(map).length > 0, {
    error: 'an empty map, allowed at least one label',
  })
}

export function networks() {
  return nonEmptyList(
    leaf('a network like 10.0.0.0/8, or an address', (value) => {
      if (typeof value !== 'string') return undefined
      const [address = '', bits, ...rest] = value.split('/')
      const widest = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
      const isGood = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest)
      return widest > 0 && isGood && rest.length === 0 ? value : undefined
    }),
  )
}

/** A host that leads to one service. */
export function serviceHost() {
  return leaf('a host like orders, orders.GROUP, GROUP@@orders or namespace/GROUP@@orders', (value) =>
    typeof value === 'string' && isServiceHost(value) ? value : undefined,
  )
}

/** The same, or `*.suffix`, or `*`. */
export function hostOrWildcard() {
  return leaf('a host like orders, GROUP@@orders, namespace/GROUP@@orders, *.example.com or *', (value) => {
    if (typeof value !== 'string') return undefined
    const isWildcard = value.length <= 256 && /^\*(?:\.[A-Za-z0-9_-]+)*$/.test(value)
    return isWildcard || isServiceHost(value) ? value : undefined
  })
}

/** Istio's visibility: `.` = callers of the rule's own namespace, `*` = all, or namespaces by name. */
export function exportTo() {
  return list(
    leaf('".", "*" or a namespace; "~" would export to nobody', (value) =>
      typeof value === 'string' && /^(?:\.|\*|[A-Za-z0-9-][A-Za-z0-9._-]{0,252})$/.test(value) ? value : undefined,
    ),
    100,
  ).optional()
}

/** 0..100 to a share; the older, whole-number form of a percentage. */
export function integerPercent() {
  return leaf('a whole number from 0 to 100', (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 100 ? value / 100 : undefined,
  )
}

function isServiceHost(value: string): boolean {
  const isShort = value.length <= 512 && value !== '.' && !value.startsWith('.')
  return isShort && parseServiceName(value.endsWith('.') ? value.slice(0, -1) : value) !== undefined
}

/** `*` is what older documents write for "anything". */
export function regex() {
  return checked((value) => {
    if (value === '*') return { value: '.*' }
    if (typeof value !== 'string') return { problem: 'found no text, allowed a regular expression in RE2 syntax' }
    const problem = patternProblem(value)
    return problem === undefined ? { value } : { problem }
  })
}

/** As `regex` reads `*`. */
const anything = '.*'

const matchFields = () => ({
  exact: text(0, 8192).optional(),
  prefix: text(1, 8192).optional(),
  regex: regex().optional(),
})

/** Istio's StringMatch: exactly one of exact, prefix, regex. */
export function stringMatch() {
  return z.strictObject(matchFields()).transform((match, context): StringMatchSpec => {
    if (Object.keys(match).length === 1) {
      if (match.exact !== undefined) return { exact: match.exact }
      if (match.prefix !== undefined) return { prefix: match.prefix }
      if (match.regex !== undefined) return { regex: match.regex }
    }
    context.issues.push({ code: 'custom', input: match, message: oneMatchOnly(match) })
    return z.NEVER
  })
}

/** A StringMatch, or `{}` for "is there". */
export function presenceMatch() {
  return z.strictObject(matchFields()).transform((match, context): PresenceMatchSpec => {
    if (match.exact !== undefined && Object.keys(match).length === 1) return { exact: match.exact }
    if (match.prefix !== undefined && Object.keys(match).length === 1) return { prefix: match.prefix }
    if (match.regex !== undefined && Object.keys(match).length === 1) {
      return match.regex === anything ? { present: true } : { regex: match.regex }
    }
    if (Object.keys(match).length === 0) return { present: true }
    context.issues.push({ code: 'custom', input: match, message: oneMatchOnly(match) })
    return z.NEVER
  })
}

function oneMatchOnly(match: object): string {
  return `found ${Object.keys(match).length} of exact, prefix, regex, allowed exactly one`
}

/** Header names to values. Names have no case: two spellings of one name would silently become one. */
export function headerMap<K extends z.ZodType<string>, V extends z.ZodType>(name: K, value: V) {
  return z.unknown().superRefine(namesAreUnique).pipe(z.record(name, value))
}

function namesAreUnique(map: unknown, context: { addIssue(issue: string): void }): void {
  if (typeof map !== 'object' || map === null) return
  const seen = new Set<string>()
  for (const name of Object.keys(map)) {
    const lower = name.toLowerCase() === ':authority' ? 'host' : name.toLowerCase()
    if (seen.has(lower)) context.addIssue(`${lower} is given twice; names of headers have no case`)
    seen.add(lower)
  }
}

/** Name of a field that a rule matches on; lower case afterwards. */
export function matchedHeaderName() {
  return checked(matchedHeader)
}

/** The same, or a claim in Istio's form, `@request.auth.claims.NAME` or `@request.auth.claims[NAME]`, left as it is. */
export function matchedFieldName() {
  return checked((value) => {
    if (typeof value !== 'string' || !value.startsWith(claimPrefix)) return matchedHeader(value)
    return claimOf(value) === undefined ? { problem: badClaim } : { value }
  })
}

function matchedHeader(value: unknown): { value: string } | { problem: string } {
  if (typeof value === 'string' && value.startsWith(claimPrefix))
    return { problem: 'claims are matched by a VirtualService, and judged by an AuthorizationPolicy' }
  if (typeof value !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(value)) {
    return { problem: 'not a header name' }
  }
  const name = value.toLowerCase()
  const field = { uri: 'uri', scheme: 'scheme', method: 'method', authority: 'authority', host: 'authority' }[name]
  return field === undefined ? { value: name } : { problem: `not a header here; use the field ${field} of the match` }
}

function editedHeaders(isRequest: boolean) {
  const named = (mayBeHost: boolean) =>
    checked((value) => {
      if (mayBeHost && isHostName(value)) return { value: 'host' }
      const problem = headerNameProblem(value)
      return problem === undefined ? { value: String(value).toLowerCase() } : { problem }
    })
  const name = named(false)
  const value = checked((found) => {
    const problem = headerValueProblem(found)
    return problem === undefined ? { value: String(found) } : { problem }
  })
  const map = headerMap(name, value).transform((edits) => Object.entries(edits))
  const set = headerMap(named(isRequest), value)
    .transform((edits) => Object.entries(edits))
    .superRefine((edits, context) => {
      for (const [field, host] of edits) {
        if (field === 'host' && !isAuthority(host))
          context.addIssue(`host: found ${JSON.stringify(host)}, allowed a host name`)
      }
    })
  return z
    .strictObject({ set: set.optional(), add: map.optional(), remove: list(name).optional() })
    .transform((edits) => ({ set: edits.set ?? [], add: edits.add ?? [], remove: edits.remove ?? [] }))
}

function isHostName(value: unknown): boolean {
  return typeof value === 'string' && /^(?:host|:authority)$/i.test(value)
}

export function isAuthority(value: unknown): value is string {
  return typeof value === 'string' && /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~-]{1,255})(?::\d{1,5})?$/.test(value)
}

/** Istio's Headers: edits for the request and for the response. */
export function headerEdits() {
  return z.strictObject({ request: editedHeaders(true).optional(), response: editedHeaders(false).optional() })
}
