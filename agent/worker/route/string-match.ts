/**
 * One string condition of a rule, ready to test, and able to say why it failed: the same object decides and explains.
 * Text of the rule is compared as its UTF-8 bytes; a regex sees characters, where a request's value is UTF-8.
 */
import type { PresenceMatchSpec, StringMatchSpec } from '../../../contracts/route-spec.ts'
import { linearRegex } from './linear-regex.ts'
import { readableText, wireText } from './wire-text.ts'

export interface StringMatcher {
  test(value: string): boolean
  /** What was wanted: `exact "/a"`, `prefix "/b"`, `regex "…"`, `to be there`. */
  readonly wanted: string
}

export function stringMatcher(spec: PresenceMatchSpec, ignoreCase = false): StringMatcher {
  if ('exact' in spec) return exactMatcher(spec.exact, ignoreCase)
  if ('prefix' in spec) return prefixMatcher(spec.prefix, ignoreCase)
  if ('regex' in spec) return regexMatcher(spec.regex)
  return { test: () => true, wanted: 'to be there' }
}

function exactMatcher(ruleText: string, ignoreCase: boolean): StringMatcher {
  const wanted = `exact "${ruleText}"`
  const text = wireText(ruleText)
  if (!ignoreCase) return { test: (value) => value === text, wanted }
  const lower = text.toLowerCase()
  return {
    test: (value) => value.length === lower.length && value.toLowerCase() === lower,
    wanted: `${wanted} in any case`,
  }
}

function prefixMatcher(ruleText: string, ignoreCase: boolean): StringMatcher {
  const wanted = `prefix "${ruleText}"`
  const text = wireText(ruleText)
  if (!ignoreCase) return { test: (value) => value.startsWith(text), wanted }
  const lower = text.toLowerCase()
  return { test: (value) => value.slice(0, lower.length).toLowerCase() === lower, wanted: `${wanted} in any case` }
}

function regexMatcher(source: string): StringMatcher {
  const regex = linearRegex(source)
  return { test: (value) => regex.matches(readableText(value)), wanted: `regex "${source}"` }
}

/** The same condition in lower case, for names that have no case (authority). A regex stays as written. */
export function lowerCased(spec: StringMatchSpec): StringMatchSpec {
  if ('exact' in spec) return { exact: spec.exact.toLowerCase() }
  if ('prefix' in spec) return { prefix: spec.prefix.toLowerCase() }
  return spec
}
