/**
 * The operator's drain of listeners: told to every worker, also to those that start later, until it is taken back. Kept
 * in the run directory, so that another control knows of it, and a host that starts anew does not.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { WorkerQuestion } from '../../../contracts/control-link.ts'
import type { Publisher } from '../core/snapshot/publisher.ts'
import { workerAnswerMs } from './worker-answer.ts'

export type DrainExtent = 'none' | 'inbound' | 'all'

export interface DrainTold {
  readonly workers: number
  readonly problems: readonly string[]
}

export class ListenerDrain {
  private readonly publisher: Pick<Publisher, 'ask' | 'states'>
  private readonly file: string
  /** Workers that know. */
  private readonly told = new Set<number>()
  private extentNow: DrainExtent

  constructor(publisher: Pick<Publisher, 'ask' | 'states'>, file: string) {
    this.publisher = publisher
    this.file = file
    this.extentNow = readExtent(file)
  }

  get extent(): DrainExtent {
    return this.extentNow
  }

  async begin(inboundOnly: boolean): Promise<DrainTold> {
    if (this.extentNow !== 'all') this.extentNow = inboundOnly ? 'inbound' : 'all'
    writeFileSync(this.file, this.extentNow, { mode: 0o600 })
    return await this.tell()
  }

  async end(): Promise<DrainTold> {
    this.extentNow = 'none'
    rmSync(this.file, { force: true })
    return await this.tell()
  }

  /** A worker that has just come listens on everything. */
  async workersChanged(): Promise<void> {
    const pids = this.publisher.states().map(({ pid }) => pid)
    if (this.extentNow !== 'none' && !pids.every((pid) => this.told.has(pid))) await this.tell()
  }

  private async tell(): Promise<DrainTold> {
    this.told.clear()
    for (const { pid } of this.publisher.states()) this.told.add(pid)
    const question: WorkerQuestion =
      this.extentNow === 'none'
        ? { kind: 'undrain-listeners' }
        : { kind: 'drain-listeners', inboundOnly: this.extentNow === 'inbound' }
    const { answers, problems } = await this.publisher.ask(question, workerAnswerMs)
    return { workers: answers.length, problems }
  }
}

function readExtent(file: string): DrainExtent {
  try {
    const text = readFileSync(file, 'utf8')
    return text === 'inbound' || text === 'all' ? text : 'none'
  } catch {
    return 'none'
  }
}
