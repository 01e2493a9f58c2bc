/**
 * Least request: draws a few endpoints by weight and takes the one with the fewest requests in flight for its weight.
 *
 * Why: follows slow and stuck endpoints at once, without measuring time; the power of two choices comes close to a full
 * search at constant cost and without the herding of "everybody to the emptiest" (Mitzenmacher, The Power of Two
 * Choices in Randomized Load Balancing, 2001). With nothing in flight the first draw stands, so quiet services are
 * spread exactly by weight. Cold start: a new endpoint has nothing in flight and is taken whenever it is drawn, not
 * more often: no flood. Warm-up makes it drawn less often. Blind spot: an endpoint that fails fast looks empty. Outlier
 * detection is the answer to that, or `peak-ewma`.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Picker, PickerSettings } from './picker.ts'
import type { PickContext } from './types.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** More draws than this cost more than they bring. */
const maxChoices = 16

export class LeastRequestPicker implements Picker {
  private readonly draw: WeightedDraw
  private readonly choices: number

  constructor(states: readonly LiveEndpoint[], settings: PickerSettings, choices: number) {
    this.draw = new WeightedDraw(states, settings)
    this.choices = states.length === 1 ? 1 : Math.min(Math.max(2, choices), maxChoices)
  }

  pick(context: PickContext): LiveEndpoint {
    const states = this.draw.states
    const first = this.draw.draw(context)
    let best = states[first]!
    if (this.choices === 1) return best
    const second = states[this.draw.drawOther(context, first)]!
    if (second.activeRequests * best.weight < best.activeRequests * second.weight) best = second
    for (let drawn = 2; drawn < this.choices; drawn++) {
      const other = states[this.draw.draw(context)]!
      if (other.activeRequests * best.weight < best.activeRequests * other.weight) best = other
    }
    return best
  }
}
