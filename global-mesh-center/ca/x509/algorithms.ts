/** Which keys sign with what, and which keys may be certified (NIST SP 800-57 part 1, 2030 and after). */
import type { KeyObject } from 'node:crypto'
import { AlgorithmIdentifier } from '@peculiar/asn1-x509'

export interface SignatureAlgorithm {
  /** OpenSSL's word, undefined where the key decides. */
  readonly digest: string | undefined
  readonly identifier: AlgorithmIdentifier
}

const rsaNeedsNull = new Uint8Array([5, 0]).buffer

/** The algorithm that a key of an authority signs with; undefined = such a key is not used here. */
export function signatureOf(key: KeyObject): SignatureAlgorithm | undefined {
  const { asymmetricKeyDetails: details } = key
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (details?.namedCurve === 'prime256v1') return ecdsa('sha256', '1.2.840.10045.4.3.2')
      if (details?.namedCurve === 'secp384r1') return ecdsa('sha384', '1.2.840.10045.4.3.3')
      return undefined
    case 'rsa':
      if ((details?.modulusLength ?? 0) < 2048) return undefined
      return {
        digest: 'sha256',
        identifier: new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.11', parameters: rsaNeedsNull }),
      }
    case 'ed25519':
      return { digest: undefined, identifier: new AlgorithmIdentifier({ algorithm: '1.3.101.112' }) }
    default:
      return undefined
  }
}

/** The digest under the name of a signature in a request; undefined = not taken, null = the key decides. */
export function digestOf(algorithm: string): string | null | undefined {
  return digests.get(algorithm)
}

const digests: ReadonlyMap<string, string | null> = new Map([
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.3.101.112', null],
])

export const allowedKeys = 'EC P-256 or P-384, Ed25519, RSA of 2048 to 4096 bits with the exponent 65537'

/** Whether a certificate may be made for this public key. A long exponent makes each check of a signature costly. */
export function isGoodKey(key: KeyObject): boolean {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && (modulusLength > 4096 || publicExponent !== 65_537n)) return false
  return signatureOf(key) !== undefined
}

function ecdsa(digest: string, algorithm: string): SignatureAlgorithm {
  return { digest, identifier: new AlgorithmIdentifier({ algorithm }) }
}
