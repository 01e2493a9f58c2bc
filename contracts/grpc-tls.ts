/**
 * How grpc-js is to call a server over TLS. For one that is named by its address it would say the address as the name
 * of the server (SNI), which Node refuses: a name there is no address (RFC 6066, 3).
 */
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'

/** PEM. */
export interface GrpcPems {
  readonly ca?: string | undefined
  readonly key?: string | undefined
  readonly cert?: string | undefined
}

interface Verify {
  readonly checkServerIdentity?: (name: string, certificate: PeerCertificate) => Error | undefined
}

export interface GrpcTls {
  /** What `credentials.createSsl` takes, in its order. */
  readonly ssl: [ca: Buffer | null, key: Buffer | null, cert: Buffer | null, verify: Verify]
  /** Options of the channel. */
  readonly channel: Readonly<Record<string, string>>
}

/**
 * `host`: a name, or an address without brackets. A server that is called by its address is told a name that nobody
 * has, and its certificate has to name the address.
 */
export function grpcTls(host: string, { ca, cert, key }: GrpcPems): GrpcTls {
  const isName = isIP(host) === 0
  const verify: Verify = isName
    ? {}
    : { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) }
  return {
    ssl: [bytesOf(ca), bytesOf(key), bytesOf(cert), verify],
    channel: isName ? {} : { 'grpc.ssl_target_name_override': `${host.replaceAll(/[.:%]/g, '-')}.invalid` },
  }
}

function bytesOf(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text)
}
