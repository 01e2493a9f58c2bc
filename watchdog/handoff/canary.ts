/**
 * One worker of a new generation serves beside the old one, and is compared with it at every word of the workers. Only
 * what was counted since it serves is compared, worker by worker, so that a worker that is started again in the
 * meantime costs nothing but its last moments. Latencies are compared from half of the time on, because the code of a
 * new process is slow before it is compiled.
 */
import type { CanaryOrder, CanaryReport, GoldenSignals, SignalsSeen } from '../../contracts/canary.ts'
import { maxCanaryMs } from '../../contracts/canary.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { Child } from '../supervise/child.ts'
import type { Generation } from '../supervise/generation.ts'
import { add, isTooFew, moreFailures, noSignals, readSignals, seen, slower } from './canary-verdict.ts'

/** The last word of both sides may be a question later than the time that was asked for. */
const lastWordMs = 10_000

interface Heard {
  readonly first: GoldenSignals
  /** When half of the time had passed. */
  atHalf: GoldenSignals | undefined
  newest: GoldenSignals
}

export class Canary {
  readonly worker: Child
  /** Of its generation. */
  readonly number: number
  private readonly generation: Generation
  private readonly order: CanaryOrder
  /** Monotonic ms. */
  private readonly now: () => number
  private readonly beganAt: number
  private readonly heard = new Map<Child, Heard>()
  private canaryHeardAt = Number.NEGATIVE_INFINITY
  /** When it was decided. */
  private endedAt: number | undefined
  private verdict: CanaryReport['verdict'] = 'running'
  private reason: string | undefined

  constructor(generation: Generation, worker: Child, order: CanaryOrder, now: () => number) {
    this.generation = generation
    this.worker = worker
    this.number = generation.number
    this.order = order
    this.now = now
    this.beganAt = now()
  }

  /** A worker of either side has answered a ping that asked for signals. */
  hear(child: Child, told: GoldenSignals | undefined): void {
    if (told === undefined) {
      this.fail(`${child.name} tells no signals to compare: its release knows no canary; upgrade without one`)
      return
    }
    const signals = readSignals(told)
    const heard = this.heard.get(child)
    // the canary has counted nothing before it served
    if (heard === undefined)
      this.heard.set(child, { first: child === this.worker ? noSignals : signals, atHalf: undefined, newest: signals })
    else heard.newest = signals
    if (this.now() >= this.beganAt + this.order.forMs / 2) this.heard.get(child)!.atHalf ??= signals
    if (child === this.worker) this.canaryHeardAt = this.now()
    const { maxFailedPercent, maxSlowerPercent } = this.order
    const problem =
      moreFailures(this.ofCanary('first'), this.ofOthers('first'), maxFailedPercent) ??
      slower(this.ofCanary('atHalf'), this.ofOthers('atHalf'), maxSlowerPercent)
    if (problem !== undefined) this.fail(problem)
  }

  /** An operator has seen enough. */
  takeBack(): void {
    this.fail('an operator took it back')
  }

  /** Serves until the verdict; a failure is its generation's. */
  async run(): Promise<void> {
    const { generation, order } = this
    const endsAt = this.beganAt + order.forMs
    await generation.waitFor(() => this.canaryHeardAt >= endsAt, order.forMs + lastWordMs)
    if (generation.failure === undefined && this.canaryHeardAt < endsAt)
      this.fail(`nothing was heard of it for ${Math.round(this.now() - this.canaryHeardAt)} ms`)
    this.endedAt = this.now()
    if (generation.failure !== undefined) {
      this.verdict = 'failed'
      this.reason ??= generation.failure.cause
      return
    }
    this.verdict = isTooFew(this.ofCanary('first'), this.ofOthers('first')) ? 'unjudged' : 'passed'
  }

  report(): CanaryReport {
    const canary = this.seenOf((from) => this.ofCanary(from))
    const others = this.seenOf((from) => this.ofOthers(from))
    const servedMs = Math.round((this.endedAt ?? this.now()) - this.beganAt)
    return { ...this.order, verdict: this.verdict, servedMs, says: this.sentence(canary.requests), canary, others }
  }

  /** Latencies are those that are compared, as soon as there are some. */
  private seenOf(signals: (from: Since) => GoldenSignals): SignalsSeen {
    const all = seen(signals('first'))
    const late = seen(signals('atHalf'))
    return late.p50Ms < 0 ? all : { ...late, requests: all.requests, failed: all.failed }
  }

  private sentence(requests: number): string {
    switch (this.verdict) {
      case 'failed':
        return this.reason ?? 'it failed'
      case 'unjudged':
        return `it did not fail; ${requests} requests are too few to compare`
      case 'passed':
        return 'it fails no more and is no slower than the others'
      case 'running':
        return 'it is compared with the others'
    }
  }

  private ofCanary(from: Since): GoldenSignals {
    return since(this.heard.get(this.worker), from)
  }

  private ofOthers(from: Since): GoldenSignals {
    const others = [...this.heard].filter(([child]) => child !== this.worker)
    return others.reduce((sum, [, heard]) => add(sum, since(heard, from)), noSignals)
  }

  private fail(reason: string): void {
    if (this.generation.failure !== undefined) return
    this.reason = reason
    this.generation.failure = { cause: `canary: ${reason}`, evidence: this.worker.evidence() }
    this.generation.touch()
  }
}

type Since = 'first' | 'atHalf'

function since(heard: Heard | undefined, from: Since): GoldenSignals {
  const base = heard?.[from]
  return heard === undefined || base === undefined ? noSignals : add(heard.newest, base, -1)
}

/** Of an operator's request. Throws E_ADMIN_REQUEST. */
export function assertOrder(order: unknown): asserts order is CanaryOrder {
  const { forMs, maxFailedPercent, maxSlowerPercent } = (order ?? {}) as Partial<Record<keyof CanaryOrder, unknown>>
  const bounds = [
    ['forMs', forMs, 1000, maxCanaryMs],
    ['maxFailedPercent', maxFailedPercent, 0, 100],
    ['maxSlowerPercent', maxSlowerPercent, 0, 10_000],
  ] as const
  for (const [name, value, least, most] of bounds)
    if (typeof value !== 'number' || !(value >= least && value <= most))
      throw new MeshError('E_ADMIN_REQUEST', `canary: ${name} ${String(value)}: allowed ${least} to ${most}`)
}
