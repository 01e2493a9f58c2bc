/**
 * Reads `relay-targets.json` before it is needed. A damaged file changes nothing: the last good one in memory stays,
 * and the problem is visible.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { relayTargetsFormat } from '../../contracts/relay-targets.ts'
import type { RelayTargets, RelayTargetsFile } from '../../contracts/relay-targets.ts'

const maxFileBytes = 64 * 1024 * 1024

export class TargetsFile {
  /** Last good content. */
  targets: RelayTargets | undefined
  /** What is wrong with the file now. */
  problem: string | undefined = 'not read yet'
  private readonly path: string
  private seen = ''

  constructor(path: string) {
    this.path = path
  }

  /** Cheap when the file has not changed. True when new targets were read. */
  refresh(): boolean {
    try {
      const { mtimeMs, size, ino } = statSync(this.path)
      const stamp = `${mtimeMs}:${size}:${ino}`
      if (stamp === this.seen) return false
      this.seen = stamp
      if (size > maxFileBytes) throw new Error(`${size} bytes, allowed ${maxFileBytes}`)
      this.targets = parseTargets(readFileSync(this.path, 'utf8'))
      this.problem = undefined
      return true
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      this.problem = `${this.path}: ${isMissing ? 'not there (yet)' : (error as Error).message}`
      return false
    }
  }
}

/** Throws an Error that says what is wrong. */
function parseTargets(text: string): RelayTargets {
  const file = JSON.parse(text) as Partial<Record<keyof RelayTargetsFile, unknown>>
  if (file.format !== relayTargetsFormat) throw new Error(`format ${String(file.format)}, known ${relayTargetsFormat}`)
  const found = createHash('sha256').update(JSON.stringify(file.body)).digest('hex')
  if (found !== file.checksum) throw new Error('checksum does not match; the file is damaged')
  const body = file.body as Partial<RelayTargets>
  if (
    typeof body !== 'object' ||
    typeof body.host !== 'string' ||
    !Array.isArray(body.centers) ||
    typeof body.listeners !== 'object' ||
    typeof body.services !== 'object' ||
    typeof body.names !== 'object' ||
    !Array.isArray(body.fallbackNetworks)
  ) {
    throw new Error('a field is missing or of the wrong type')
  }
  return body as RelayTargets
}
