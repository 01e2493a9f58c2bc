/**
 * Maglev: a fixed table of owners, filled by each endpoint's own permutation; a key is one look-up.
 *
 * Why: the same promise as the ring with a far more even spread (within about n/size) at constant cost per pick; a
 * change of the set moves a few more keys than the ring does. Source: Eisenbud and others, Maglev: A Fast and Reliable
 * Software Network Load Balancer, 2016, section 3.4; weights as in Envoy. Unusable endpoints keep their slots: their
 * keys go on to the next usable owner in the table and come back when it recovers. Requests without a key are spread at
 * random by weight. Warm-up has no say here.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { firstSeed, hashText, secondSeed } from './hashing.ts'
import type { KeyTable } from './key-picker.ts'

/** Largest table (Envoy's bound): a prime. */
const maxTableSize = 5_000_011

export class MaglevTable implements KeyTable {
  readonly owners: Uint32Array
  readonly members: readonly LiveEndpoint[]

  /** `tableSize` is raised to the next prime, because every step through the table must reach each slot. */
  constructor(members: readonly LiveEndpoint[], tableSize: number) {
    const size = primeFrom(Math.min(Math.max(2, Math.floor(tableSize)), maxTableSize))
    const free = 0xffff_ffff
    const owners = new Uint32Array(size).fill(free)
    const count = members.length
    const positions = new Uint32Array(count)
    const steps = new Uint32Array(count)
    const credits = new Float64Array(count)
    let heaviest = 0
    for (let index = 0; index < count; index++) {
      const member = members[index]!
      positions[index] = hashText(member.id, firstSeed) % size
      steps[index] = 1 + (hashText(member.id, secondSeed) % (size - 1))
      heaviest = Math.max(heaviest, member.weight)
    }
    let filled = 0
    while (filled < size) {
      for (let index = 0; index < count && filled < size; index++) {
        credits[index] = credits[index]! + members[index]!.weight / heaviest
        if (credits[index]! < 1) continue
        credits[index] = credits[index]! - 1
        let position = positions[index]!
        while (owners[position] !== free) position = (position + steps[index]!) % size
        owners[position] = index
        positions[index] = (position + steps[index]!) % size
        filled++
      }
    }
    this.owners = owners
    this.members = members
  }

  find(hash: number): number {
    return hash % this.owners.length
  }
}

function primeFrom(start: number): number {
  for (let candidate = start; ; candidate++) {
    let isPrime = candidate % 2 === 1 || candidate === 2
    for (let divisor = 3; isPrime && divisor * divisor <= candidate; divisor += 2) {
      if (candidate % divisor === 0) isPrime = false
    }
    if (isPrime) return candidate
  }
}
