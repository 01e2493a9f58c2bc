/**
 * All generations of this host and which of them is what. The only mutable state that the parts of the watchdog share.
 */
import type { Release } from '../../contracts/handoff.ts'
import type { Canary } from '../handoff/canary.ts'
import type { Child } from './child.ts'
import type { Generation } from './generation.ts'
import type { RunRecord } from './run-record.ts'
import type { Probation, WayBack } from './way-back.ts'

export class ProcessTree implements WayBack {
  /** Serves, or is meant to: its dead processes are started again. */
  current: Generation | undefined
  /** Being started; never harms `current`. */
  next: Generation | undefined
  /** While a worker of `next` serves beside `current` and is compared with it. */
  canary: Canary | undefined
  readonly draining: Generation[] = []
  lastNumber = 0
  previousRelease: Release | undefined
  probation: Probation | undefined
  isStopping = false

  get generations(): Generation[] {
    return [this.next, this.current, ...this.draining].filter((generation) => generation !== undefined)
  }

  /** True when some worker accepts; otherwise the relay has to. */
  get isServing(): boolean {
    return (this.current?.isServing ?? false) || (this.next?.isServing ?? false)
  }

  find(number: number): Generation | undefined {
    return this.generations.find((generation) => generation.number === number)
  }

  forget(generation: Generation): void {
    if (this.next === generation) this.next = undefined
    if (this.current === generation) this.current = undefined
    const position = this.draining.indexOf(generation)
    if (position >= 0) this.draining.splice(position, 1)
  }

  owner(child: Child): Generation | undefined {
    return this.generations.find((generation) => generation.child(child.role, child.index) === child)
  }

  record(): RunRecord {
    return {
      lastNumber: this.lastNumber,
      previousRelease: this.previousRelease,
      probation: this.probation,
      generations: this.generations.map((generation) => generation.record()),
    }
  }
}
