/**
 * Asks every process for a sign of life: a ping on its stream, which only a turning event loop answers, and for a
 * worker a real request besides. Both answered = alive. A ping unanswered for `deadMs` = hung, whatever the reason
 * (stopped, blocked, swapped out). A request unanswered while pings are is a worker that does not accept: it is covered
 * and reported, and taken back during probation, but neither killed nor replaced, because its connections live and a
 * process without descriptors could not even hand them over.
 */
import type { GoldenSignals } from '../../contracts/canary.ts'
import type { ChildToWatchdog, WorkerLoad } from '../../contracts/handoff.ts'
import type { LivenessOptions } from '../options.ts'
import type { Child } from './child.ts'
import type { Failure, Generation } from './generation.ts'
import { probe } from './probe.ts'

/** While an answer is awaited; otherwise the next look is when the next question is due. */
const tickMs = 500
const measureEveryMs = 5000
/** Requests may stay unanswered this much longer than pings before the generation is replaced. */
const probeFactor = 2
/** A connection costs more than a ping: every second time is often enough. */
const pingsPerProbe = 2

/** Longest time from a hang to the end of the process, ms, where the watchdog itself is not late. */
export function hungAtMostMs({ periodMs, deadMs }: LivenessOptions): number {
  return periodMs + deadMs + 2 * tickMs
}

export interface LivenessDeps {
  readonly options: LivenessOptions
  readonly maxChildBytes: number
  /** Monotonic ms. */
  readonly now: () => number
  readonly generations: () => readonly Generation[]
  /** The worker that is tried beside the serving generation, as long as it is. */
  readonly canary: () => { readonly worker: Child; readonly number: number } | undefined
  onSuspect(generation: Generation, child: Child): void
  onAnswerAgain(generation: Generation, child: Child): void
  onHang(child: Child, problem: string): void
  /** Asked for while there is a canary; undefined from a release that does not know them. */
  onSignals(child: Child, signals: GoldenSignals | undefined): void
  onUnhealthy(generation: Generation, problem: Failure): void
  /** Turns, but takes no request: out of descriptors, as a rule. */
  onDeaf(generation: Generation, problem: Failure): void
}

type Pong = Extract<ChildToWatchdog, { type: 'pong' }>

interface PingRecord {
  lastAskedAt: number
  pingSentAt: number | undefined
  probeFailsSince: number | undefined
  isSuspect: boolean
  asked: number
  wantsSignals: boolean
}

export class Liveness {
  private readonly deps: LivenessDeps
  private readonly watches = new WeakMap<Child, PingRecord>()
  private timer: NodeJS.Timeout | undefined
  private turn: NodeJS.Immediate | undefined
  private lastTickAt = 0
  private plannedMs = tickMs
  private measuredAt = Number.NEGATIVE_INFINITY

  constructor(deps: LivenessDeps) {
    this.deps = deps
  }

  start(): void {
    this.lastTickAt = this.deps.now()
    this.plan()
  }

  stop(): void {
    clearTimeout(this.timer)
    clearImmediate(this.turn)
  }

  onPong(child: Child, { active, connections, id, lagMs, signals }: Pong): void {
    child.lagMs = lagMs
    child.connections = connections
    child.active = active
    const watch = this.watches.get(child)
    if (watch === undefined || id !== child.pingId) return
    watch.pingSentAt = undefined
    if (watch.wantsSignals) this.deps.onSignals(child, signals)
    watch.wantsSignals = false
  }

  /** Public for tests that own the clock. */
  tick(): void {
    const { deps } = this
    const now = deps.now()
    // When this process itself was stopped, everybody's silence is our own.
    const weSlept = now - this.lastTickAt > this.plannedMs + deps.options.deadMs / 2
    this.lastTickAt = now
    const isMeasuring = now - this.measuredAt >= measureEveryMs
    if (isMeasuring) this.measuredAt = now
    for (const generation of deps.generations()) {
      for (const child of generation.living) {
        if (isMeasuring) this.measure(generation, child)
        const { phase } = generation
        if (phase === 'serving' || phase === 'draining' || phase === 'canary')
          this.look(generation, child, now, weSlept)
      }
    }
  }

  private plan(): void {
    const isWaiting = this.deps
      .generations()
      .some((generation) => generation.living.some((child) => this.isAwaited(child)))
    this.plannedMs = isWaiting ? tickMs : Math.max(tickMs, this.deps.options.periodMs - tickMs)
    this.timer = setTimeout(() => {
      // behind what has come meanwhile: an answer that this process was too late to read is none the less there
      this.turn = setImmediate(() => {
        this.tick()
        this.plan()
      })
    }, this.plannedMs)
  }

  private isAwaited(child: Child): boolean {
    const watch = this.watches.get(child)
    return watch === undefined || watch.pingSentAt !== undefined || watch.isSuspect
  }

  private measure(generation: Generation, child: Child): void {
    child.measure()
    const { maxChildBytes } = this.deps
    if (child.rssBytes <= maxChildBytes) return
    const megabytes = Math.round(child.rssBytes / 1_048_576)
    const cause = `${child.name} of generation ${generation.number}: ${megabytes} MiB resident, allowed ${Math.round(maxChildBytes / 1_048_576)} MiB`
    this.deps.onUnhealthy(generation, { cause, evidence: child.evidence() })
  }

  private look(generation: Generation, child: Child, now: number, weSlept: boolean): void {
    const { options } = this.deps
    if (child.stream === undefined || !child.isReady) return
    const watch = this.watchOf(child)
    if (weSlept) {
      watch.pingSentAt = undefined
      watch.probeFailsSince = undefined
    }
    const silentMs = watch.pingSentAt === undefined ? 0 : now - watch.pingSentAt
    const deafMs = watch.probeFailsSince === undefined ? 0 : now - watch.probeFailsSince
    if (silentMs >= options.deadMs) {
      this.deps.onHang(child, `no answer for ${Math.round(silentMs)} ms`)
      return
    }
    const isSuspect = Math.max(silentMs, deafMs) >= options.suspectMs
    if (isSuspect && !watch.isSuspect) this.deps.onSuspect(generation, child)
    if (!isSuspect && watch.isSuspect) this.deps.onAnswerAgain(generation, child)
    watch.isSuspect = isSuspect
    if (deafMs >= options.deadMs * probeFactor && silentMs === 0) {
      watch.probeFailsSince = undefined
      const cause = `worker ${child.index} of generation ${generation.number} turns, but answers no request for ${Math.round(deafMs)} ms`
      this.deps.onDeaf(generation, { cause, evidence: child.evidence() })
    }
    const isDue = now - watch.lastAskedAt >= options.periodMs
    if (isDue && watch.pingSentAt === undefined) this.ask(generation, child, watch, now)
  }

  private ask(generation: Generation, child: Child, watch: PingRecord, now: number): void {
    watch.lastAskedAt = now
    watch.pingSentAt = now
    const workers = child.role === 'worker' ? this.loadsOf(generation) : []
    const tried = child.role === 'worker' ? this.deps.canary() : undefined
    const load = tried && generation.phase === 'serving' ? this.loadOf(tried.worker) : undefined
    const canary = load && { ...load, generation: tried!.number }
    watch.wantsSignals = tried !== undefined && (generation.phase === 'serving' || child === tried.worker)
    child.send({
      type: 'ping',
      id: ++child.pingId,
      ...(workers.length + (canary === undefined ? 0 : 1) > 1 && { workers }),
      ...(canary !== undefined && { canary }),
      ...(watch.wantsSignals && { wantsSignals: true }),
    })
    if (watch.asked++ % pingsPerProbe !== 0) return
    if (child.probe === undefined || child.isProbing || !child.isServing) return
    if (generation.phase !== 'serving' && generation.phase !== 'canary') return
    child.isProbing = true
    void probe(child.probe, this.deps.options.deadMs).then((problem) => {
      child.isProbing = false
      if (problem === undefined) watch.probeFailsSince = undefined
      else watch.probeFailsSince ??= now
      return undefined
    })
  }

  /** How busy the workers are that serve and answer; what comes of it is theirs to decide. */
  private loadsOf(generation: Generation): WorkerLoad[] {
    if (generation.phase !== 'serving') return []
    return generation.living.map((child) => this.loadOf(child)).filter((load) => load !== undefined)
  }

  private loadOf(child: Child): WorkerLoad | undefined {
    const { active, index } = child
    if (active === undefined || !child.isServing || this.watchOf(child).isSuspect) return undefined
    return { index, active }
  }

  private watchOf(child: Child): PingRecord {
    let watch = this.watches.get(child)
    if (watch === undefined) {
      watch = {
        lastAskedAt: Number.NEGATIVE_INFINITY,
        pingSentAt: undefined,
        probeFailsSince: undefined,
        isSuspect: false,
        asked: 0,
        wantsSignals: false,
      }
      this.watches.set(child, watch)
    }
    return watch
  }
}
