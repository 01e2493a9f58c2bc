/**
 * Maglev: a fixed table of owners, filled by each endpoint's own permutation; a key is one look-up.
 *
 * Why: the same promise as the ring with a far more even spread (within about n/size) at constant cost per pick; a change of the set moves a few more keys
 * than the ring does. Source: Eisenbud and others, Maglev: A Fast and Reliable Software Network Load Balancer, 2016, section 3.4; weights as in Envoy.
 * Unusable endpoints keep their slots: their keys go on to the next usable owner in the table and come back when it recovers.
 * Requests without a key are spread at random by weight. Warm-up has no say here.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { firstSeed, hashText, mixBits, secondSeed } from './hashing.ts'
import { isTried } from './picker.ts'
import type { Picker, PickerSettings } from './picker.ts'
import { maxWalk } from './ring-hash.ts'
import type { PickContext } from './types.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Largest table (Envoy's bound): a prime. */
export const maxTableSize = 5_000_011

export class MaglevTable {
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

export class MaglevPicker implements Picker {
  private readonly table: MaglevTable
  private readonly fallback: WeightedDraw

  constructor(table: MaglevTable, pickable: readonly LiveEndpoint[], settings: PickerSettings) {
    this.table = table
    this.fallback = new WeightedDraw(pickable, settings)
  }

  pick(context: PickContext): LiveEndpoint {
    const pickable = this.fallback.states
    if (!context.hasHash) return pickable[this.fallback.draw(context)]!
    const { owners, members } = this.table
    const hash = mixBits(context.hash)
    let index = hash % owners.length
    for (let walked = 0; walked < maxWalk; walked++) {
      const state = members[owners[index]!]!
      if (state.isPickable && !isTried(context, state)) return state
      index = index + 1 === owners.length ? 0 : index + 1
    }
    return pickable[mixBits(hash) % pickable.length]!
  }
}
