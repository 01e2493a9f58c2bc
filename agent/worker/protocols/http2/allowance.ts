import type { Budget } from './limits.ts'

/** What is left of a budget. */
export class Allowance {
  private readonly budget: Budget
  private left: number
  private at = 0

  constructor(budget: Budget) {
    this.budget = budget
    this.left = budget.burst
  }

  /** False = used up. `now`: monotonic ms. */
  spend(now: number): boolean {
    const { burst, perSecond } = this.budget
    if (this.left < burst) this.left = Math.min(burst, this.left + ((now - this.at) * perSecond) / 1000)
    this.at = now
    this.left--
    return this.left >= 0
  }
}
