/**
 * Keys of the authority at rest. With an operator's key file they are sealed (AES-256-GCM, the key by HKDF-SHA256 from
 * the file, a fresh salt and nonce each time), so that a store that several centers share never sees them; without one
 * they lie as they are in a 0600 file of this center alone.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { MeshError } from '../../contracts/errors.ts'

export interface KeyBox {
  /** What is stored in the place of `secret`. */
  seal(secret: string): string
  /** Throws E_CONFIG_INVALID: sealed with another key, damaged, or of a box of the other kind. */
  open(sealed: string): string
}

const word = 'hostmesh-sealed-1'
const purpose = 'hostmesh certificate authority'
const saltBytes = 16
const nonceBytes = 12
const tagBytes = 16
/** As many as a relay secret must have. */
const minSecretCharacters = 32

/** For an authority of which this center alone knows. */
export const openBox: KeyBox = {
  seal: (secret) => secret,
  open(stored) {
    if (stored.startsWith(word))
      throw new MeshError('E_CONFIG_INVALID', 'the keys of the authority are sealed; name the key file in ca.keyFile')
    return stored
  },
}

/** `secret`: the content of the operator's file, at least 32 characters. Throws E_CONFIG_INVALID for a shorter one. */
export function sealedBox(secret: string): KeyBox {
  if (secret.length < minSecretCharacters)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `ca.keyFile: ${secret.length} characters, allowed at least ${minSecretCharacters}, as of \`openssl rand -hex 32\``,
    )
  const keyOf = (salt: Buffer) => Buffer.from(hkdfSync('sha256', secret, salt, purpose, 32))
  return {
    seal(text) {
      const salt = randomBytes(saltBytes)
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', keyOf(salt), nonce)
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `${word} ${Buffer.concat([salt, nonce, cipher.getAuthTag(), sealed]).toString('base64')}`
    },
    open(stored) {
      if (!stored.startsWith(`${word} `))
        throw new MeshError('E_CONFIG_INVALID', 'the keys of the authority are not sealed, yet ca.keyFile is named')
      const all = Buffer.from(stored.slice(word.length + 1), 'base64')
      const salt = all.subarray(0, saltBytes)
      const nonce = all.subarray(saltBytes, saltBytes + nonceBytes)
      const tag = all.subarray(saltBytes + nonceBytes, saltBytes + nonceBytes + tagBytes)
      try {
        const decipher = createDecipheriv('aes-256-gcm', keyOf(salt), nonce, { authTagLength: tagBytes })
        decipher.setAuthTag(tag)
        const text = decipher.update(all.subarray(saltBytes + nonceBytes + tagBytes))
        return Buffer.concat([text, decipher.final()]).toString('utf8')
      } catch (cause) {
        throw new MeshError('E_CONFIG_INVALID', 'the keys of the authority cannot be opened with this ca.keyFile', {
          cause,
        })
      }
    },
  }
}
