/**
 * Picks by key from a consistent-hash table: the owner of the key's place, or of the next place whose owner is usable.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { mixBits } from './hashing.ts'
import { isTried } from './picker.ts'
import type { Picker, PickerSettings } from './picker.ts'
import type { PickContext } from './types.ts'
import { WeightedDraw } from './weighted-draw.ts'

/**
 * Places that a key walks past unusable owners before it takes any usable endpoint; with half of them unusable never
 * reached in practice.
 */
const maxWalk = 64

export interface KeyTable {
  /** For each place the index of its member. */
  readonly owners: Uint32Array
  readonly members: readonly LiveEndpoint[]
  /** The place of a hash of 32 bits. */
  find(hash: number): number
}

export class KeyPicker implements Picker {
  private readonly table: KeyTable
  private readonly fallback: WeightedDraw

  constructor(table: KeyTable, pickable: readonly LiveEndpoint[], settings: PickerSettings) {
    this.table = table
    this.fallback = new WeightedDraw(pickable, settings)
  }

  pick(context: PickContext): LiveEndpoint {
    const pickable = this.fallback.states
    if (!context.hasHash) return pickable[this.fallback.draw(context)]!
    const { owners, members } = this.table
    const hash = mixBits(context.hash)
    let index = this.table.find(hash)
    for (let walked = 0; walked < maxWalk; walked++) {
      const state = members[owners[index]!]!
      if (state.isPickable && !isTried(context, state)) return state
      index = index + 1 === owners.length ? 0 : index + 1
    }
    return pickable[mixBits(hash) % pickable.length]!
  }
}
