/**
 * One string condition of a rule, ready to test, and able to say why it failed: the same object decides and explains.
 * Paths, names and claims are text. Values of fields are bytes: text of the rule is compared as its UTF-8 bytes, and a
 * regex sees characters, where a value is UTF-8.
 */
import type { PresenceMatchSpec, StringMatchSpec } from '../../../contracts/route-spec.ts'
import { readableText, wireText } from '../../../contracts/wire-text.ts'
import { linearRegex } from './linear-regex.ts'

export interface StringMatcher {
  test(value: string): boolean
  /** What was wanted: `exact "/a"`, `prefix "/b"`, `regex "…"`, `to be there`. */
  readonly wanted: string
}

/** Of text. */
export function stringMatcher(spec: PresenceMatchSpec, ignoreCase = false): StringMatcher {
  if ('exact' in spec) return exactMatcher(spec.exact, spec.exact, ignoreCase)
  if ('prefix' in spec) return prefixMatcher(spec.prefix, spec.prefix, ignoreCase)
  if (!('regex' in spec)) return presence
  const regex = linearRegex(spec.regex)
  return { test: (value) => regex.matches(value), wanted: `regex "${spec.regex}"` }
}

/** Of the value of a field, one character for each byte. */
export function fieldMatcher(spec: PresenceMatchSpec): StringMatcher {
  if ('exact' in spec) return exactMatcher(wireText(spec.exact), spec.exact, false)
  if ('prefix' in spec) return prefixMatcher(wireText(spec.prefix), spec.prefix, false)
  const matcher = stringMatcher(spec)
  return 'regex' in spec ? { ...matcher, test: (value) => matcher.test(readableText(value)) } : matcher
}

const presence: StringMatcher = { test: () => true, wanted: 'to be there' }

/** `shown`: as the rule has it. */
function exactMatcher(text: string, shown: string, ignoreCase: boolean): StringMatcher {
  const wanted = `exact "${shown}"`
  if (!ignoreCase) return { test: (value) => value === text, wanted }
  const lower = text.toLowerCase()
  return {
    test: (value) => value.length === lower.length && value.toLowerCase() === lower,
    wanted: `${wanted} in any case`,
  }
}

function prefixMatcher(text: string, shown: string, ignoreCase: boolean): StringMatcher {
  const wanted = `prefix "${shown}"`
  if (!ignoreCase) return { test: (value) => value.startsWith(text), wanted }
  const lower = text.toLowerCase()
  return { test: (value) => value.slice(0, lower.length).toLowerCase() === lower, wanted: `${wanted} in any case` }
}

/** The same condition in lower case, for names that have no case (authority). A regex stays as written. */
export function lowerCased(spec: StringMatchSpec): StringMatchSpec {
  if ('exact' in spec) return { exact: spec.exact.toLowerCase() }
  if ('prefix' in spec) return { prefix: spec.prefix.toLowerCase() }
  return spec
}
