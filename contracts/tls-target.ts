/**
 * How grpc-js is to call a server over TLS that is named by its address. It would say the address as the name of the
 * server (SNI), which Node refuses: a name there is no address (RFC 6066, 3).
 */
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'

export interface TlsTarget {
  /** Options of the channel. */
  readonly channel: Readonly<Record<string, string>>
  /** Of `credentials.createSsl`. */
  readonly verify: { readonly checkServerIdentity?: (name: string, certificate: PeerCertificate) => Error | undefined }
}

/**
 * `host`: a name, or an address without brackets. A server that is called by its address is told a name that nobody
 * has, and its certificate has to name the address.
 */
export function tlsTarget(host: string): TlsTarget {
  if (isIP(host) === 0) return { channel: {}, verify: {} }
  return {
    channel: { 'grpc.ssl_target_name_override': `${host.replaceAll(/[.:%]/g, '-')}.invalid` },
    verify: { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) },
  }
}
