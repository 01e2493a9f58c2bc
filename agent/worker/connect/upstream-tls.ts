import type { Endpoint } from '../../../contracts/endpoint.ts'
import { takesMutualTls } from '../../../contracts/endpoint.ts'
import { rawTlsProtocols } from '../../../contracts/words.ts'
import type { UpstreamTlsSpec } from '../../../contracts/policy-spec.ts'
import type { Scheme } from '../forward/streams.ts'
import type { ClientWish } from '../transport/tls/handshakes.ts'

/** Whether connections to an endpoint carry the identity of whoever calls. */
export function isMutual(tls: UpstreamTlsSpec | undefined, endpoint: Endpoint, hasIdentity: boolean): boolean {
  return tls === undefined ? hasIdentity && takesMutualTls(endpoint) : tls.mode === 'mutual'
}

/**
 * A server outside of the mesh that a rule calls by TLS is asked as one of `https`. Between agents the identities and
 * the encryption are the mesh's: the application behind them is asked as it is in plain.
 */
export function schemeOf(tls: UpstreamTlsSpec | undefined): Scheme {
  return tls?.mode === 'simple' ? 'https' : 'http'
}

const rawProtocol: readonly string[] = rawTlsProtocols.slice(0, 1)

/**
 * How an endpoint is called; null = in plain. `identity`: the caller's; undefined = the host's own. `protocols`: none
 * for a raw connection.
 */
export function clientWish(
  tls: UpstreamTlsSpec | undefined,
  endpoint: Endpoint,
  hasIdentity: boolean,
  identity: string | undefined,
  protocols: readonly string[],
): ClientWish | null {
  if (tls?.mode === 'simple') {
    const { credential, showsCredential = false, sni, subjectAltNames } = tls
    const shown = { credential, showsCredential }
    return { mode: 'simple', identity: undefined, serverName: sni, subjectAltNames, ...shown, protocols }
  }
  if (!isMutual(tls, endpoint, hasIdentity)) return null
  const { sni: serverName = '', subjectAltNames = [] } = tls?.mode === 'mutual' ? tls : {}
  const spoken = protocols.length === 0 ? rawProtocol : protocols
  const none = { credential: undefined, showsCredential: false }
  return { mode: 'mutual', identity, serverName, subjectAltNames, ...none, protocols: spoken }
}
