import { nextSecret } from './key-schedule.ts'
import type { RecordCipher, RecordCiphers } from './record-cipher.ts'
import { suiteNamed } from './suites.ts'
import type { Suite } from './suites.ts'

/** As it travels to another process of this host. */
export interface MovedKeys {
  /** base64 */
  readonly secret: string
  readonly number: number
}

/** Keys of one direction: the secret, the number of the next record, the cipher made of them. */
export class TrafficKeys {
  readonly suite: Suite
  /** Of the next record. */
  number: number
  cipher: RecordCipher
  private readonly ciphers: RecordCiphers
  private readonly seals: boolean
  private secret: Buffer

  /** `secret` is kept and wiped here. */
  constructor(ciphers: RecordCiphers, suite: Suite, secret: Buffer, seals: boolean, number = 0) {
    this.ciphers = ciphers
    this.suite = suite
    this.seals = seals
    this.secret = secret
    this.number = number
    this.cipher = ciphers.create(suite, secret, seals)
  }

  /** Goes over to the keys after a KeyUpdate. */
  update(): void {
    const next = nextSecret(this.suite, this.secret)
    this.free()
    this.secret = next
    this.number = 0
    this.cipher = this.ciphers.create(this.suite, next, this.seals)
  }

  /** For another process; nothing may be sealed or opened here any more. */
  leave(): MovedKeys {
    const moved = { secret: this.secret.toString('base64'), number: this.number }
    this.free()
    return moved
  }

  free(): void {
    this.cipher.free()
    this.secret.fill(0)
  }
}

/** Throws for what cannot be keys of this suite. */
export function adoptedKeys(ciphers: RecordCiphers, suite: Suite, moved: MovedKeys, seals: boolean): TrafficKeys {
  const secret = Buffer.from(String(moved.secret), 'base64')
  const isGood = secret.length === suite.hashBytes && Number.isSafeInteger(moved.number) && moved.number >= 0
  if (!isGood) throw new Error('malformed keys of a TLS connection')
  return new TrafficKeys(ciphers, suite, secret, seals, moved.number)
}

export function suiteOf(name: unknown): Suite {
  const suite = suiteNamed(String(name))
  if (suite === undefined) throw new Error(`cipher suite ${String(name)} is unknown here`)
  return suite
}
