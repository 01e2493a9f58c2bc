/** The documents of rules.d. */
import { readFileSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { RuleDocument } from '../rules/types.ts'
import { yamlFilesIn } from './check.ts'
import { maxConfigFileBytes, systemReason } from './yaml-file.ts'

/** In order of name. A file that cannot be read is still named, so that its last good rules stay. */
export function readRuleFiles(directory: string): RuleDocument[] {
  return yamlFilesIn(directory).files.map((file) => {
    const name = basename(file)
    try {
      const size = statSync(file).size
      if (size > maxConfigFileBytes)
        return { name, text: undefined, problem: `${size} bytes, allowed ${maxConfigFileBytes}; the file is not read` }
      return { name, text: readFileSync(file, 'utf8') }
    } catch (error) {
      return { name, text: undefined, problem: `cannot be read: ${systemReason(error)}` }
    }
  })
}
