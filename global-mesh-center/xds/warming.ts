/**
 * Clusters that a client just got and whose endpoints it has not been told: until then it does not use them, so what
 * leads to them waits. Not for ever: a registry may be silent about one, and a client need not ask.
 */
import type { Clock } from '../../agent/control/clock.ts'

const patienceMs = 3000

export class Warming {
  private readonly clock: Pick<Clock, 'after'>
  private readonly names = new Set<string>()
  private readonly onOver: () => void
  private cancel: (() => void) | undefined

  constructor(clock: Pick<Clock, 'after'>, onOver: () => void) {
    this.clock = clock
    this.onOver = onOver
  }

  get isGoingOn(): boolean {
    return this.names.size > 0
  }

  begin(name: string): void {
    this.names.add(name)
    this.cancel ??= this.clock.after(patienceMs, () => {
      this.close()
      this.onOver()
    })
  }

  end(name: string): void {
    if (this.names.delete(name) && this.names.size === 0) this.close()
  }

  close(): void {
    this.names.clear()
    this.cancel?.()
    this.cancel = undefined
  }
}
