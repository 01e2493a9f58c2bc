/**
 * Draws an endpoint by weight in constant time (Vose's alias method; a plain index where all weights are equal).
 * A warming endpoint is accepted only with its warm share, else drawn again: exactly its share, without new tables
 * while it warms.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { haveEqualWeights } from './picker.ts'
import type { PickerSettings } from './picker.ts'
import { warmShare } from './slow-start.ts'
import type { PickContext } from './types.ts'

/**
 * A bound for the redraws: with every endpoint at the smallest warm share of a tenth, all 16 fail in fewer than one of
 * five draws; the last one then stands.
 */
const maxDraws = 16

export class WeightedDraw {
  readonly states: readonly LiveEndpoint[]
  private readonly count: number
  /** null: all weights are equal. */
  private readonly keepShare: Float64Array | null
  private readonly alias: Int32Array
  private readonly isWarming: boolean
  private readonly warmupMs: number

  constructor(states: readonly LiveEndpoint[], settings: PickerSettings) {
    this.states = states
    this.count = states.length
    this.isWarming = settings.isWarming
    this.warmupMs = settings.warmupMs
    this.alias = new Int32Array(haveEqualWeights(states) ? 0 : states.length)
    this.keepShare = this.alias.length === 0 ? null : fillAliasTable(states, this.alias)
  }

  draw(context: PickContext): number {
    let index = this.drawByWeight(context)
    if (!this.isWarming) return index
    for (let draws = 1; draws < maxDraws; draws++) {
      const share = warmShare(this.states[index]!, context.now, this.warmupMs)
      if (share >= 1 || context.random() < share) return index
      index = this.drawByWeight(context)
    }
    return index
  }

  /** A second candidate that differs from the first; only for lists of two and more. */
  drawOther(context: PickContext, first: number): number {
    for (let draws = 0; draws < 3; draws++) {
      const index = this.draw(context)
      if (index !== first) return index
    }
    const next = first + 1 + Math.floor(context.random() * (this.count - 1))
    return next >= this.count ? next - this.count : next
  }

  private drawByWeight(context: PickContext): number {
    const scaled = context.random() * this.count
    const index = Math.floor(scaled)
    if (this.keepShare === null) return index
    return scaled - index < this.keepShare[index]! ? index : this.alias[index]!
  }
}

function fillAliasTable(states: readonly LiveEndpoint[], alias: Int32Array): Float64Array {
  const count = states.length
  const keepShare = new Float64Array(count)
  let sum = 0
  for (const state of states) sum += state.weight
  const small: number[] = []
  const large: number[] = []
  for (let index = 0; index < count; index++) {
    keepShare[index] = (states[index]!.weight * count) / sum
    ;(keepShare[index]! < 1 ? small : large).push(index)
  }
  while (small.length > 0 && large.length > 0) {
    const less = small.pop()!
    const more = large[large.length - 1]!
    alias[less] = more
    keepShare[more] = keepShare[more]! - (1 - keepShare[less]!)
    if (keepShare[more]! < 1) small.push(large.pop()!)
  }
  // What is left is 1 but for rounding.
  for (const index of small) keepShare[index] = 1
  for (const index of large) keepShare[index] = 1
  return keepShare
}
