import { randomBytes } from 'node:crypto'

import { nonceBytes, openFastCiphers, tagBytes } from '../../../../native/fast-ciphers.ts'
import { evpCiphers, nodeCiphers } from './record-cipher.ts'
import type { RecordCiphers } from './record-cipher.ts'
import { suiteNamed, suiteNames } from './suites.ts'
import type { Suite } from './suites.ts'
import { headerBytes } from './words.ts'

/** The fast ones where they agree with `node:crypto`, byte by byte, on this machine; else `node:crypto`. */
export function selectCiphers(log: (level: 'info' | 'warn', message: string) => void): RecordCiphers {
  const found = openFastCiphers()
  if (found.ciphers === undefined) {
    log('info', `tls records by node:crypto: ${found.problem}`)
    return nodeCiphers()
  }
  try {
    const ciphers = evpCiphers(found.ciphers)
    proveCiphers(ciphers)
    return ciphers
  } catch (error) {
    log('warn', `tls records by node:crypto: ${error instanceof Error ? error.message : String(error)}`)
    return nodeCiphers()
  }
}

/**
 * Throws where what `ciphers` seal or open is not what `node:crypto` does, or where a changed bit is not noticed.
 * Lengths from nothing to a whole record, numbers beyond 32 bits, every suite.
 */
export function proveCiphers(ciphers: RecordCiphers): void {
  const reference = nodeCiphers()
  for (const suite of suiteNames.map(suiteNamed)) {
    for (const length of [0, 1, nonceBytes, 1024, 16_384]) {
      for (const number of [0, 1, 2 ** 32 + 3]) proveOne(ciphers, reference, suite!, length, number)
    }
  }
}

function proveOne(
  ciphers: RecordCiphers,
  reference: RecordCiphers,
  suite: Suite,
  length: number,
  number: number,
): void {
  const secret = randomBytes(suite.hashBytes)
  const content = randomBytes(length)
  const size = headerBytes + length + 1 + tagBytes
  const [expected, sealed, opened] = [0, 0, 0].map(() => Buffer.allocUnsafeSlow(size).fill(0)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const [sealer, opener, other] = [
    ciphers.create(suite, secret, true),
    ciphers.create(suite, secret, false),
    reference.create(suite, secret, true),
  ]
  try {
    other.seal(number, content, 0, length, 23, expected, headerBytes)
    sealer.seal(number, content, 0, length, 23, sealed, headerBytes)
    const where = `${suite.name}, ${length} bytes, record ${number}`
    if (!sealed.equals(expected)) throw new Error(`the self-test of ciphers failed: ${where} sealed wrongly`)
    const isOpened = opener.open(number, sealed, headerBytes, size, opened, 0)
    if (!isOpened || !opened.subarray(0, length).equals(content) || opened[length] !== 23)
      throw new Error(`the self-test of ciphers failed: ${where} opened wrongly`)
    sealed[size - 1]! ^= 1
    if (opener.open(number, sealed, headerBytes, size, opened, 0))
      throw new Error(`the self-test of ciphers failed: ${where} took a wrong tag`)
  } finally {
    for (const one of [sealer, opener, other]) one.free()
  }
}
