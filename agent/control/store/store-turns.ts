/** What a store does, one after the other, and between them its looks at what others wrote. */
import type { Clock } from '../../../contracts/clock.ts'

/** A store is looked at so often whatever is heard of it, for something may not have been heard, ms. */
const lookMs = 5000
/** The same while it cannot be read. */
const lookAgainMs = 500

export class StoreTurns {
  private readonly clock: Pick<Clock, 'after'>
  private readonly look: () => Promise<boolean>
  private queue: Promise<unknown> = Promise.resolve()
  private cancelLook: (() => void) | undefined
  private isLookQueued = false
  private isClosed = false

  /** `look` never rejects; it says whether the store can be read. */
  constructor(clock: Pick<Clock, 'after'>, look: () => Promise<boolean>) {
    this.clock = clock
    this.look = look
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.queue.then(work)
    this.queue = run.catch(() => undefined)
    return run
  }

  /** However often it is called, one look waits for its turn. */
  lookSoon(): void {
    if (this.isLookQueued || this.isClosed) return
    this.isLookQueued = true
    void this.inTurn(async () => {
      this.isLookQueued = false
      if (this.isClosed) return
      const isReadable = await this.look()
      this.cancelLook?.()
      if (!this.isClosed) this.cancelLook = this.clock.after(isReadable ? lookMs : lookAgainMs, () => this.lookSoon())
    })
  }

  /** Looks no more. Resolves after what is in turn. */
  async close(): Promise<void> {
    this.isClosed = true
    this.cancelLook?.()
    await this.queue
  }
}
