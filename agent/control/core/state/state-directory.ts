/** The files of the state directory: each read once at the start, and kept up to date by the leading generation. */
import { join } from 'node:path'
import { MeshError, describeError } from '../../../../contracts/errors.ts'
import type { AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { readChecked } from './checked-file.ts'
import { CoalescedWriter } from './coalesced-writer.ts'

export interface StateDirectoryDeps {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AdapterMetrics
}

export class StateDirectory {
  private readonly directory: string
  private readonly deps: StateDirectoryDeps
  private readonly writers = new Map<string, CoalescedWriter>()
  private readonly damaged: string[] = []
  private failing: MeshError | undefined

  constructor(directory: string, deps: StateDirectoryDeps) {
    this.directory = directory
    this.deps = deps
  }

  /** The body of a file; a damaged one counts as missing and is reported. */
  read(file: string, format: number): unknown {
    try {
      return readChecked(join(this.directory, file), format)
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.damaged.push(error.message)
      this.deps.log.error({ code: error.code, file }, describeError(error))
      return undefined
    }
  }

  keep(file: string, format: number, delayMs: number, body: () => unknown): void {
    const { clock, log, metrics } = this.deps
    const writer = new CoalescedWriter({
      file: join(this.directory, file),
      format,
      delayMs,
      clock,
      body,
      refusal: () => this.failing,
      onProblem: (problem) => {
        metrics.count('state_write_failures', { file })
        metrics.gauge('state_write_failing', { file }, 1)
        log.error({ code: problem.code, file }, describeError(problem))
      },
      onRecovered: () => {
        metrics.gauge('state_write_failing', { file }, 0)
        log.info({ file }, `${file}: can be written again`)
      },
    })
    this.writers.set(file, writer)
  }

  changed(file: string): void {
    this.writers.get(file)?.changed()
  }

  /** Resolves when what was said of the file so far is on disk, or has failed. */
  async flush(file: string): Promise<void> {
    await this.writers.get(file)?.flush()
  }

  /** Writes what is not written yet, and goes on as before. Never rejects. */
  async writeNow(): Promise<void> {
    await Promise.all([...this.writers.values()].map((writer) => writer.flush()))
  }

  files(): string[] {
    return [...this.writers.keys()]
  }

  setEnabled(isEnabled: boolean): void {
    for (const writer of this.writers.values()) writer.setEnabled(isEnabled)
  }

  /** For drills: every write fails with this, as on a full disk; undefined ends it, and what waits is written. */
  setFailing(problem: MeshError | undefined): void {
    this.failing = problem
    for (const writer of this.writers.values()) {
      writer.changed()
      void writer.flush()
    }
  }

  /** Another generation writes from now on: what is not written yet is written at once, then nothing more. */
  async hand(): Promise<void> {
    await this.close()
  }

  /** What cannot be written now, and what was damaged at the start. */
  problems(): string[] {
    const failing = [...this.writers.values()].flatMap((writer) =>
      writer.problem === undefined ? [] : [writer.problem.message],
    )
    return [...failing, ...this.damaged]
  }

  /** Writes what is not written yet, then nothing more. */
  async close(): Promise<void> {
    await Promise.all([...this.writers.values()].map((writer) => writer.close()))
  }
}
