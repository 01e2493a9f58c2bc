/**
 * What happens when a process dies or stops answering. A neighbour covers a worker at once and the relay covers a
 * generation at once; the process is started again after a short, growing pause. A crash loop during probation takes
 * the release back; later it only costs pauses.
 */
import { describeError } from '../../contracts/errors.ts'
import type { Release } from '../../contracts/handoff.ts'
import type { Transfer } from '../handoff/transfer.ts'
import type { Log } from '../log.ts'
import type { WatchdogOptions } from '../options.ts'
import type { Relay } from '../relay/relay.ts'
import type { Replacement } from '../handoff/replacement.ts'
import { Backoff } from './backoff.ts'
import type { Child, ChildEnd } from './child.ts'
import type { Failure, Generation } from './generation.ts'
import { probe } from './probe.ts'
import type { ProcessTree } from './tree.ts'
import { openProbation } from './way-back.ts'

export interface RecoveryDeps {
  readonly options: WatchdogOptions
  readonly tree: ProcessTree
  readonly transfer: Transfer
  readonly relay: Relay
  /** Set once; recovery and replacement need each other. */
  replacement: () => Replacement
  readonly log: Log
  /** Monotonic ms. */
  readonly now: () => number
}

export class Recovery {
  private readonly deps: RecoveryDeps
  private readonly starts: Backoff
  private readonly timers = new Set<NodeJS.Timeout>()
  private lastRecoveryAt = Number.NEGATIVE_INFINITY

  constructor(deps: RecoveryDeps) {
    this.deps = deps
    this.starts = new Backoff(deps.options.restarts)
  }

  /** The first generation, or a fresh one after everything failed: tried until one serves, with growing pauses. */
  async startFromNothing(release: Release): Promise<void> {
    const { tree, replacement, log, now } = this.deps
    let wanted = release
    while (!tree.isStopping && tree.current === undefined) {
      this.keepAccepting()
      const report = await replacement().replace('start', wanted, 'serving')
      if (report.outcome === 'done' || tree.isStopping) return
      this.keepAccepting()
      const advice = this.starts.died(now())
      if (advice.isCrashLoop && tree.previousRelease !== undefined) wanted = tree.previousRelease
      log('error', `no generation serves; next try in ${advice.pauseMs} ms`, { release: wanted.name })
      await this.pause(advice.pauseMs)
    }
  }

  onChildEnd(generation: Generation, child: Child, end: ChildEnd): void {
    const { tree, log } = this.deps
    const who = `${child.name} of generation ${generation.number} (pid ${child.pid})`
    const how = child.killedFor === undefined ? end.how : `${end.how}, killed: ${child.killedFor}`
    if (
      tree.isStopping ||
      generation.phase === 'draining' ||
      generation.phase === 'failed' ||
      generation.phase === 'gone'
    ) {
      if (!end.isClean && !tree.isStopping) log('warn', `${who} ended: ${how}`)
      return
    }
    const evidence = child.evidence()
    log('error', `${who} died: ${how}`, { evidence })
    if (generation.phase !== 'serving') {
      generation.failure ??= { cause: `${who}: ${how}`, evidence }
      return
    }
    if (child.role === 'worker') this.afterWorkerDeath(generation, child)
    const advice = generation
      .backoff(child.role, child.index)
      .died(this.deps.now(), child.killedFor === undefined ? 1 : 3)
    const cause: Failure = { cause: `${who}: ${how}`, evidence }
    if (advice.isCrashLoop && this.rollBack(generation, { ...cause, cause: `crash loop: ${cause.cause}` })) return
    this.restartLater(generation, child.role, child.index, advice.pauseMs)
  }

  /**
   * A worker has said `ready`. It is proven and let in alone in a serving generation, and where nothing serves: what it
   * knows from disk is better than to wait until its control is ready, too.
   */
  async onReady(generation: Generation, child: Child): Promise<void> {
    const { options, tree } = this.deps
    const isFirst = generation.phase === 'starting' && tree.current === undefined
    if ((generation.phase !== 'serving' && !isFirst) || child.role !== 'worker' || child.isServing) return
    const { deadlines } = options
    const problem = child.probe === undefined ? 'named no probe address' : await probe(child.probe, deadlines.proveMs)
    if (child.isGone) return
    if (problem === undefined) child.send({ type: 'serve' })
    else child.kill('SIGKILL', `self-test failed: ${problem}`)
  }

  onServing(generation: Generation, child: Child): void {
    this.deps.transfer.uncover(generation, child.index)
    this.keepAccepting()
  }

  /** No answer for a second or two: somebody else accepts meanwhile. */
  onSuspect(generation: Generation, child: Child): void {
    if (generation.phase === 'serving' && child.role === 'worker' && child.isServing)
      this.cover(generation, child.index)
  }

  onAnswerAgain(generation: Generation, child: Child): void {
    if (!child.isServing) return
    this.deps.transfer.uncover(generation, child.index)
    this.keepAccepting()
  }

  onHang(child: Child, problem: string): void {
    child.kill('SIGKILL', problem)
  }

  /**
   * Alive but wrong: too much memory, or no answers to real requests. The whole generation is replaced while it still
   * serves.
   */
  onUnhealthy(generation: Generation, problem: Failure): void {
    const { tree, options, log, now } = this.deps
    if (this.failsBeforeItServes(generation, problem)) return
    if (generation !== tree.current || tree.next !== undefined || tree.isStopping) return
    if (this.rollBack(generation, problem)) return
    if (now() - this.lastRecoveryAt < options.restarts.windowMs) return
    this.lastRecoveryAt = now()
    log('error', `generation ${generation.number}: ${problem.cause}; replacing it`)
    this.replaceInBackground('recovery', generation.release, problem)
  }

  /** Others accept for it already; its own connections are worth more than a fresh process. */
  onDeaf(generation: Generation, problem: Failure): void {
    if (this.failsBeforeItServes(generation, problem)) return
    if (generation !== this.deps.tree.current || this.deps.tree.isStopping) return
    if (!this.rollBack(generation, problem)) this.deps.log('error', problem.cause, { evidence: problem.evidence })
  }

  /** Relays when nobody accepts, and stops when somebody does. */
  keepAccepting(): void {
    const { tree, relay } = this.deps
    if (tree.isStopping) return
    // a canary has one worker's sockets only: callers in the queues of the others would wait; what failed has none
    const next = tree.next?.phase === 'canary' || tree.next?.phase === 'failed' ? undefined : tree.next
    const isSomebodyAnswering =
      tree.isServing &&
      [tree.current, next].some((one) =>
        one?.workers.some((worker) => worker.isServing && !one.covers.has(worker.index)),
      )
    if (isSomebodyAnswering) relay.stop()
    else relay.start()
  }

  /**
   * Of a generation that serves and was adopted: starts who is missing, and gives those who were being started when its
   * watchdog died the time of a start.
   */
  complete(generation: Generation): void {
    const indexes = Array.from({ length: generation.release.workers }, (_, index) => index)
    const places = [['control', 0] as const, ...indexes.map((index) => ['worker', index] as const)]
    for (const [role, index] of places) {
      const child = generation.child(role, index)
      if (child === undefined) this.startAgain(generation, role, index, 0)
      else this.endIfLate(child, () => child.isReady)
    }
  }

  stop(): void {
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
  }

  /** A canary is ended by what would only be noted of a generation that serves. */
  private failsBeforeItServes(generation: Generation, problem: Failure): boolean {
    if (generation !== this.deps.tree.next) return false
    // what has failed gives its connections back, and is not cut short by failing again
    if (generation.phase === 'failed') return true
    generation.failure ??= problem
    generation.touch()
    return true
  }

  private afterWorkerDeath(generation: Generation, child: Child): void {
    generation.covers.delete(child.index)
    const orphans = [child.index]
    for (const [index, neighbour] of generation.covers) if (neighbour === child) orphans.push(index)
    for (const index of orphans) {
      generation.covers.delete(index)
      this.cover(generation, index)
    }
    this.keepAccepting()
  }

  private cover(generation: Generation, index: number): void {
    if (generation.covers.has(index)) return
    const neighbour = generation.workers.find(
      (worker) => worker.index !== index && worker.isServing && !worker.isGone && !generation.covers.has(worker.index),
    )
    if (neighbour !== undefined) {
      this.deps.log('warn', `worker ${neighbour.index} accepts for worker ${index} meanwhile`)
      this.deps.transfer.cover(generation, index, neighbour)
    } else {
      this.deps.relay.start()
    }
  }

  private restartLater(generation: Generation, role: Child['role'], index: number, pauseMs: number): void {
    this.after(pauseMs, () => this.startAgain(generation, role, index, pauseMs))
  }

  private startAgain(generation: Generation, role: Child['role'], index: number, pauseMs: number): void {
    if (generation.phase !== 'serving' || this.deps.tree.isStopping) return
    // another pause for it was over before
    if (generation.child(role, index)?.isGone === false) return
    const child = generation.startChild(role, index)
    this.deps.log('info', `${role} ${index} of generation ${generation.number} is started again`, {
      newPid: child.pid,
      pauseMs,
    })
    this.endIfLate(child, () => (role === 'control' ? child.isReady : child.isServing))
  }

  private endIfLate(child: Child, isUp: () => boolean): void {
    const { startMs } = this.deps.options.deadlines
    this.after(startMs, () => {
      if (!isUp() && !child.isGone && !child.isDraining) child.kill('SIGKILL', `not up after ${startMs} ms`)
    })
  }

  /** Back to the release from before, when this generation is on probation. */
  private rollBack(generation: Generation, problem: Failure): boolean {
    const { tree, log, now, options } = this.deps
    const probation = openProbation(tree, now(), options.restarts.probationMs)
    if (probation?.generation !== generation.number || tree.next !== undefined) return false
    tree.probation = undefined
    log('error', `generation ${generation.number} is taken back: ${problem.cause}`, { release: probation.release.name })
    this.replaceInBackground('recovery', probation.release, problem)
    return true
  }

  private replaceInBackground(kind: 'recovery', release: Release, problem: Failure): void {
    const { replacement, log, tree } = this.deps
    replacement()
      .replace(kind, release, 'serving', { why: problem })
      .then((report) => {
        if (report.outcome === 'done') return
        // The replacement failed as well: whoever is left of the serving generation is kept alive as usual.
        const { current } = tree
        for (const child of [...(current?.workers ?? []), ...(current?.control ? [current.control] : [])]) {
          if (child.isGone && current !== undefined) {
            this.restartLater(current, child.role, child.index, this.deps.options.restarts.lastPauseMs)
          }
        }
      })
      .catch((error: unknown) => log('error', `recovery: ${describeError(error)}`))
  }

  private after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      act()
    }, ms)
    this.timers.add(timer)
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }
}
