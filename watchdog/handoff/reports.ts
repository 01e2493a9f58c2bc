/**
 * What came of each restart: in the log, in memory for `/generations`, and as a JSON file. A disk that is full or
 * read-only costs only the file.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DrainCount, RestartReport } from '../../contracts/handoff.ts'
import type { Log } from '../log.ts'

const maxReportsInMemory = 20
const maxReportFiles = 100

export class Reports {
  private readonly folder: string
  private readonly log: Log
  private newest: RestartReport[] = []

  constructor(folder: string, log: Log) {
    this.folder = folder
    this.log = log
  }

  list(): readonly RestartReport[] {
    return this.newest
  }

  /** A report with the same id replaces its earlier form. */
  save(report: RestartReport): void {
    this.newest = [report, ...this.newest.filter((other) => other.id !== report.id)].slice(0, maxReportsInMemory)
    this.log(report.outcome === 'done' ? 'info' : 'error', sentence(report), { report })
    const file = join(this.folder, `${report.id}.json`)
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 })
      writeFileSync(`${file}.new`, `${JSON.stringify(report, undefined, 2)}\n`, { mode: 0o600 })
      renameSync(`${file}.new`, file)
      this.removeOld()
    } catch (error) {
      this.log('warn', `${file}: the report could not be written: ${(error as Error).message}`)
    }
  }

  private removeOld(): void {
    const files = readdirSync(this.folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
    for (const name of files.slice(0, Math.max(0, files.length - maxReportFiles))) rmSync(join(this.folder, name))
  }
}

/** Sums of several workers, by protocol and application. */
export function addCounts(counts: readonly DrainCount[]): DrainCount[] {
  const sums = new Map<string, DrainCount>()
  for (const count of counts) {
    const key = `${count.protocol} ${count.application}`
    const sum = sums.get(key)
    sums.set(key, {
      protocol: count.protocol,
      application: count.application,
      moved: count.moved + (sum?.moved ?? 0),
      drained: count.drained + (sum?.drained ?? 0),
      cut: count.cut + (sum?.cut ?? 0),
    })
  }
  return [...sums.values()]
}

function sentence(report: RestartReport): string {
  const what = `${report.kind} of generation ${report.from ?? 'none'} to ${report.to}`
  if (report.outcome !== 'done') return `${what}: ${report.outcome}: ${report.cause ?? 'no cause known'}`
  if (report.goneMs === undefined)
    return `${what}: serves after ${report.servingMs ?? 0} ms${report.from === undefined ? '' : '; the old one drains'}`
  const total = (fate: 'moved' | 'drained' | 'cut'): number =>
    report.counts.reduce((sum, count) => sum + count[fate], 0)
  return `${what}: old one gone after ${report.goneMs} ms; moved ${total('moved')}, drained ${total('drained')}, cut ${total('cut')}`
}
