/** When the loop of the main thread counts as standing while no filter is in a call, by looks as in `hang-rule.ts`. */
import { lookMs } from './hang-rule.ts'

/** 2.5 s, before the watchdog loses patience (4 s at least). */
const stalledLooks = 25

export class StallRule {
  private beat = 0
  private looks = 0

  /** `running`: number of a filter, 0 = none. True once for each time that the loop stands. */
  look(running: number, beat: number): boolean {
    if (running !== 0 || beat !== this.beat) {
      this.beat = beat
      this.looks = 0
      return false
    }
    return ++this.looks === stalledLooks
  }

  get heldMs(): number {
    return this.looks * lookMs
  }
}
