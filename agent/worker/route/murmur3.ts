/**
 * MurmurHash3, 32 bits (x86 variant, public domain algorithm by Austin Appleby), over the UTF-8 bytes of a string: the
 * one hash of consistent-hash policies, so that every agent sends the same key to the same endpoint. Never for anything
 * that an attacker must not steer: it is not keyed.
 */
export function murmur3(text: string, seed = 0): number {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return murmur3Bytes(Buffer.from(text, 'utf8'), seed)
  }
  let hash = seed
  const blocks = text.length & ~3
  let at = 0
  for (; at < blocks; at += 4) {
    hash = mixBlock(
      hash,
      text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24),
    )
  }
  let tail = 0
  for (let i = text.length - 1; i >= at; i--) tail = (tail << 8) | text.charCodeAt(i)
  return finish(hash, tail, text.length)
}

/** The same over bytes. */
export function murmur3Bytes(bytes: Uint8Array, seed = 0): number {
  let hash = seed
  const blocks = bytes.length & ~3
  let at = 0
  for (; at < blocks; at += 4) {
    hash = mixBlock(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
  }
  let tail = 0
  for (let i = bytes.length - 1; i >= at; i--) tail = (tail << 8) | bytes[i]!
  return finish(hash, tail, bytes.length)
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function finish(hash: number, tail: number, length: number): number {
  let h = hash ^ scramble(tail) ^ length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
