/**
 * The health of one local application over time: checks at an interval, counted by thresholds.
 *
 * Until the first check there is no verdict, and the first check alone decides it; after that it takes
 * `unhealthyThreshold` bad or `healthyThreshold` good answers in a row to turn it. A restored verdict (the last run's)
 * counts as one already, so a restart of the agent makes nothing flap.
 */
import type { Clock } from '../../clock.ts'
import type { CheckSpec } from './application.ts'
import type { ProbeTarget } from './probe.ts'

export interface HealthDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly probe: (spec: CheckSpec, target: ProbeTarget) => Promise<void>
  /** `reason` of a bad verdict. */
  onVerdict(isHealthy: boolean, reason: string | undefined): void
}

export class HealthWatch {
  private readonly deps: HealthDeps
  private readonly spec: CheckSpec
  private readonly target: ProbeTarget
  private verdictNow: boolean | undefined
  private run = 0
  private cancel: (() => void) | undefined
  private isStopped = false
  /** Why the last check failed. */
  lastProblem: string | undefined

  constructor(spec: CheckSpec, target: ProbeTarget, restored: boolean | undefined, deps: HealthDeps) {
    this.spec = spec
    this.target = target
    this.deps = deps
    this.verdictNow = restored
  }

  get verdict(): boolean | undefined {
    return this.verdictNow
  }

  start(): void {
    void this.look()
  }

  stop(): void {
    this.isStopped = true
    this.cancel?.()
  }

  private async look(): Promise<void> {
    let problem: string | undefined
    try {
      await this.deps.probe(this.spec, this.target)
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    }
    if (this.isStopped) return
    this.lastProblem = problem
    this.count(problem === undefined)
    // a tenth of jitter: a host with a hundred applications does not check them all in one millisecond
    const pause = this.spec.intervalMs * (0.95 + this.deps.random() * 0.1)
    this.cancel = this.deps.clock.after(pause, () => void this.look())
  }

  private count(isGood: boolean): void {
    if (this.verdictNow === undefined) {
      this.turn(isGood)
      return
    }
    if (isGood === this.verdictNow) {
      this.run = 0
      return
    }
    this.run++
    if (this.run >= (isGood ? this.spec.healthyThreshold : this.spec.unhealthyThreshold)) this.turn(isGood)
  }

  private turn(isHealthy: boolean): void {
    this.verdictNow = isHealthy
    this.run = 0
    this.deps.onVerdict(isHealthy, this.lastProblem)
  }
}
