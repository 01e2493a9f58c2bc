/**
 * `watchdog.json` in the run directory: which processes this watchdog runs, so that its successor can adopt them.
 * Rewritten at each change, atomically.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GenerationPhase, Release } from '../../contracts/handoff.ts'
import { assertRelease } from '../options.ts'
import type { ChildRecord } from './child.ts'
import type { Probation } from './way-back.ts'

const fileName = 'watchdog.json'
const format = 1

export interface GenerationRecord {
  readonly number: number
  readonly phase: GenerationPhase
  readonly release: Release
  /** Epoch ms. */
  readonly startedAt: number
  readonly children: readonly ChildRecord[]
}

export interface RunRecord {
  readonly lastNumber: number
  readonly previousRelease: Release | undefined
  /** Absent from a record of a release that kept it to itself. */
  readonly probation?: Probation | undefined
  readonly generations: readonly GenerationRecord[]
}

export function writeRunRecord(runDir: string, record: RunRecord): void {
  const temporary = join(runDir, `${fileName}.new`)
  writeFileSync(temporary, JSON.stringify({ format, ...record }), { mode: 0o600 })
  renameSync(temporary, join(runDir, fileName))
}

/** undefined when there is none, or none that can be understood: then nothing is adopted. */
export function readRunRecord(runDir: string): RunRecord | undefined {
  try {
    const found = JSON.parse(readFileSync(join(runDir, fileName), 'utf8')) as RunRecord & { readonly format: number }
    if (found.format !== format || !Number.isInteger(found.lastNumber) || !Array.isArray(found.generations))
      return undefined
    for (const generation of found.generations) assertRelease(generation.release)
    if (found.probation !== undefined) assertRelease(found.probation.release)
    return found
  } catch {
    return undefined
  }
}
