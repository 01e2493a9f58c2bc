import { addedFigures, type DryRunAnswer, type DryRunFigures } from '../../../contracts/dry-run.ts'
import type { Answer } from '../core/snapshot/publisher.ts'

/** What workers found: those that run, those that died, and what they found by a version of the rules before. */
export class WorkerFigures {
  private kept: DryRunFigures[] = []
  private readonly newest = new Map<number, DryRunFigures>()

  take({ pid, body }: Answer): void {
    this.newest.set(pid, (body as DryRunAnswer).figures)
  }

  /** Workers count from nothing from here on. */
  settle(): void {
    this.kept = [this.sum()]
    this.newest.clear()
  }

  sum(): DryRunFigures {
    return addedFigures([...this.kept, ...this.newest.values()])
  }
}
