/** Keys of consistent-hash policies: read from the request, or made as a cookie for a caller that has none yet. */
import type { HashKeySpec } from '../../../contracts/policy-spec.ts'
import { cookieValue } from './cookie.ts'
import { addedFields } from './header-edits.ts'
import { murmur3 } from './murmur3.ts'
import { queryParameter } from './query.ts'
import type { ConnectionView, HashCookie, RequestView } from './types.ts'

/** Unsigned 32 bits; undefined when the request has no such key. */
export function readHash(spec: HashKeySpec, view: RequestView): number | undefined {
  const key = readKey(spec, view)
  return key === undefined ? undefined : murmur3(key)
}

/** The same for a raw connection, whose only key is the address of the caller (Istio: `useSourceIp`). */
export function connectionHash(spec: HashKeySpec, view: Pick<ConnectionView, 'sourceAddress'>): number | undefined {
  return spec.from === 'source-address' ? murmur3(view.sourceAddress) : undefined
}

function readKey(spec: HashKeySpec, view: RequestView): string | undefined {
  switch (spec.from) {
    case 'header':
      return view.header(spec.name)
    case 'cookie':
      return cookieValue(view.header('cookie'), spec.name)
    case 'source-address':
      return view.sourceAddress
    case 'query':
      return queryParameter(view.query, spec.name)
  }
}

/**
 * A cookie for a caller without one, so that its next requests stick; undefined for keys that are not made (Istio: a
 * cookie without ttl is only read). ttl 0 makes a session cookie. The value says nothing about the caller: 64 random
 * bits.
 */
export function makeHashCookie(spec: HashKeySpec, random: () => number): HashCookie | undefined {
  if (spec.from !== 'cookie' || spec.ttlMs === undefined) return undefined
  const value = word(random) + word(random)
  const age = spec.ttlMs === 0 ? '' : `; Max-Age=${Math.ceil(spec.ttlMs / 1000)}`
  const path = spec.path === '' ? '' : `; Path=${spec.path}`
  const edits = addedFields([['set-cookie', `${spec.name}=${value}${age}${path}; HttpOnly`]])
  return { hash: murmur3(value), edits }
}

function word(random: () => number): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0')
}
