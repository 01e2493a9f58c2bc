/** The descriptors of a request, as Envoy makes them of the actions of a rate limit. */
import type { DescriptorActionSpec } from '../../../../contracts/global-rate-limit-spec.ts'
import { boundedKey, type DescriptorEntry, type RateLimitDescriptor } from '../../../../contracts/rate-limit-wire.ts'
import { readableText } from '../../../../contracts/wire-text.ts'
import type { RequestView } from '../../route/request-view.ts'
import { fieldMatcher, stringMatcher } from '../../route/string-match.ts'

/** null = none, so that the descriptor is left out; undefined = none, and the descriptor goes on. */
type Action = (view: RequestView, app: string) => DescriptorEntry | null | undefined

export type Descriptors = (view: RequestView, app: string) => RateLimitDescriptor[]

/** `app`: who calls. */
export function descriptorsOf(lists: readonly (readonly DescriptorActionSpec[])[]): Descriptors {
  const actions = lists.map((list) => list.map(action))
  return (view, app) =>
    actions.flatMap((list) => {
      const entries: DescriptorEntry[] = []
      for (const one of list) {
        const entry = one(view, app)
        if (entry === null) return []
        if (entry !== undefined) entries.push(entry)
      }
      return entries.length === 0 ? [] : [{ entries }]
    })
}

function action(spec: DescriptorActionSpec): Action {
  switch (spec.kind) {
    case 'generic-key': {
      const { key, value } = spec
      return () => ({ key, value })
    }
    case 'remote-address':
      return ({ sourceAddress }) => (sourceAddress === '' ? null : { key: 'remote_address', value: sourceAddress })
    case 'source-cluster':
      return (_view, app) => ({ key: 'source_cluster', value: app === '' ? 'unknown' : app })
    case 'request-headers': {
      const { key, name, skipIfAbsent } = spec
      return (view) => {
        const value = fieldOf(view, name)
        if (value === undefined || value === '') return skipIfAbsent ? undefined : null
        return { key, value: boundedKey(readableText(value)) }
      }
    }
    case 'header-value-match': {
      const { expectMatch, headers, key, value } = spec
      const wanted = Object.entries(headers).map(([name, match]) => ({
        name,
        matcher: isPartOfHead(name) ? stringMatcher(match) : fieldMatcher(match),
      }))
      const matches = (view: RequestView): boolean =>
        wanted.every(({ matcher, name }) => {
          const found = fieldOf(view, name)
          return found !== undefined && matcher.test(found)
        })
      return (view) => (matches(view) === expectMatch ? { key, value } : null)
    }
  }
}

/** Text of a head that rules ask for as if it was a field. */
const headParts: Readonly<Record<string, (view: RequestView) => string>> = {
  ':path': (view) => (view.query === '' ? view.path : `${view.path}?${view.query}`),
  ':method': (view) => view.method,
  ':authority': (view) => view.authority,
  host: (view) => view.authority,
  ':scheme': (view) => view.scheme,
}

function isPartOfHead(name: string): boolean {
  return Object.hasOwn(headParts, name)
}

function fieldOf(view: RequestView, name: string): string | undefined {
  return isPartOfHead(name) ? headParts[name]!(view) : view.headerValues(name)
}
