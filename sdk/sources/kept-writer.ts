/** Writes what is kept soon after it changed, one write at a time, the newest alone. */
import type { Clock } from '../../contracts/clock.ts'
import { describeError } from '../../contracts/errors.ts'
import type { MeshLog } from '../options.ts'
import { writeKept } from './kept-file.ts'
import type { Kept } from './kept-file.ts'

export interface KeptWriterDeps {
  readonly clock: Clock
  readonly file: string
  readonly log: MeshLog
  readonly take: () => Kept
}

/** After a change, and after a write that failed, ms. */
const settleMs = 200
const againMs = 10_000

export class KeptWriter {
  private readonly deps: KeptWriterDeps
  private cancel: (() => void) | undefined
  private writing: Promise<void> | undefined
  private written = ''
  private isClosed = false
  /** Why the newest state is not on disk. */
  problem: string | undefined

  constructor(deps: KeptWriterDeps) {
    this.deps = deps
  }

  changed(): void {
    if (!this.isClosed && this.cancel === undefined) this.schedule(settleMs)
  }

  /** Writes what is not written. */
  async close(): Promise<void> {
    this.isClosed = true
    const isDue = this.cancel !== undefined
    this.cancel?.()
    await this.writing
    if (isDue) await this.write()
  }

  private schedule(ms: number): void {
    this.cancel = this.deps.clock.after(ms, () => {
      this.cancel = undefined
      if (this.writing !== undefined) {
        this.schedule(settleMs)
        return
      }
      this.writing = this.write().finally(() => (this.writing = undefined))
    })
  }

  private async write(): Promise<void> {
    const { file, log, take } = this.deps
    const kept = take()
    const text = JSON.stringify(kept)
    if (text === this.written) return
    try {
      await writeKept(file, kept)
      this.written = text
      this.problem = undefined
    } catch (error) {
      if (this.problem === undefined) log.warn({}, describeError(error))
      this.problem = describeError(error)
      if (!this.isClosed && this.cancel === undefined) this.schedule(againMs)
    }
  }
}
