/**
 * Keeps one state file up to date without letting the disk set the pace.
 *
 * Changes within `delayMs` become one write; the pause grows to `pauseFactor` times the last write's duration, so that
 * even a file of 10,000 services costs at most 1 / pauseFactor of the time. A failed write is tried again after
 * `retryMs` and at each change; the last problem is kept for `/ready` and metrics.
 */
import type { MeshError } from '../../../../contracts/errors.ts'
import type { Clock } from '../../clock.ts'
import { writeChecked } from './checked-file.ts'

export interface CoalescedWriterOptions {
  readonly file: string
  readonly format: number
  readonly delayMs: number
  readonly clock: Clock
  /** The body at the moment of writing, or a promise of it where it is put together between other work. */
  body(): unknown
  onProblem(problem: MeshError): void
  onRecovered(): void
  /** Why nothing is written now although the disk would take it; undefined = it is. */
  refusal(): MeshError | undefined
}

const retryMs = 10_000
const pauseFactor = 20

export class CoalescedWriter {
  private readonly options: CoalescedWriterOptions
  private cancel: (() => void) | undefined
  private writing: Promise<void> | undefined
  private isDirty = false
  private isEnabled = false
  private pauseMs = 0
  /** What the last write failed with; undefined when it succeeded. */
  problem: MeshError | undefined

  constructor(options: CoalescedWriterOptions) {
    this.options = options
  }

  /** Only the leading generation writes. */
  setEnabled(isEnabled: boolean): void {
    this.isEnabled = isEnabled
    if (!isEnabled) this.disarm()
    else if (this.isDirty) this.arm(0)
  }

  changed(): void {
    this.isDirty = true
    this.arm(Math.max(this.options.delayMs, this.pauseMs))
  }

  /** Writes at once what is not written yet, and goes on as before; resolves also when the write fails. */
  async flush(): Promise<void> {
    this.disarm()
    await this.writing
    if (this.isDirty && this.isEnabled) await this.write()
    // somebody else may have begun to write in the same moment
    else await this.writing
  }

  /** The `flush` that ends it: nothing is written afterwards. */
  async close(): Promise<void> {
    await this.flush()
    this.isEnabled = false
    this.disarm()
  }

  private arm(ms: number): void {
    if (!this.isEnabled || this.cancel !== undefined || this.writing !== undefined) return
    this.cancel = this.options.clock.after(ms, () => {
      this.cancel = undefined
      void this.write()
    })
  }

  private disarm(): void {
    this.cancel?.()
    this.cancel = undefined
  }

  private async write(): Promise<void> {
    this.isDirty = false
    this.writing = this.attempt()
    await this.writing
    this.writing = undefined
    if (this.problem !== undefined) {
      this.isDirty = true
      this.arm(retryMs)
    } else if (this.isDirty) this.arm(Math.max(this.options.delayMs, this.pauseMs))
  }

  private async attempt(): Promise<void> {
    const { clock, file, format } = this.options
    const from = clock.monotonic()
    try {
      const refusal = this.options.refusal()
      if (refusal !== undefined) throw refusal
      await writeChecked(file, format, await this.options.body())
      this.pauseMs = Math.min(60_000, (clock.monotonic() - from) * pauseFactor)
      if (this.problem !== undefined) {
        this.problem = undefined
        this.options.onRecovered()
      }
    } catch (error) {
      const isNew = this.problem === undefined
      this.problem = error as MeshError
      if (isNew) this.options.onProblem(this.problem)
    }
  }
}
