/** A part of a center that looks at what is under way once a second while its generation leads. */
import type { LeadingPart, PartDeps } from '../agent/control/leading-part.ts'
import { every } from '../contracts/clock.ts'

const lookMs = 1000

export abstract class LookingPart implements LeadingPart {
  protected abstract readonly deps: Pick<PartDeps, 'clock'>
  private cancel: () => void = () => undefined

  protected abstract look(): void

  open(): Promise<void> {
    this.cancel()
    this.cancel = every(this.deps.clock, lookMs, () => this.look())
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.cancel()
    return Promise.resolve()
  }

  /** What goes wrong with one that is under way is told where that is shown. */
  faults(): readonly string[] {
    return []
  }
}
