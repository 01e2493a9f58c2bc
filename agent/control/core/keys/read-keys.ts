/**
 * Public keys of an issuer from its JWKS (RFC 7517). What cannot be used (shared secrets, small keys, other curves) is
 * left out by name; private parts are never kept.
 */
import type { PublicKeySpec } from '../../../../contracts/authentication-spec.ts'

export const maxKeySetBytes = 1024 * 1024
const maxKeys = 100
/** RFC 7518 section 3.3: 2,048 bits and more, as base64url of the modulus. */
const leastModulus = Math.floor((2048 / 8) * (4 / 3))
const mostModulus = Math.ceil((16_384 / 8) * (4 / 3))
const members: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
}
const curves: Readonly<Record<string, readonly string[]>> = { EC: ['P-256', 'P-384', 'P-521'], OKP: ['Ed25519'] }

/** `notes`: keys that are left out, and why. */
export function readKeys(
  text: string,
): { readonly keys: readonly PublicKeySpec[]; readonly notes: readonly string[] } | { readonly problem: string } {
  if (text.length > maxKeySetBytes) return { problem: `${text.length} bytes, allowed ${maxKeySetBytes}` }
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    return { problem: 'found no JSON, allowed a JWKS' }
  }
  const found: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(found)) return { problem: 'found no list "keys", allowed a JWKS' }
  if (found.length > maxKeys) return { problem: `${found.length} keys, allowed ${maxKeys}` }
  const keys: PublicKeySpec[] = []
  const notes: string[] = []
  for (const [index, one] of found.entries()) {
    const read = readKey(one)
    if (typeof read === 'string') notes.push(`keys[${index}]: ${read}`)
    else keys.push(read)
  }
  return keys.length > 0 ? { keys, notes } : { problem: ['no key that can be used', ...notes.slice(0, 5)].join('; ') }
}

function readKey(found: unknown): PublicKeySpec | string {
  if (typeof found !== 'object' || found === null) return 'no key'
  const field = (name: string): string | undefined => {
    const value: unknown = Object.hasOwn(found, name) ? (found as Record<string, unknown>)[name] : undefined
    return typeof value === 'string' && value.length <= mostModulus ? value : undefined
  }
  const kty = field('kty') ?? ''
  if (kty === 'oct') return 'a shared secret (kty oct), allowed public keys'
  if (!Object.hasOwn(members, kty)) return `found kty ${JSON.stringify(kty.slice(0, 20))}, allowed RSA, EC, OKP`
  const use = field('use')
  if (use !== undefined && use !== 'sig') return `is for ${JSON.stringify(use.slice(0, 20))}, not for signatures`
  const key: Record<string, string> = { kty }
  for (const name of members[kty]!) {
    const value = field(name)
    if (value === undefined || !/^[A-Za-z0-9_-]+$/.test(value)) return `${name} is missing or no base64url`
    key[name] = value
  }
  const crv = key['crv']
  if (crv !== undefined && curves[kty]!.includes(crv) === false)
    return `found crv ${crv}, allowed ${curves[kty]!.join(', ')}`
  if (kty === 'RSA' && key['n']!.length < leastModulus) return 'an RSA key of fewer than 2048 bits'
  for (const name of ['kid', 'alg', 'use']) {
    const value = field(name)
    if (value !== undefined) key[name] = value
  }
  return key
}
