/** The keys of `when` (Istio's reference, "Authorization Policy Conditions") and what their values may be. */
import { isIP } from 'node:net'
import { matchProblem } from './authorization-values.ts'

const plainKeys = [
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'destination.ip',
  'destination.port',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
]

const notImplemented: readonly (readonly [string, string])[] = [
  ['connection.sni', 'the name of a TLS handshake is not handed to rules by this version'],
  ['experimental.envoy.filters.', 'there are no filters of Envoy here'],
]

export function conditionKeyProblem(key: unknown): string | undefined {
  const allowed = `allowed request.headers[name], request.auth.claims[name], ${plainKeys.join(', ')}`
  if (typeof key !== 'string') return `found no text, ${allowed}`
  const found = JSON.stringify(key.slice(0, 80))
  for (const [prefix, why] of notImplemented) if (key.startsWith(prefix)) return `${found}: ${why}; ${allowed}`
  if (plainKeys.includes(key) || /^request\.headers\[:?[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}\]$/.test(key)) return undefined
  if (/^request\.auth\.claims(?:\[[^[\]]{1,256}\]){1,8}$/.test(key)) {
    return key.includes('[__proto__]') ? `${found}: no claim may have this name` : undefined
  }
  return `found ${found}, ${allowed}`
}

/** What is wrong with one value for a good key. */
export function conditionProblem(key: string, value: string): string | undefined {
  if (key.endsWith('.ip')) {
    const [address = '', bits] = value.split('/')
    const widest = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
    const isGood = widest > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest))
    return isGood && value.split('/').length <= 2 ? undefined : 'allowed a network like 10.0.0.0/8, or an address'
  }
  if (key === 'destination.port') {
    return /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535 ? undefined : 'allowed a port like "8080"'
  }
  return matchProblem(value)
}
