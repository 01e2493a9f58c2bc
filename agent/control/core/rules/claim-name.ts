/** Claims of a token under the name that Istio gives them among headers. */
import type { ClaimMatchSpec, PresenceMatchSpec } from '../../../../contracts/route-spec.ts'

export const claimPrefix = '@request.auth.'
export const badClaim =
  'found no claim, allowed @request.auth.claims.NAME (a dot goes inside) or @request.auth.claims[NAME][INSIDE]'

const plain = /^@request\.auth\.claims((?:\.[^.[\]]{1,256}){1,8})$/
const bracketed = /^@request\.auth\.claims((?:\[[^[\]]{1,256}\]){1,8})$/

/** Names from the outermost claim to the innermost; undefined = no such name. */
export function claimOf(name: string): readonly string[] | undefined {
  const dots = plain.exec(name)?.[1]
  const path = dots?.slice(1).split('.') ?? bracketed.exec(name)?.[1]?.slice(1, -1).split('][')
  return path?.includes('__proto__') === true ? undefined : path
}

type Fields = Readonly<Record<string, PresenceMatchSpec>> | undefined

/** What of `headers` or `withoutHeaders` is about fields; undefined = nothing. */
export function withoutClaims(fields: Fields): Fields {
  const kept = Object.entries(fields ?? {}).filter(([name]) => claimOf(name) === undefined)
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}

/** What of them is about claims; undefined = nothing. */
export function claimMatches(headers: Fields, withoutHeaders: Fields): readonly ClaimMatchSpec[] | undefined {
  const of = (fields: Fields, isAbsent: boolean): ClaimMatchSpec[] =>
    Object.entries(fields ?? {}).flatMap(([name, value]) => {
      const path = claimOf(name)
      return path === undefined ? [] : [{ path, value, ...(isAbsent ? { isAbsent: true } : {}) }]
    })
  const found = [...of(headers, false), ...of(withoutHeaders, true)]
  return found.length === 0 ? undefined : found
}
