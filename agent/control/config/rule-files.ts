/** The documents of rules.d. */
import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { endlessFile, isEndless } from '../../../contracts/endless-file.ts'
import type { RuleDocument } from '../core/rules/types.ts'
import { yamlFilesIn } from './check.ts'
import type { ConfigProblem } from './problem.ts'
import { maxConfigFileBytes, systemReason } from './yaml-file.ts'

export interface RuleFiles {
  readonly documents: readonly RuleDocument[]
  /** Why the folder cannot be read; then nothing is known about its files, and the rules that came from them stay. */
  readonly problems: readonly ConfigProblem[]
}

/**
 * In order of name. A file that is there but cannot be read is still named, so that its last good rules stay; no folder
 * means no rules.
 */
export function readRuleFiles(directory: string): RuleFiles {
  const { files, problems } = yamlFilesIn(directory)
  return { documents: files.flatMap((file) => readRuleFile(file) ?? []), problems }
}

/** undefined for a file that went away since the folder was listed. */
function readRuleFile(file: string): RuleDocument | undefined {
  const name = basename(file)
  try {
    const found = statSync(file)
    if (isEndless(found)) return { name, text: undefined, problem: endlessFile }
    const { size } = found
    if (size > maxConfigFileBytes)
      return { name, text: undefined, problem: `${size} bytes, allowed ${maxConfigFileBytes}; the file is not read` }
    return { name, text: readFileSync(file, 'utf8') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return { name, text: undefined, problem: `cannot be read: ${systemReason(error)}` }
  }
}
