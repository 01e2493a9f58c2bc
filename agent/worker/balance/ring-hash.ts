/**
 * Ring hash: each endpoint owns many points on a circle of 2^32; a key belongs to the owner of the next point.
 *
 * Why: requests of one key (a user, a session) meet the same endpoint, on every host of the fleet, and a change of the set moves only the keys of the
 * endpoints that came or went. Idea: Karger and others, Consistent Hashing and Random Trees, 1997.
 * Unusable endpoints keep their points: their keys walk on to the next usable owner and come back when it recovers; nobody else's key moves.
 * Weights: points in proportion. The number of points per unit of weight is a power of two, so it changes only when the ring must double or halve.
 * Warm-up has no say here: a key's place is not a matter of time. Requests without a key are spread at random by weight.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { firstSeed, hashText, mixBits, secondSeed } from './hashing.ts'
import type { KeyTable } from './key-picker.ts'
import { sortPoints } from './radix-sort.ts'

/** Points in all, at most: 8 MiB of memory. */
const maxRingSize = 1_048_576

/** Points per endpoint of mean weight, at least, while the ring's bound allows: with 64 the share of an endpoint is right within about an eighth. */
const pointsPerEndpoint = 64

/** The points in order; built from the members of a group, usable or not. */
export class Ring implements KeyTable {
  readonly points: Uint32Array
  readonly owners: Uint32Array
  readonly members: readonly LiveEndpoint[]

  constructor(members: readonly LiveEndpoint[], minimumRingSize: number) {
    this.members = members
    const counts = countPoints(members, minimumRingSize)
    let size = 0
    for (const count of counts) size += count
    const points = new Uint32Array(size)
    const owners = new Uint32Array(size)
    let at = 0
    for (let owner = 0; owner < members.length; owner++) {
      const first = hashText(members[owner]!.id, firstSeed)
      const second = hashText(members[owner]!.id, secondSeed) | 1
      for (let nth = 0; nth < counts[owner]!; nth++) {
        points[at] = mixBits(first + Math.imul(nth, second))
        owners[at++] = owner
      }
    }
    const sorted = sortPoints(points, owners)
    this.points = sorted.points
    this.owners = sorted.owners
  }

  /** Index of the first point at or behind `hash`, around the circle. */
  find(hash: number): number {
    const points = this.points
    let low = 0
    let high = points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (points[middle]! < hash) low = middle + 1
      else high = middle
    }
    return low === points.length ? 0 : low
  }
}

function countPoints(members: readonly LiveEndpoint[], minimumRingSize: number): Uint32Array {
  let sum = 0
  for (const member of members) sum += member.weight
  // Rounded to a power of two below: down by at most the root of two, so the minimum is asked for times that.
  const wanted = Math.min(maxRingSize / 2, Math.max(Math.SQRT2 * minimumRingSize, pointsPerEndpoint * members.length))
  const perWeight = 2 ** Math.round(Math.log2(wanted / sum))
  const counts = new Uint32Array(members.length)
  for (let index = 0; index < members.length; index++) {
    counts[index] = Math.max(1, Math.round(members[index]!.weight * perWeight))
  }
  return counts
}
