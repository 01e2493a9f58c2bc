/**
 * Random numbers for spreading load: mulberry32, uniform enough for that and for nothing secret.
 *
 * Why not `Math.random`: handed in as a value it cannot be inlined, so each number is boxed (16 bytes of garbage per call). And a seed makes tests repeatable.
 * Each worker must have a seed of its own, else all of them draw the same endpoints.
 */
import type { Random } from './types.ts'

export function seededRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
