/** What the worker keeps of one caller: an application, a user of this host, a workload, or an address. */
export class CallerAccount {
  readonly name: string
  /** Answers of ours that refused it. */
  refusals = 0
  /** Those that were held back. */
  slowed = 0
  /** Requests that waited for their turn. */
  waits = 0
  /** Monotonic ms up to which the free rate of refusals is used up. */
  paidUntil = 0
  /** Requests that began in loop turn `turn`. */
  begun = 0
  turn = -1

  constructor(name: string) {
    this.name = name
  }
}
