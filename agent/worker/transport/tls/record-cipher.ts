import { createCipheriv, createDecipheriv } from 'node:crypto'

import type { FixedMemory } from '../../../../native/bare-functions.ts'
import { nonceBytes, tagBytes } from '../../../../native/fast-ciphers.ts'
import type { FastCipher, FastCiphers } from '../../../../native/fast-ciphers.ts'
import { recordIv, recordKey } from './key-schedule.ts'
import type { Suite } from './suites.ts'
import { headerBytes } from './words.ts'

/** One direction of a connection under one key. `number` is the record's, from 0; none may come twice when sealing. */
export interface RecordCipher {
  /**
   * `source[from..to)` with its content type to the body of a record at `target[at...)`, tag included. The header lies
   * before it already.
   */
  seal(number: number, source: Buffer, from: number, to: number, type: number, target: Buffer, at: number): void
  /** The body `source[from..to)`, behind its header, to `target[at...)`, type included. False: it is not genuine. */
  open(number: number, source: Buffer, from: number, to: number, target: Buffer, at: number): boolean
  free(): void
}

/** Makes the ciphers of a worker. */
export interface RecordCiphers {
  /** `evp`: OpenSSL called directly; `node`: by `node:crypto`. */
  readonly kind: 'evp' | 'node'
  create(suite: Suite, secret: Buffer, seals: boolean): RecordCipher
}

export function nodeCiphers(): RecordCiphers {
  return { kind: 'node', create: (suite, secret) => new NodeCipher(suite, secret) }
}

export function evpCiphers(ciphers: FastCiphers): RecordCiphers {
  const [sources, targets] = [new Addresses(ciphers), new Addresses(ciphers)]
  return {
    kind: 'evp',
    create(suite, secret, seals) {
      const key = recordKey(suite, secret)
      const cipher = ciphers.create(suite.aead, key, seals)
      key.fill(0)
      return new EvpCipher(cipher, ciphers.nonce, recordIv(suite, secret), sources, targets)
    },
  }
}

/** RFC 8446 section 5.3: the number, right-aligned, over the iv. */
function writeNonce(nonce: Buffer, iv: Buffer, number: number): void {
  iv.copy(nonce)
  const high = Math.floor(number / 0x1_0000_0000)
  nonce.writeUInt32BE((iv.readUInt32BE(4) ^ high) >>> 0, 4)
  nonce.writeUInt32BE((iv.readUInt32BE(8) ^ (number >>> 0)) >>> 0, 8)
}

class EvpCipher implements RecordCipher {
  private readonly cipher: FastCipher
  private readonly nonce: Buffer
  private readonly iv: Buffer
  private readonly sources: Addresses
  private readonly targets: Addresses

  constructor(cipher: FastCipher, nonce: Buffer, iv: Buffer, sources: Addresses, targets: Addresses) {
    this.cipher = cipher
    this.nonce = nonce
    this.iv = iv
    this.sources = sources
    this.targets = targets
  }

  seal(number: number, source: Buffer, from: number, to: number, type: number, target: Buffer, at: number): void {
    writeNonce(this.nonce, this.iv, number)
    this.cipher.seal(this.sources.of(source), from, to, type, this.targets.of(target), at, headerBytes)
  }

  open(number: number, source: Buffer, from: number, to: number, target: Buffer, at: number): boolean {
    writeNonce(this.nonce, this.iv, number)
    return this.cipher.open(this.sources.of(source), from, to, this.targets.of(target), at, headerBytes)
  }

  free(): void {
    this.cipher.free()
    this.iv.fill(0)
  }
}

class NodeCipher implements RecordCipher {
  private readonly suite: Suite
  private readonly key: Buffer
  private readonly iv: Buffer
  private readonly nonce = Buffer.alloc(nonceBytes)
  private readonly last = Buffer.alloc(1)

  constructor(suite: Suite, secret: Buffer) {
    this.suite = suite
    this.key = recordKey(suite, secret)
    this.iv = recordIv(suite, secret)
  }

  // the overloads of node:crypto are one per mode; all three here take the same arguments
  private get name(): 'aes-128-gcm' {
    return this.suite.aead as 'aes-128-gcm'
  }

  seal(number: number, source: Buffer, from: number, to: number, type: number, target: Buffer, at: number): void {
    writeNonce(this.nonce, this.iv, number)
    const cipher = createCipheriv(this.name, this.key, this.nonce, { authTagLength: tagBytes })
    cipher.setAAD(target.subarray(at - headerBytes, at), { plaintextLength: to - from + 1 })
    this.last[0] = type
    let end = at + cipher.update(source.subarray(from, to)).copy(target, at)
    end += cipher.update(this.last).copy(target, end)
    end += cipher.final().copy(target, end)
    cipher.getAuthTag().copy(target, end)
  }

  open(number: number, source: Buffer, from: number, to: number, target: Buffer, at: number): boolean {
    writeNonce(this.nonce, this.iv, number)
    const decipher = createDecipheriv(this.name, this.key, this.nonce, { authTagLength: tagBytes })
    const end = to - tagBytes
    decipher.setAAD(source.subarray(from - headerBytes, from), { plaintextLength: end - from })
    decipher.setAuthTag(source.subarray(end, to))
    decipher.update(source.subarray(from, end)).copy(target, at)
    try {
      decipher.final()
      return true
    } catch {
      return false
    }
  }

  free(): void {
    this.key.fill(0)
    this.iv.fill(0)
  }
}

/** Where buffers lie that come again and again: few in all, one most of the time. */
class Addresses {
  private readonly ciphers: FastCiphers
  private last: FixedMemory
  private readonly known = new WeakMap<Buffer, FixedMemory>()

  constructor(ciphers: FastCiphers) {
    this.ciphers = ciphers
    this.last = ciphers.fix(Buffer.allocUnsafeSlow(1))
  }

  of(bytes: Buffer): FixedMemory {
    if (this.last.bytes === bytes) return this.last
    let found = this.known.get(bytes)
    if (found === undefined) {
      found = this.ciphers.fix(bytes)
      this.known.set(bytes, found)
    }
    return (this.last = found)
  }
}
