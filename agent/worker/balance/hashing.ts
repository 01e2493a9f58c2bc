/**
 * The hashes of consistent hashing. All hosts of a fleet must agree on them, so they are part of the behaviour: never
 * change them lightly.
 */

/** FNV-1a over the UTF-16 units, 32 bits. */
export function hashText(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return mixBits(hash)
}

/** MurmurHash3's finaliser: every bit of the input moves every bit of the output; unsigned 32 bits. */
export function mixBits(value: number): number {
  let hash = value >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * Two independent hashes of an endpoint's identity: two endpoints of a large set that share one of them still differ in
 * the other.
 */
export const firstSeed = 0
export const secondSeed = 0x9e3779b9
