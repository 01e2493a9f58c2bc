/**
 * One control and its workers: started together, replaced together. Holds who they are and how far they are; decides
 * nothing.
 */
import type {
  ChildRole,
  ChildState,
  DrainCount,
  GenerationPhase,
  GenerationState,
  Release,
} from '../../contracts/handoff.ts'
import type { RestartOptions } from '../options.ts'
import { Backoff } from './backoff.ts'
import { Child } from './child.ts'
import type { ChildEnd, ChildHooks, ChildRecord } from './child.ts'
import type { GenerationRecord } from './run-record.ts'

/** Which way the phases go. Anything else is a bug and is refused. */
const nextPhases: Readonly<Record<GenerationPhase, readonly GenerationPhase[]>> = {
  starting: ['proving', 'failed', 'gone'],
  proving: ['canary', 'taking-over', 'failed', 'gone'],
  canary: ['taking-over', 'failed', 'gone'],
  'taking-over': ['serving', 'failed', 'gone'],
  serving: ['draining', 'gone'],
  draining: ['gone'],
  gone: [],
  failed: ['gone'],
}

export interface GenerationDeps {
  readonly runDir: string
  /** Monotonic ms. */
  readonly now: () => number
  readonly restarts: RestartOptions
  readonly onChildEnd: (generation: Generation, child: Child, end: ChildEnd) => void
  /** Standard error of a child may have grown. */
  readonly onErrorText: (child: Child) => void
  /** Something that people want to know has changed. */
  readonly onChange: () => void
  /** A process or a phase has changed: a next watchdog must find it written down even if this one dies right now. */
  readonly onRecord: () => void
}

export interface Failure {
  readonly cause: string
  readonly evidence: readonly string[]
}

export class Generation {
  readonly number: number
  readonly release: Release
  /** Epoch ms. */
  readonly startedAt: number
  failure: Failure | undefined
  /** Workers that accept for a dead or silent one, by its index. */
  readonly covers = new Map<number, Child>()
  readonly counts: DrainCount[] = []
  private readonly deps: GenerationDeps
  private readonly children = new Map<string, Child>()
  private readonly restartCounts = new Map<string, number>()
  private readonly backoffs = new Map<string, Backoff>()
  private readonly waiters = new Set<() => void>()
  private readonly childHooks: ChildHooks
  private current: GenerationPhase

  constructor(number: number, release: Release, startedAt: number, phase: GenerationPhase, deps: GenerationDeps) {
    this.number = number
    this.release = release
    this.startedAt = startedAt
    this.deps = deps
    this.current = phase
    this.childHooks = {
      onLastWords: (child) => deps.onErrorText(child),
      onEnd: (ended, end) => this.onEnd(ended, end),
    }
  }

  get phase(): GenerationPhase {
    return this.current
  }

  enter(phase: GenerationPhase): void {
    if (phase === this.current) return
    if (!nextPhases[this.current].includes(phase)) {
      throw new Error(`generation ${this.number}: ${this.current} cannot become ${phase}`)
    }
    this.current = phase
    this.deps.onRecord()
    this.touch()
  }

  get control(): Child | undefined {
    return this.children.get('control 0')
  }

  get workers(): Child[] {
    return [...this.children.values()].filter((child) => child.role === 'worker')
  }

  /** Everybody who is not gone. */
  get living(): Child[] {
    return [...this.children.values()].filter((child) => !child.isGone)
  }

  get isServing(): boolean {
    return this.workers.some((worker) => worker.isServing)
  }

  child(role: ChildRole, index: number): Child | undefined {
    return this.children.get(`${role} ${index}`)
  }

  startAll(): void {
    this.startChild('control', 0)
    for (let index = 0; index < this.release.workers; index++) this.startChild('worker', index)
  }

  startChild(role: ChildRole, index: number): Child {
    const key = `${role} ${index}`
    if (this.children.has(key)) this.restartCounts.set(key, (this.restartCounts.get(key) ?? 0) + 1)
    const child = Child.start(
      { role, index, generation: this.number },
      this.release[role],
      this.deps.runDir,
      this.deps.now(),
      this.childHooks,
    )
    this.children.set(key, child)
    this.deps.onRecord()
    this.touch()
    return child
  }

  /** False when that process is not running any more. */
  adoptChild(record: ChildRecord): boolean {
    const child = Child.adopt(record, this.number, this.deps.runDir, this.childHooks)
    if (child !== undefined) this.children.set(`${record.role} ${record.index}`, child)
    return child !== undefined
  }

  backoff(role: ChildRole, index: number): Backoff {
    const key = `${role} ${index}`
    const backoff = this.backoffs.get(key) ?? new Backoff(this.deps.restarts)
    this.backoffs.set(key, backoff)
    return backoff
  }

  /** Resolves true as soon as `isReached`, false after `timeoutMs` or at the first failure. */
  waitFor(isReached: () => boolean, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const look = (): void => {
        const isDone = isReached()
        if (!isDone && this.failure === undefined) return
        settle(isDone)
      }
      const settle = (outcome: boolean): void => {
        clearTimeout(timer)
        this.waiters.delete(look)
        resolve(outcome)
      }
      const timer = setTimeout(() => settle(false), timeoutMs)
      this.waiters.add(look)
      look()
    })
  }

  /** After any change of a child: wakes those who wait. */
  touch(): void {
    for (const look of this.waiters) look()
    this.deps.onChange()
  }

  killAll(why: string): void {
    for (const child of this.living) child.kill('SIGKILL', why)
  }

  state(): GenerationState {
    return {
      generation: this.number,
      phase: this.current,
      release: this.release.name,
      startedAt: this.startedAt,
      children: [...this.children.entries()]
        .filter(([, child]) => !child.isGone)
        .map(([key, child]) => this.childState(key, child)),
      waits: [...this.children.values()].flatMap((child) => child.waits),
    }
  }

  record(): GenerationRecord {
    return {
      number: this.number,
      phase: this.current,
      release: this.release,
      startedAt: this.startedAt,
      children: this.living.map((child) => child.record()),
    }
  }

  private childState(key: string, child: Child): ChildState {
    const { role, index, pid, isReady, isServing, rssBytes, lagMs, connections } = child
    const restarts = this.restartCounts.get(key) ?? 0
    return { role, index, pid, isReady, isServing, restarts, rssBytes, lagMs, connections }
  }

  private onEnd(child: Child, end: ChildEnd): void {
    this.deps.onChildEnd(this, child, end)
    this.touch()
  }
}
