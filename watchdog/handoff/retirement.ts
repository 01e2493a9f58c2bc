/**
 * Ends a generation that has a successor: its workers move and drain what they have, its control stays until they are
 * gone.
 */
import type { DrainCount } from '../../contracts/handoff.ts'
import type { Log } from '../log.ts'
import type { Bounds, Deadlines } from '../options.ts'
import type { Child } from '../supervise/child.ts'
import type { Generation } from '../supervise/generation.ts'
import type { ProcessTree } from '../supervise/tree.ts'
import { addCounts } from './reports.ts'

/** On top of a deadline that the process itself should keep, ms. */
const patienceMs = 2000
const controlStopMs = 3000

export interface RetirementDeps {
  readonly tree: ProcessTree
  readonly deadlines: Deadlines
  readonly bounds: Bounds
  readonly log: Log
  readonly onChange: () => void
}

export class Retirement {
  private readonly deps: RetirementDeps

  constructor(deps: RetirementDeps) {
    this.deps = deps
  }

  /** Resolves when every process of `old` is gone, with what became of its connections. */
  async retire(old: Generation, successor: Generation): Promise<readonly DrainCount[]> {
    const { tree, deadlines } = this.deps
    // first the place, then the phase: entering it writes the record, and a next watchdog must find this generation
    // there
    tree.draining.push(old)
    old.enter('draining')
    this.enforceCap(old)
    this.redirect(successor)
    return this.finish(old, deadlines.drainMs)
  }

  /** Those that drain give theirs to somebody who leaves, or has died: from now on to the one that stays. */
  redirect(successor: Generation): void {
    for (const generation of this.deps.tree.draining)
      for (const worker of generation.workers) if (!worker.isGone) this.order(worker, successor)
  }

  /** To one worker, also when it is found again without having been told. */
  order(worker: Child, successor: Generation): void {
    worker.isDraining = true
    worker.isServing = false
    worker.send({
      type: 'drain',
      successor: { generation: successor.number, index: worker.index % successor.release.workers },
      deadlineMs: this.deps.deadlines.drainMs,
    })
  }

  /** The rest of a retirement, also for a draining generation that was adopted. */
  async finish(old: Generation, drainMs: number): Promise<readonly DrainCount[]> {
    const { deps } = this
    old.failure = undefined
    const areWorkersGone = (): boolean => old.workers.every((worker) => worker.isGone)
    if (!(await old.waitFor(areWorkersGone, drainMs + patienceMs))) {
      for (const worker of old.workers)
        worker.kill('SIGKILL', `still there ${drainMs + patienceMs} ms after the order to drain`)
      deps.log('error', `generation ${old.number} did not end in time; its workers are killed`)
      await old.waitFor(areWorkersGone, patienceMs)
    }
    old.control?.send({ type: 'stop', deadlineMs: controlStopMs, isHostStopping: false })
    if (!(await old.waitFor(() => old.living.length === 0, controlStopMs))) {
      old.killAll('did not stop in time')
      await old.waitFor(() => old.living.length === 0, patienceMs)
    }
    for (const worker of old.workers) {
      if (worker.isDrained || worker.connections + worker.moved === 0) continue
      // Killed, or dead by itself: what it had when it was last heard of ended with it.
      old.counts.push({
        protocol: 'unknown',
        application: '',
        moved: worker.moved,
        drained: 0,
        cut: worker.connections,
      })
    }
    old.enter('gone')
    deps.tree.forget(old)
    deps.onChange()
    return addCounts(old.counts)
  }

  /** HAProxy's pile-up of old processes must not happen here: the oldest goes first. */
  private enforceCap(newest: Generation): void {
    const { tree, bounds, log } = this.deps
    for (const generation of tree.draining.slice(0, Math.max(0, tree.draining.length - bounds.maxDraining))) {
      if (generation === newest) continue
      log('warn', `generation ${generation.number} is ended early: more than ${bounds.maxDraining} generations drain`)
      generation.killAll('too many draining generations')
    }
  }
}
