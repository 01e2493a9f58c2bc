/** Certificates and keys as files hold them. What is wrong is E_CERTIFICATE_INVALID by the name of the file. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { MeshError } from '../../../contracts/errors.ts'

/** With the last one, which a file that is being written may not hold to its end. */
const blocks = /-----BEGIN CERTIFICATE-----[^-]*(?:-----END CERTIFICATE-----)?/g

/** At least one; each of them can be read. */
export function certificatesIn(text: string, file: string): readonly [X509Certificate, ...X509Certificate[]] {
  const found = (text.match(blocks) ?? []).map((block, at) => {
    try {
      return new X509Certificate(block)
    } catch {
      throw invalid(file, `certificate ${at + 1} cannot be read`)
    }
  })
  const [leaf, ...others] = found
  if (leaf === undefined) throw invalid(file, 'holds no certificate in PEM')
  return [leaf, ...others]
}

/** That nobody reads it but its user, and a group that it has for that. Throws also what the system says. */
export function requirePrivate(keyFile: string): void {
  if ((statSync(keyFile).mode & 0o027) !== 0)
    throw invalid(keyFile, 'others may read or write it; chmod 600, or 640 with a group of its own')
}

/** Says nothing of the key. */
export function requireKeyOf(leaf: X509Certificate, chainFile: string, key: string, keyFile: string): void {
  let isItsKey: boolean
  try {
    isItsKey = leaf.checkPrivateKey(createPrivateKey(key))
  } catch {
    throw invalid(keyFile, 'holds no private key in PEM that can be read without a passphrase')
  }
  if (!isItsKey) throw invalid(keyFile, `is not the key of ${chainFile}`)
}

export function invalid(where: string, why: string): MeshError {
  return new MeshError('E_CERTIFICATE_INVALID', `${where}: ${why}`)
}
