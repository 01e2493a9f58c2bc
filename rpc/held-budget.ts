/** So much of it one holder may have: nobody keeps others from sending by frames that he does not end. */
const holderShare = 0.25

/**
 * Memory for frames that are not whole yet, or wait for their reply, over all connections of a process: whoever cannot
 * take his part here must refuse the frame.
 */
export class HeldBudget {
  /** Taken now. */
  bytes = 0
  readonly maxBytes: number
  private readonly byHolder = new Map<string, number>()

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** `holder`: whose part it is, an application or an address. */
  take(count: number, holder: string): boolean {
    const held = (this.byHolder.get(holder) ?? 0) + count
    if (count > 0 && (this.bytes + count > this.maxBytes || held > this.maxBytes * holderShare)) return false
    this.bytes += count
    if (held > 0) this.byHolder.set(holder, held)
    else this.byHolder.delete(holder)
    return true
  }

  give(count: number, holder: string): void {
    if (count > 0) this.take(-count, holder)
  }
}
