/**
 * One local application at a registry: written, written again after each change and whenever the registry may have
 * forgotten it, renewed where the registry wants that, removed on purpose only.
 */
import { describeError } from '../contracts/errors.ts'
import type { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps, LogFields, Registration, RegistryProblem } from '../contracts/registry-adapter.ts'
import { RegistrationLoop, deniedRetryMs, maxRetryMs } from './registration-loop.ts'
import { registrationWords } from './registration-words.ts'

/** How one registry does it. Each call rejects with a MeshError. */
export interface RegistrationDriver {
  /** Makes the registry's entry equal to this, whether it exists or not, and takes it over from whoever wrote it. */
  write(registration: Registration, signal: AbortSignal): Promise<void>
  /** Sign of life. `unknown` = the registry has no such entry: it is written again. */
  renew(registration: Registration, signal: AbortSignal): Promise<'ok' | 'unknown'>
  /** Removes the entry; none being there is success. */
  remove(registration: Registration, signal: AbortSignal): Promise<void>
  /** ms between signs of life. */
  readonly renewMs: number
}

export interface KeptRegistrationDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log' | 'metrics'> {
  readonly registry: string
  readonly driver: RegistrationDriver
  /** A removal of the same instance that must be over before the first write. */
  readonly after: Promise<unknown> | undefined
  /** The desired state is gone. */
  onEnd(self: KeptRegistration): void
}

const firstRetryMs = 250

export class KeptRegistration extends RegistrationLoop {
  private readonly deps: KeptRegistrationDeps
  private failure: RegistryProblem | undefined

  constructor(registration: Registration, deps: KeptRegistrationDeps) {
    super(registration, deps.clock, deps.after)
    this.deps = deps
  }

  /** Why the last attempt failed; undefined = it did not. */
  get problem(): RegistryProblem | undefined {
    return this.failure
  }

  /** The registry is away: seen in `state` at once, not only with the next step. */
  lost(problem: RegistryProblem): void {
    if (!this.isEnded) this.reached = 'failing'
    this.failure = problem
    this.isCurrent = false
  }

  async deregister(deadlineMs: number): Promise<void> {
    if (this.isEnded) return
    this.end()
    const { clock } = this.deps
    const ending = new AbortController()
    const deadline = ending.signal
    const cancel = clock.after(Math.max(1, deadlineMs), () => ending.abort())
    try {
      await this.remove(deadlineMs, deadline)
    } finally {
      cancel()
    }
  }

  private async remove(deadlineMs: number, deadline: AbortSignal): Promise<void> {
    await this.endOfStep(deadlineMs)
    const words = this.words()
    for (let attempt = 0; !deadline.aborted; attempt++) {
      try {
        await this.deps.driver.remove(this.wanted, deadline)
        this.count('remove', 'ok')
        this.deps.log.info(words, 'removed the application from the registry')
        return
      } catch (error) {
        this.count('remove', 'failed')
        if (deadline.aborted || (error as MeshError).code === 'E_REGISTRY_DENIED') {
          this.deps.log.warn(words, `the registry did not confirm the removal: ${describeError(error)}`)
          return
        }
        await this.pauseUnless(deadline, this.retryMs(attempt))
      }
    }
    this.deps.log.warn(words, 'the registry did not confirm the removal in time')
  }

  protected async step(): Promise<number> {
    const { driver } = this.deps
    const registration = this.wanted
    const isWrite = !this.isCurrent
    try {
      // a change that comes during the write makes it stale again
      this.isCurrent = true
      if (isWrite) await driver.write(registration, this.abort.signal)
      else if ((await driver.renew(registration, this.abort.signal)) === 'unknown') {
        this.count('renew', 'unknown')
        this.deps.log.info(this.words(), 'the registry does not know the application any more; registering it again')
        this.isCurrent = false
        return 0
      }
      this.count(isWrite ? 'write' : 'renew', 'ok')
      if (this.reached !== 'registered') this.deps.log.info(this.words(), 'the application is registered')
      this.reached = 'registered'
      this.failure = undefined
      this.failures = 0
      return this.isCurrent ? driver.renewMs * (0.9 + 0.2 * this.deps.random()) : 0
    } catch (error) {
      this.isCurrent = false
      if (this.isEnded) return 0
      this.count(isWrite ? 'write' : 'renew', 'failed')
      const { code, message } = error as MeshError
      this.failure = { code, message, at: this.deps.clock.wall() }
      if (this.reached !== 'failing' || this.failures === 0)
        this.deps.log.warn({ ...this.words(), code }, `${describeError(error)}; trying on`)
      this.reached = 'failing'
      return code === 'E_REGISTRY_DENIED' ? deniedRetryMs : this.retryMs(this.failures++)
    }
  }

  private retryMs(attempt: number): number {
    return Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempt, 10)) * (0.5 + 0.5 * this.deps.random())
  }

  private pauseUnless(signal: AbortSignal, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.deps.clock.after(ms, resolve)
      signal.addEventListener('abort', () => {
        cancel()
        resolve()
      })
    })
  }

  protected ended(): void {
    this.deps.onEnd(this)
  }

  private count(operation: 'write' | 'renew' | 'remove', result: 'ok' | 'unknown' | 'failed'): void {
    this.deps.metrics.count('registry_heartbeats', { registry: this.deps.registry, operation, result })
  }

  private words(): LogFields {
    return registrationWords(this.deps.registry, this.wanted)
  }
}
