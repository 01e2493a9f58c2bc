/**
 * One local application as it is wanted at a registry, and the loop that brings it there: one step at a time, so that a
 * late write can never undo a removal, again at once after each change. Errors never end it; `deregister()` and
 * `release()` do. What a step is, and how a removal goes, is each registry's own.
 */
import type { Clock } from '../contracts/clock.ts'
import type { Registration, RegistrationHandle } from '../contracts/registry-adapter.ts'
import { isSameRegistration } from './registration-words.ts'
import { WakeablePause } from './wakeable-pause.ts'

/** Longest pause after failures, well inside the time after which registries forget an instance. */
export const maxRetryMs = 5000
/** A refusal that no repetition heals (permissions) is tried again this rarely. */
export const deniedRetryMs = 30_000

/** A removal waits this long for the step that is under way, and never more than a third of its own time. */
const stepGraceMs = 1000

export abstract class RegistrationLoop implements RegistrationHandle {
  protected wanted: Registration
  protected reached: 'pending' | 'registered' | 'failing' = 'pending'
  /** The registry has the present content, as far as we know. */
  protected isCurrent = false
  protected failures = 0
  /** Ends the step that is under way. */
  protected readonly abort = new AbortController()
  protected readonly rest: WakeablePause
  private readonly clock: Clock
  private readonly running: Promise<void>
  private isOver = false

  /** `after`: a removal of the same instance that must be over before the first step. */
  protected constructor(registration: Registration, clock: Clock, after: Promise<unknown> | undefined) {
    this.wanted = registration
    this.clock = clock
    this.rest = new WakeablePause(clock)
    this.running = this.run(after)
  }

  get state(): 'pending' | 'registered' | 'failing' {
    return this.reached
  }

  get registration(): Registration {
    return this.wanted
  }

  protected get isEnded(): boolean {
    return this.isOver
  }

  update(change: Partial<Pick<Registration, 'weight' | 'healthy' | 'enabled' | 'metadata'>>): void {
    if (this.isOver) return
    const next = { ...this.wanted, ...change }
    if (isSameRegistration(next, this.wanted)) return
    this.wanted = next
    this.again()
  }

  /** The registry may not have the present content. */
  again(): void {
    this.isCurrent = false
    this.rest.wake()
  }

  abstract deregister(deadlineMs: number): Promise<void>

  release(): void {
    this.end()
  }

  /** As `release()`, when the adapter closes. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.end()
    this.abort.abort()
    await this.running
  }

  /** A write, or a sign of life; answers how long to wait for the next, ms. Never rejects. */
  protected abstract step(): Promise<number>

  /** The desired state is gone; called once. */
  protected abstract ended(): void

  protected end(): void {
    if (this.isOver) return
    this.isOver = true
    this.rest.wake()
    this.ended()
  }

  /**
   * The step that is under way may still be a write, and must not come after the removal. False = it was given up, and
   * may still arrive.
   */
  protected async endOfStep(deadlineMs: number): Promise<boolean> {
    let cancel: (() => void) | undefined
    const patience = new Promise<false>((resolve) => {
      cancel = this.clock.after(Math.min(stepGraceMs, deadlineMs / 3), () => resolve(false))
    })
    const isOver = await Promise.race([this.running.then(() => true), patience])
    cancel?.()
    if (isOver) return true
    this.abort.abort()
    await this.running
    return false
  }

  private async run(after: Promise<unknown> | undefined): Promise<void> {
    // never inside the caller's turn
    await after
    while (!this.isOver) {
      const pauseMs = await this.step()
      if (!this.isOver && pauseMs > 0) await this.rest.wait(pauseMs)
    }
  }
}
