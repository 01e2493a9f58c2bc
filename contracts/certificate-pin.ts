import { X509Certificate, createHash } from 'node:crypto'

/** Lower-case hex sha256 of the public key (SPKI) of a certificate: what hosts pin (as RFC 7469). */
export function pinOf(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('hex')
}
