/**
 * The proof that a relayed connection comes from a host of the mesh: an HMAC over the whole PROXY header by a secret
 * that hosts and centers share, in a TLV of its own, with the time and a number used once. Value: version (1 byte, 1),
 * epoch ms (8 bytes, network order), number (16 bytes), HMAC-SHA256 (32 bytes) over all bytes of the header before it.
 * The TLV is the last one.
 *
 * It proves who made the header, no more: what follows on the connection is neither secret nor protected.
 *
 * `node:crypto` is loaded with the first proof: a worker without relays does without its 1.6 MiB.
 */
import { MeshError } from './errors.ts'
import { encodeProxyV2 } from './proxy-protocol.ts'
import type { ProxyHeader } from './proxy-protocol.ts'
import { proxyTlv } from './words.ts'

/** How far the clocks of a host and a center may be apart, and how long a center remembers a number, ms. */
export const proofAgeMs = 30_000

const version = 1
const numberBytes = 16
const macBytes = 32
const proofBytes = 1 + 8 + numberBytes + macBytes
const shortestSecret = 32
const longestSecret = 512

const crypto = () => process.getBuiltinModule('node:crypto')

/**
 * The keys of a secret file: one per line, the first one signs, each is accepted; a second one is there while the
 * secret is being changed. Throws E_CONFIG_INVALID, without a byte of the secret.
 */
export function readRelayKeys(text: string): readonly Buffer[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length < 1 || lines.length > 2)
    throw new MeshError('E_CONFIG_INVALID', `${lines.length} secrets, allowed 1, or 2 while they are being changed`)
  for (const line of lines)
    if (!/^[\x21-\x7e]+$/.test(line) || line.length < shortestSecret || line.length > longestSecret)
      throw new MeshError(
        'E_CONFIG_INVALID',
        `a secret of ${line.length} characters, allowed ${shortestSecret} to ${longestSecret} visible ASCII characters; openssl rand -base64 48 makes one`,
      )
  return lines.map((line) => Buffer.from(line, 'latin1'))
}

/** The header with its proof. now: epoch ms; number: 16 random bytes, never used before. */
export function encodeProvenHeader(header: ProxyHeader, key: Buffer, now: number, number: Buffer): Buffer {
  const value = Buffer.alloc(proofBytes)
  value[0] = version
  value.writeBigUInt64BE(BigInt(Math.floor(now)), 1)
  number.copy(value, 9, 0, numberBytes)
  const bytes = encodeProxyV2({ ...header, tlvs: [...header.tlvs, { type: proxyTlv.proof, value }] })
  const end = bytes.length - macBytes
  macOf(bytes.subarray(0, end), key).copy(bytes, end)
  return bytes
}

export type ProofVerdict =
  /** `number`: to be refused when it comes again within `proofAgeMs`, from either side of now. */
  { readonly kind: 'good'; readonly number: string } | { readonly kind: 'missing' | 'wrong' | 'stale' }

/** Judges a header as it was received, whole and alone in `bytes`. now: epoch ms. */
export function checkProof(bytes: Buffer, header: ProxyHeader, keys: readonly Buffer[], now: number): ProofVerdict {
  const last = header.tlvs.at(-1)
  if (last?.type !== proxyTlv.proof) return { kind: 'missing' }
  const { value } = last
  if (value.length !== proofBytes || value[0] !== version) return { kind: 'wrong' }
  const end = bytes.length - macBytes
  const mac = bytes.subarray(end)
  let isRight = false
  for (const key of keys) if (crypto().timingSafeEqual(macOf(bytes.subarray(0, end), key), mac)) isRight = true
  if (!isRight) return { kind: 'wrong' }
  if (Math.abs(Number(value.readBigUInt64BE(1)) - now) > proofAgeMs) return { kind: 'stale' }
  return { kind: 'good', number: value.toString('latin1', 9, 9 + numberBytes) }
}

function macOf(bytes: Buffer, key: Buffer): Buffer {
  return crypto().createHmac('sha256', key).update(bytes).digest()
}
