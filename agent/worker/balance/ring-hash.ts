/**
 * Ring hash: each endpoint owns many points on a circle of 2^32; a key belongs to the owner of the next point.
 *
 * Why: requests of one key (a user, a session) meet the same endpoint, on every host of the fleet, and a change of the
 * set moves only the keys of the endpoints that came or went. Idea: Karger and others, Consistent Hashing and Random
 * Trees, 1997. Unusable endpoints keep their points: their keys walk on to the next usable owner and come back when it
 * recovers; nobody else's key moves. Weights: points in proportion. An endpoint of mean weight has the minimum size of
 * the ring as its number of points, so nobody else's points change when one comes or goes. That number is halved where
 * a ring would grow too large: with the default size at 65, 129, 257 and so on endpoints, down to 64 points. Warm-up
 * has no say here: a key's place is not a matter of time. Requests without a key are spread at random by weight.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { firstSeed, hashText, mixBits, secondSeed } from './hashing.ts'
import type { KeyTable } from './key-picker.ts'
import { sortPoints } from './radix-sort.ts'

/** Points in all, at most: 8 MiB of memory. */
const maxRingSize = 1_048_576

/**
 * Points per endpoint of mean weight, at least, while the ring's bound allows: with 64 the share of an endpoint is
 * right within about an eighth.
 */
const leastPoints = 64

/** Points in all, where endpoints need not have fewer than `leastPoints` for it: sorted in about 3 ms. */
const usualRingSize = 65_536

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
  // The mean counts as a power of two, or each change of one weight would move all points.
  const perPoint = sum / 2 ** Math.floor(Math.log2(sum / members.length))
  const usual = perPoint * leastPoints <= usualRingSize ? usualRingSize : maxRingSize
  const most = Math.min(maxRingSize, Math.max(usual, minimumRingSize * 2))
  let points = powerOfTwoFrom(Math.max(leastPoints, minimumRingSize))
  while (points > 1 && perPoint * points > most) points /= 2
  const perWeight = (perPoint * points) / sum
  const counts = new Uint32Array(members.length)
  for (let index = 0; index < members.length; index++) {
    counts[index] = Math.max(1, Math.round(members[index]!.weight * perWeight))
  }
  return counts
}

function powerOfTwoFrom(least: number): number {
  return 2 ** Math.ceil(Math.log2(least))
}
