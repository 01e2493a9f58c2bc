/** From a traffic secret to keys (RFC 8446 sections 7.1 to 7.3). */
import { createHmac } from 'node:crypto'

import { nonceBytes } from '../../../../native/fast-ciphers.ts'
import type { Suite } from './suites.ts'

export function recordKey(suite: Suite, secret: Buffer): Buffer {
  return expandLabel(suite, secret, 'key', suite.keyBytes)
}

/** What the number of a record is mixed into. */
export function recordIv(suite: Suite, secret: Buffer): Buffer {
  return expandLabel(suite, secret, 'iv', nonceBytes)
}

/** Of the keys after a KeyUpdate. */
export function nextSecret(suite: Suite, secret: Buffer): Buffer {
  return expandLabel(suite, secret, 'traffic upd', suite.hashBytes)
}

/** HKDF-Expand-Label without context, of at most one hash. */
function expandLabel({ hash }: Suite, secret: Buffer, label: string, length: number): Buffer {
  const text = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.from([length >> 8, length & 255, text.length]), text, Buffer.from([0, 1])])
  return createHmac(hash, secret).update(info).digest().subarray(0, length)
}
