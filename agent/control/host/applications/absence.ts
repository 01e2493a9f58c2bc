/**
 * A local application that refused a connection of a caller. It counts as unwell from that moment on, whatever its
 * checks said last, until it takes connections again: looked for with TCP connects, soon at first, then less and less
 * often.
 */
import type { Clock } from '../../clock.ts'
import type { CheckSpec } from './application.ts'
import type { ProbeTarget } from './probe.ts'

export interface AbsenceDeps {
  readonly clock: Clock
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  /** It listens again. */
  onReturn(): void
}

const firstPauseMs = 100
const maxPauseMs = 2000
const look: CheckSpec = { kind: 'tcp', intervalMs: 0, timeoutMs: 1000, healthyThreshold: 1, unhealthyThreshold: 1 }

export class Absence {
  private readonly deps: AbsenceDeps
  private readonly target: ProbeTarget
  private pauseMs = firstPauseMs
  private cancel: () => void
  private isOver = false

  constructor(target: ProbeTarget, deps: AbsenceDeps) {
    this.target = target
    this.deps = deps
    this.cancel = deps.clock.after(this.pauseMs, () => void this.look())
  }

  stop(): void {
    this.isOver = true
    this.cancel()
  }

  private async look(): Promise<void> {
    const isBack = await this.deps.probe(look, this.target).then(
      () => true,
      () => false,
    )
    if (this.isOver) return
    if (isBack) {
      this.isOver = true
      this.deps.onReturn()
      return
    }
    this.pauseMs = Math.min(maxPauseMs, this.pauseMs * 2)
    this.cancel = this.deps.clock.after(this.pauseMs, () => void this.look())
  }
}
