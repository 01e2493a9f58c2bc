/**
 * Whether the registry can be asked at all, for adapters whose questions wait long for their answers: a cheap question
 * now and then. A registry is lost when two in a row fail, or one is refused, and is back with the first good one.
 */
import { describeError } from '../contracts/errors.ts'
import type { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps } from '../contracts/registry-adapter.ts'

export interface PulseOptions {
  readonly registry: string
  /** ms between questions while all is well; while it is not, they come each second at least. */
  readonly everyMs: number
  /** The cheap question; rejects with a MeshError. */
  ask(): Promise<void>
  /** Told once per loss. */
  onLost(problem: MeshError): void
  /** Told at the first good answer, and at the first one after a loss. */
  onBack(): void
}

const maxRetryMs = 1000
/** One lost question is no loss. */
const failuresForLoss = 2

export class Pulse {
  private readonly options: PulseOptions
  private readonly deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>
  private cancel: (() => void) | undefined
  private failures = 0
  private state: 'unknown' | 'alive' | 'lost' = 'unknown'
  private lastProblem: MeshError | undefined
  private isAsking = false
  private isClosed = false

  constructor(options: PulseOptions, deps: Pick<AdapterDeps, 'clock' | 'log' | 'metrics'>) {
    this.options = options
    this.deps = deps
  }

  get isAlive(): boolean {
    return this.state === 'alive'
  }

  get isLost(): boolean {
    return this.state === 'lost'
  }

  get problem(): MeshError | undefined {
    return this.lastProblem
  }

  start(): void {
    this.now()
  }

  /** Asks at once: something has just failed. */
  now(): void {
    if (this.isClosed || this.isAsking) return
    this.cancel?.()
    this.isAsking = true
    this.options
      .ask()
      .then(
        () => this.good(),
        (error: unknown) => this.bad(error as MeshError),
      )
      .finally(() => {
        this.isAsking = false
        if (this.isClosed) return
        const isWell = this.state === 'alive' && this.failures === 0
        const { everyMs } = this.options
        const pauseMs = isWell ? everyMs : Math.min(maxRetryMs, everyMs)
        this.cancel = this.deps.clock.after(pauseMs, () => this.now())
      })
  }

  close(): void {
    this.isClosed = true
    this.cancel?.()
  }

  private good(): void {
    if (this.isClosed) return
    this.failures = 0
    this.lastProblem = undefined
    if (this.state === 'alive') return
    this.state = 'alive'
    this.deps.log.info({ registry: this.options.registry }, `${this.options.registry}: the registry answers`)
    this.options.onBack()
  }

  private bad(error: MeshError): void {
    if (this.isClosed) return
    this.failures++
    this.deps.metrics.count('registry_connection_failures', { registry: this.options.registry })
    // a refusal is an answer: there is nothing to wait for
    const isLoss = this.failures >= failuresForLoss || error.code === 'E_REGISTRY_DENIED'
    if (!isLoss) return
    this.lastProblem = error
    if (this.state === 'lost') return
    this.state = 'lost'
    this.deps.log.warn(
      { registry: this.options.registry, code: error.code },
      `${this.options.registry}: ${describeError(error)}; what is known stays in use, trying on`,
    )
    this.options.onLost(error)
  }
}
