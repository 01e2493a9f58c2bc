/**
 * One `match` of an HTTP route, as an ordered list of conditions. `test` asks whether all hold, `describeMiss` names
 * the first that does not: both walk the same list, so that what is explained is what was decided.
 */
import type {
  ClaimMatchSpec,
  HttpMatchSpec,
  PresenceMatchSpec,
  StringMatchSpec,
} from '../../../contracts/route-spec.ts'
import { readableText } from '../../../contracts/wire-text.ts'
import { claimTexts, type VerifiedToken } from './verified-token.ts'
import { queryParameter } from './query.ts'
import { fieldMatcher, lowerCased, stringMatcher } from './string-match.ts'
import type { StringMatcher } from './string-match.ts'
import type { RequestView } from './types.ts'

export interface Condition {
  /** `token`: of the caller's user, where it was verified. */
  test(view: RequestView, token: VerifiedToken | null): boolean
  /** Found against wanted. */
  describeMiss(view: RequestView, token: VerifiedToken | null): string
}

export interface HttpMatch {
  /** Label from the rule, or its place: `match[0]`. */
  readonly name: string
  readonly spec: HttpMatchSpec
  /** Decided by the path table where it is a case-sensitive exact or prefix; then not part of `conditions`. */
  readonly uri: Condition | null
  readonly conditions: readonly Condition[]
}

/** Cheap conditions first; the order is part of what `/explain` shows. */
export function compileHttpMatch(spec: HttpMatchSpec, index: number): HttpMatch {
  const conditions: Condition[] = []
  if (spec.method !== undefined) {
    conditions.push(textCondition('method', stringMatcher(spec.method), (view) => view.method))
  }
  if (spec.port !== undefined) conditions.push(portCondition(spec.port))
  if (spec.namedPorts !== undefined) conditions.push(namedPortsCondition(spec.namedPorts))
  if (spec.sourceNamespace !== undefined) conditions.push(sourceNamespaceCondition(spec.sourceNamespace))
  for (const [label, value] of Object.entries(spec.sourceLabels ?? {})) conditions.push(labelCondition(label, value))
  if (spec.scheme !== undefined)
    conditions.push(textCondition('scheme', stringMatcher(spec.scheme), (view) => view.scheme))
  if (spec.authority !== undefined) {
    const matcher = stringMatcher(lowerCased(spec.authority))
    conditions.push(textCondition('authority', matcher, (view) => view.authority))
  }
  for (const [name, wanted] of Object.entries(spec.headers ?? {})) {
    conditions.push(textCondition(`header ${name}`, fieldMatcher(wanted), (view) => view.headerValues(name)))
  }
  for (const [name, unwanted] of Object.entries(spec.withoutHeaders ?? {})) {
    conditions.push(absenceCondition(name, unwanted))
  }
  for (const [name, wanted] of Object.entries(spec.queryParams ?? {})) {
    const matcher = stringMatcher(wanted)
    conditions.push(textCondition(`query parameter ${name}`, matcher, (view) => queryParameter(view.query, name)))
  }
  for (const claim of spec.claims ?? []) conditions.push(claimCondition(claim))
  const uri = spec.uri === undefined ? null : uriCondition(spec.uri, spec.ignoreUriCase === true)
  return { name: spec.name ?? `match[${index}]`, spec, uri, conditions }
}

export function matchesAll(match: HttpMatch, view: RequestView, token: VerifiedToken | null = null): boolean {
  return (match.uri === null || match.uri.test(view, token)) && conditionsHold(match.conditions, view, token)
}

export function conditionsHold(
  conditions: readonly Condition[],
  view: RequestView,
  token: VerifiedToken | null,
): boolean {
  for (let i = 0; i < conditions.length; i++) {
    if (!conditions[i]!.test(view, token)) return false
  }
  return true
}

/** The first condition that fails, or undefined if the match holds. */
export function describeMiss(
  match: HttpMatch,
  view: RequestView,
  token: VerifiedToken | null = null,
): string | undefined {
  if (match.uri !== null && !match.uri.test(view, token)) return match.uri.describeMiss(view, token)
  for (const condition of match.conditions) {
    if (!condition.test(view, token)) return condition.describeMiss(view, token)
  }
  return undefined
}

function uriCondition(spec: StringMatchSpec, ignoreCase: boolean): Condition {
  const matcher = stringMatcher(spec, ignoreCase)
  return {
    test: (view) => matcher.test(view.path),
    describeMiss: (view) => miss('path', view.path, matcher.wanted),
  }
}

function textCondition(
  what: string,
  matcher: StringMatcher,
  read: (view: RequestView) => string | undefined,
): Condition {
  return {
    test: (view) => {
      const value = read(view)
      return value !== undefined && matcher.test(value)
    },
    describeMiss: (view) => miss(what, read(view), matcher.wanted),
  }
}

function absenceCondition(name: string, spec: PresenceMatchSpec): Condition {
  const matcher = fieldMatcher(spec)
  const isPresence = 'present' in spec
  const unwanted = isPresence ? 'to be absent' : `anything but ${matcher.wanted}`
  return {
    test: (view) => {
      const value = view.headerValues(name)
      // Istio: one that is not there is like an empty one, except where its presence alone is asked for
      return value === undefined ? isPresence || !matcher.test('') : !matcher.test(value)
    },
    describeMiss: (view) => miss(`header ${name}`, view.headerValues(name), unwanted),
  }
}

function claimCondition({ isAbsent, path, value }: ClaimMatchSpec): Condition {
  const matcher = stringMatcher(value)
  const what = `claim ${path.join('.')}`
  const textsOf = (token: VerifiedToken | null) => (token === null ? [] : claimTexts(token, path))
  return {
    test: (_view, token) => textsOf(token).some((text) => matcher.test(text)) !== (isAbsent === true),
    describeMiss: (_view, token) => {
      const wanted = isAbsent === true ? `none with ${matcher.wanted}` : matcher.wanted
      return token === null ? `${what} is not known without a token, wanted ${wanted}` : `${what} is not ${wanted}`
    },
  }
}

function portCondition(port: number): Condition {
  return {
    test: (view) => view.localPort === port || (view.isNamedByHost && (view.namedPort || 80) === port),
    describeMiss: (view) => `port is ${view.isNamedByHost ? view.namedPort || 80 : view.localPort}, wanted ${port}`,
  }
}

function namedPortsCondition(ports: readonly number[]): Condition {
  return {
    test: (view) => view.namedPort === 0 || ports.includes(view.namedPort),
    describeMiss: (view) => `port in Host is ${view.namedPort}, the service has ${ports.join(', ')}`,
  }
}

function sourceNamespaceCondition(namespace: string): Condition {
  return {
    test: (view) => view.source?.namespace === namespace,
    describeMiss: (view) => miss('namespace of the caller', view.source?.namespace, `exact "${namespace}"`),
  }
}

function labelCondition(label: string, value: string): Condition {
  return {
    test: (view) => sourceLabel(view, label) === value,
    describeMiss: (view) =>
      view.source === undefined
        ? `the calling application is not known, wanted label ${label}=${value}`
        : miss(`label ${label} of the caller`, sourceLabel(view, label), `exact "${value}"`),
  }
}

/** `app` is the name of the calling application even where its labels do not repeat it. */
export function sourceLabel(view: Pick<RequestView, 'source'>, label: string): string | undefined {
  const source = view.source
  if (source === undefined) return undefined
  if (Object.hasOwn(source.labels, label)) return source.labels[label]
  return label === 'app' ? source.app : undefined
}

/** Found values come from callers: cut, and without control characters. */
function miss(what: string, found: string | undefined, wanted: string): string {
  return found === undefined ? `${what} is absent, wanted ${wanted}` : `${what} is ${quoted(found)}, wanted ${wanted}`
}

function quoted(text: string): string {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return JSON.stringify(readableText(shown))
}
