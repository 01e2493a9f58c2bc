/**
 * When a filter counts as holding its worker up: by the looks of a thread beside it, not by a clock, so that a process
 * that was stopped as a whole is not blamed.
 */
export const lookMs = 100
/** The file that names it is written after so many looks, in case the process dies before the last one. */
const suspectLooks = 5
/** 2 s: the process ends. Half of what the watchdog waits at least. */
const hungLooks = 20

export type HangSign = 'none' | 'suspect' | 'cleared' | 'hung'

export class HangRule {
  private call = 0
  private looks = 0

  /** `filter`: which runs, 0 = none; `call`: which call of any filter. */
  look(filter: number, call: number): HangSign {
    if (filter === 0 || call !== this.call) {
      const wasSuspect = this.looks >= suspectLooks
      this.call = call
      this.looks = 0
      return wasSuspect ? 'cleared' : 'none'
    }
    this.looks++
    if (this.looks === suspectLooks) return 'suspect'
    return this.looks === hungLooks ? 'hung' : 'none'
  }

  get heldMs(): number {
    return this.looks * lookMs
  }
}
