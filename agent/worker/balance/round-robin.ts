/**
 * Smooth weighted round robin: everybody in turn, heavier endpoints more often, never in bursts.
 *
 * Why: the fairest spread where requests cost about the same; the order of turns is what an operator can predict.
 * How: with equal weights a rotating index. With unequal ones earliest deadline first: each endpoint's next turn is
 * 1/weight later in virtual time than its last one, and a heap hands out the earliest (O(log n), so 10,000 endpoints
 * are fine). Cold start: the first turn is at a random place, or all hosts of a fleet would begin with the same
 * endpoint. A new endpoint joins at a random point of its first interval, and a warming one's turns are further apart.
 * Recovery: an endpoint that was left out for a while gets no turns in arrears.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import { haveEqualWeights } from './picker.ts'
import type { Picker, PickerSettings } from './picker.ts'
import { warmShare } from './slow-start.ts'
import type { PickContext, Random } from './types.ts'

export class RoundRobinPicker implements Picker {
  private readonly states: LiveEndpoint[]
  private readonly isRotating: boolean
  private readonly warmupMs: number
  private cursor: number
  /** One number, in an array so that no new value is boxed. */
  private readonly virtualNow: Float64Array

  constructor(states: readonly LiveEndpoint[], settings: PickerSettings, random: Random, previous: Picker | null) {
    const before = previous instanceof RoundRobinPicker ? previous : null
    this.states = [...states]
    this.isRotating = !settings.isWarming && haveEqualWeights(states)
    this.warmupMs = settings.warmupMs
    this.cursor = before === null ? Math.floor(random() * states.length) : before.cursor % states.length
    this.virtualNow = before?.virtualNow ?? new Float64Array(1)
    if (!this.isRotating) this.makeHeap(random, before !== null && !before.isRotating)
  }

  pick(context: PickContext): LiveEndpoint {
    if (this.isRotating) {
      const cursor = this.cursor
      this.cursor = cursor + 1 === this.states.length ? 0 : cursor + 1
      return this.states[cursor]!
    }
    const state = this.states[0]!
    this.virtualNow[0] = state.turnAt
    const share = this.warmupMs > 0 ? warmShare(state, context.now, this.warmupMs) : 1
    state.turnAt += 1 / (state.weight * share)
    this.sink(0)
    return state
  }

  private makeHeap(random: Random, keepsTurns: boolean): void {
    const virtualNow = this.virtualNow[0]!
    for (const state of this.states) {
      const interval = 1 / state.weight
      const isInTurn = keepsTurns && state.turnAt >= virtualNow && state.turnAt <= virtualNow + 10 * interval
      if (!isInTurn) state.turnAt = virtualNow + random() * interval
    }
    for (let index = (this.states.length >> 1) - 1; index >= 0; index--) this.sink(index)
  }

  private sink(start: number): void {
    const states = this.states
    const count = states.length
    const moving = states[start]!
    let index = start
    for (;;) {
      let child = 2 * index + 1
      if (child >= count) break
      if (child + 1 < count && states[child + 1]!.turnAt < states[child]!.turnAt) child++
      const other = states[child]!
      if (other.turnAt >= moving.turnAt) break
      states[index] = other
      index = child
    }
    states[index] = moving
  }
}
