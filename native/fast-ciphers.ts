/**
 * Authenticated encryption by the functions of the OpenSSL that is part of the running Node, without a wrapper
 * (`bare-functions.ts`): 0.5 µs for a record of 1 KiB instead of 10 to 16 by `node:crypto`. Ranges are looked at before
 * each call, contexts are used by this file alone and never after `free`.
 */
import { bareFunctions, fixMemory, takeFunction } from './bare-functions.ts'
import type { Bare, FixedMemory } from './bare-functions.ts'

/** Of TLS 1.3; each with a tag of 16 bytes and a nonce of 12. */
export type AeadName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

export const tagBytes = 16
export const nonceBytes = 12

export interface FastCiphers {
  fix(bytes: Buffer): FixedMemory
  /** Of the next `seal` or `open`, to be filled by the caller. */
  readonly nonce: Buffer
  /** `key` is copied. Throws where OpenSSL refuses. */
  create(name: AeadName, key: Buffer, seals: boolean): FastCipher
}

/** The `associated` bytes before `at`, or before `from`, are authenticated and not encrypted. */
export interface FastCipher {
  /**
   * Encrypts `source[from..to)` and the byte `last` behind it to `target[at..at + to - from + 1)`, and puts the tag
   * behind that.
   */
  seal(
    source: FixedMemory,
    from: number,
    to: number,
    last: number,
    target: FixedMemory,
    at: number,
    associated: number,
  ): void
  /** Decrypts `source[from..to - 16)` to `target[at...)`. False: the tag, which ends it, is wrong. */
  open(source: FixedMemory, from: number, to: number, target: FixedMemory, at: number, associated: number): boolean
  /** Wipes the key. Idempotent. */
  free(): void
}

export type FastCiphersOutcome =
  | { readonly ciphers: FastCiphers; readonly problem: undefined }
  | { readonly ciphers: undefined; readonly problem: string }

/** Answers a reason instead of throwing. Proves nothing yet: that is the caller's. */
export function openFastCiphers(): FastCiphersOutcome {
  const bare = bareFunctions()
  if (typeof bare === 'string') return { ciphers: undefined, problem: bare }
  try {
    return { ciphers: fastCiphers(bare), problem: undefined }
  } catch (error) {
    return { ciphers: undefined, problem: error instanceof Error ? error.message : String(error) }
  }
}

const constructors: Readonly<Record<AeadName, string>> = {
  'aes-128-gcm': 'EVP_aes_128_gcm',
  'aes-256-gcm': 'EVP_aes_256_gcm',
  'chacha20-poly1305': 'EVP_chacha20_poly1305',
}
const keyBytes: Readonly<Record<AeadName, number>> = {
  'aes-128-gcm': 16,
  'aes-256-gcm': 32,
  'chacha20-poly1305': 32,
}
/** EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG. */
const [getTag, setTag] = [0x10, 0x11]
/** Both directions say it once, at the key; -1 keeps it. */
const keepDirection = -1
/** In the scratch memory: the nonce, and one byte of content. */
const lastAt = 16
/** Longer is no record. */
const maxBytes = 32_768

function fastCiphers(bare: Bare): FastCiphers {
  const library = new bare.binding.DynamicLibrary(null)
  const take = (name: string, types: readonly string[], result = 'i32') =>
    takeFunction(bare, library, name, types, result)
  // without arguments there is no direct call, and none is needed: these are called once per key
  const plain = (name: string, result: string): unknown =>
    bare.getFunction.call(library, name, { arguments: [], return: result })
  const newContext = plain('EVP_CIPHER_CTX_new', 'pointer') as () => bigint
  const freeContext = take('EVP_CIPHER_CTX_free', ['u64'], 'void')
  const init = take('EVP_CipherInit_ex', ['u64', 'u64', 'u64', 'u64', 'u64', 'i32'])
  const run = take('EVP_Cipher', ['u64', 'u64', 'u64', 'u64'])
  const control = take('EVP_CIPHER_CTX_ctrl', ['u64', 'i32', 'i32', 'u64'])
  const clearErrors = plain('ERR_clear_error', 'void') as () => void
  const found = new Map<AeadName, bigint>()
  for (const [name, constructor] of Object.entries(constructors)) {
    found.set(name as AeadName, (plain(constructor, 'pointer') as () => bigint)())
  }

  const scratch = fixMemory(bare, Buffer.allocUnsafeSlow(64))
  const nonce = scratch.bytes.subarray(0, nonceBytes)
  const nonceAt = scratch.address
  const last = scratch.bytes
  const lastAddress = scratch.address + BigInt(lastAt)
  const widths = Array.from({ length: maxBytes }, (_, length) => BigInt(length))

  const address = (memory: FixedMemory, from: number, to: number): bigint => {
    if (from < 0 || from > to || to > memory.bytes.length) throw new RangeError(`${from}..${to} is outside`)
    return from === 0 ? memory.address : memory.address + (from < maxBytes ? widths[from]! : BigInt(from))
  }
  const width = (length: number): bigint => {
    if (length >= maxBytes) throw new RangeError(`${length} bytes at once`)
    return widths[length]!
  }

  return {
    fix: (bytes) => fixMemory(bare, bytes),
    nonce,
    create(name, key, seals) {
      if (key.length !== keyBytes[name]) throw new RangeError(`a key of ${key.length} bytes`)
      const own = fixMemory(bare, Buffer.allocUnsafeSlow(key.length))
      key.copy(own.bytes)
      let context = newContext()
      const isReady = context !== 0n && init(context, found.get(name)!, 0n, own.address, 0n, seals ? 1 : 0) === 1
      own.bytes.fill(0)
      if (!isReady) {
        if (context !== 0n) freeContext(context)
        clearErrors()
        throw new Error(`${name}: OpenSSL refuses the key`)
      }
      return {
        seal(source, from, to, lastByte, target, at, associated) {
          const length = to - from
          const body = address(target, at, at + length + 1 + tagBytes)
          const before = address(target, at - associated, at)
          const content = address(source, from, to)
          if (context === 0n) throw new Error('sealed after its end')
          last[lastAt] = lastByte
          const isDone =
            init(context, 0n, 0n, 0n, nonceAt, keepDirection) === 1 &&
            run(context, 0n, before, width(associated)) >= 0 &&
            (length === 0 || run(context, body, content, width(length)) >= 0) &&
            run(context, body + width(length), lastAddress, 1n) >= 0 &&
            run(context, 0n, 0n, 0n) >= 0 &&
            control(context, getTag, tagBytes, body + width(length + 1)) === 1
          if (isDone) return
          clearErrors()
          throw new Error('OpenSSL refuses to seal')
        },
        open(source, from, to, target, at, associated) {
          const length = to - from - tagBytes
          const content = address(source, from, to)
          const before = address(source, from - associated, from)
          const into = address(target, at, at + length)
          if (context === 0n) throw new Error('opened after its end')
          const isDone =
            control(context, setTag, tagBytes, content + width(length)) === 1 &&
            init(context, 0n, 0n, 0n, nonceAt, keepDirection) === 1 &&
            run(context, 0n, before, width(associated)) >= 0 &&
            (length === 0 || run(context, into, content, width(length)) >= 0) &&
            run(context, 0n, 0n, 0n) >= 0
          if (!isDone) clearErrors()
          return isDone
        },
        free() {
          if (context === 0n) return
          freeContext(context)
          context = 0n
        },
      }
    },
  }
}
