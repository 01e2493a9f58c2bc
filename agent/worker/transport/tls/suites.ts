import type { AeadName } from '../../../../native/fast-ciphers.ts'

/** The cipher suites of TLS 1.3 that are spoken here, by their standard names. */
export interface Suite {
  readonly name: string
  readonly aead: AeadName
  readonly keyBytes: number
  readonly hash: 'sha256' | 'sha384'
  readonly hashBytes: number
}

const all: readonly Suite[] = [
  { name: 'TLS_AES_128_GCM_SHA256', aead: 'aes-128-gcm', keyBytes: 16, hash: 'sha256', hashBytes: 32 },
  { name: 'TLS_AES_256_GCM_SHA384', aead: 'aes-256-gcm', keyBytes: 32, hash: 'sha384', hashBytes: 48 },
  { name: 'TLS_CHACHA20_POLY1305_SHA256', aead: 'chacha20-poly1305', keyBytes: 32, hash: 'sha256', hashBytes: 32 },
]

/** In order of preference. */
export const suiteNames: readonly string[] = all.map(({ name }) => name)

export function suiteNamed(name: string): Suite | undefined {
  return all.find((one) => one.name === name)
}
