/**
 * Random by weight.
 *
 * Why: no state at all, so many workers and hosts never fall into step; the spread is right on average only, so a short
 * burst can hit one endpoint. Cold start and recovery: nothing to learn; a warming endpoint is drawn with its warm
 * share.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Picker, PickerSettings } from './picker.ts'
import type { PickContext } from './types.ts'
import { WeightedDraw } from './weighted-draw.ts'

export class RandomPicker implements Picker {
  private readonly draw: WeightedDraw

  constructor(states: readonly LiveEndpoint[], settings: PickerSettings) {
    this.draw = new WeightedDraw(states, settings)
  }

  pick(context: PickContext): LiveEndpoint {
    return this.draw.states[this.draw.draw(context)]!
  }
}
