/**
 * A port that only the leading generation has. At a take-over the predecessor lets go a moment later than the successor
 * begins, so a taken port is tried again until it is free; traffic is worth more than such a port.
 */
import type { Clock } from '../../contracts/clock.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { AdapterLog } from '../../contracts/registry-adapter.ts'

/** Pauses stay short while a predecessor may be about to let go; after that somebody else has the port. */
const retryFirstMs = 50
const retryShortMs = 200
const retryMaxMs = 5000
/** For so long, also on a busy machine: whoever has asked for a restart goes on with the port. */
const patienceMs = 10_000
/** A shorter fault is a predecessor that is about to leave; it is not worth a line. */
const silentMs = 1500

export interface KeptPortDeps {
  readonly clock: Clock
  readonly log: AdapterLog
}

export class KeptPort {
  private readonly name: string
  private readonly listen: () => Promise<unknown>
  private readonly deps: KeptPortDeps
  private cancelRetry: (() => void) | undefined
  private isClosed = false
  /** Why nobody answers there, in one line; undefined = somebody does, or that was tried for a moment only. */
  problem: string | undefined

  /** `name`: as the line begins. `listen` may be called again after it rejected. */
  constructor(name: string, listen: () => Promise<unknown>, deps: KeptPortDeps) {
    this.name = name
    this.listen = listen
    this.deps = deps
  }

  /** Resolves after the first try. */
  open(): Promise<void> {
    return this.try(retryFirstMs, 0)
  }

  /** Tries no more. Who listens already is not told. */
  close(): void {
    this.isClosed = true
    this.cancelRetry?.()
  }

  /** `waitedMs`: since the first try. */
  private async try(pauseMs: number, waitedMs: number): Promise<void> {
    if (this.isClosed) return
    try {
      await this.listen()
      this.problem = undefined
    } catch (error) {
      if (this.isClosed) return
      if (waitedMs > silentMs && this.problem === undefined) {
        this.problem = `${this.name}: ${describeError(error)}; tried again, traffic is not touched`
        this.deps.log.error({ code: error instanceof MeshError ? error.code : 'E_INTERNAL' }, this.problem)
      }
      const most = waitedMs < patienceMs ? retryShortMs : retryMaxMs
      const again = (): void => void this.try(Math.min(most, pauseMs * 2), waitedMs + pauseMs)
      this.cancelRetry = this.deps.clock.after(pauseMs, again)
    }
  }
}
