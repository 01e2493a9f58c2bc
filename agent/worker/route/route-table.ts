/**
 * All matches of a virtual host in their order. Case-sensitive exact and prefix paths are found through the path table,
 * so that the hundredth route costs what the first does; whatever else a match asks is tested on the candidates alone.
 * Few matches are simply walked.
 */
import type { VerifiedToken } from './verified-token.ts'
import { conditionsHold, matchesAll } from './http-match.ts'
import type { HttpMatch } from './http-match.ts'
import { pathTable } from './path-table.ts'
import type { PathEntry } from './path-table.ts'
import type { RequestView, Route, RouteTable } from './types.ts'

export interface TableEntry {
  /** undefined: a route without matches takes everything. */
  readonly match: HttpMatch | undefined
  readonly route: Route
}

/** Below this many matches a walk over all of them is cheaper than the tree. */
const walkAllBelow = 6

export function routeTable(entries: readonly TableEntry[]): RouteTable {
  return entries.length < walkAllBelow ? walkedTable(entries) : indexedTable(entries)
}

export function walkedTable(entries: readonly TableEntry[]): RouteTable {
  return {
    find(view, token = null) {
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!
        if (entry.match === undefined || matchesAll(entry.match, view, token)) return entry.route
      }
      return undefined
    },
  }
}

export function indexedTable(entries: readonly TableEntry[]): RouteTable {
  const paths = pathTable(entries.map(pathEntry))
  const candidates = new Int32Array(entries.length)
  return {
    find(view: RequestView, token = null) {
      const count = paths.candidates(view.path, candidates)
      for (let i = 0; i < count; i++) {
        const entry = entries[candidates[i]!]!
        if (entry.match === undefined || restHolds(entry.match, view, token)) return entry.route
      }
      return undefined
    },
  }
}

/** What the path table did not decide. */
function restHolds(match: HttpMatch, view: RequestView, token: VerifiedToken | null): boolean {
  if (!isInPathTable(match) && match.uri !== null && !match.uri.test(view, token)) return false
  return conditionsHold(match.conditions, view, token)
}

function isInPathTable(match: HttpMatch): boolean {
  const uri = match.spec.uri
  return uri !== undefined && !('regex' in uri) && match.spec.ignoreUriCase !== true
}

/**
 * A match that the table cannot decide is a candidate for every path (the empty prefix), one with a regex for paths
 * that begin as it does.
 */
function pathEntry({ match }: TableEntry, number: number): PathEntry {
  const uri = match?.spec.uri
  if (uri !== undefined && 'regex' in uri) return { kind: 'prefix', path: literalPrefix(uri.regex), number }
  if (match === undefined || uri === undefined || !isInPathTable(match)) return { kind: 'prefix', path: '', number }
  if ('exact' in uri) return { kind: 'exact', path: uri.exact, number }
  return { kind: 'prefix', path: 'prefix' in uri ? uri.prefix : '', number }
}

/**
 * The plain characters that every string of this regex begins with; none where an alternative could begin otherwise.
 */
export function literalPrefix(pattern: string): string {
  if (pattern.includes('|')) return ''
  const start = pattern.startsWith('^') ? 1 : 0
  let end = start
  while (end < pattern.length && /[A-Za-z0-9/_-]/.test(pattern[end]!)) end++
  // the last character may be optional
  if ('*?{'.includes(pattern[end] ?? ' ') && end > start) end--
  return pattern.slice(start, end)
}
