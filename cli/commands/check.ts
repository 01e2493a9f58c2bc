/** `hostmesh check`: reads everything that the agent would read and reports all problems at once. Changes nothing, contacts nobody. */
import { checkConfig } from '../../agent/control/config/check.ts'
import { checkRules } from '../../agent/control/config/check-rules.ts'
import { type ConfigProblem, formatProblem } from '../../agent/control/config/problem.ts'
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

export function check(output: Output, configPath: string): ExitCode {
  const result = checkConfig(configPath)
  const rules = result.config === undefined ? [] : checkRules(result.config)
  const problems: ConfigProblem[] = [...result.problems, ...rules]
  const errors = problems.filter((problem) => problem.severity === 'error').length
  if (output.isJson) {
    output.json({ valid: errors === 0, problems })
    return errors === 0 ? exitCodes.ok : exitCodes.config
  }
  for (const problem of problems) {
    const text = formatProblem(problem)
    output.line(problem.severity === 'error' ? output.style('red', text) : output.style('yellow', text))
  }
  const warnings = problems.length - errors
  if (errors > 0) output.line(`${configPath}: ${errors} errors, ${warnings} warnings`)
  else output.line(`${configPath}: good, ${result.applications.length} local applications, ${warnings} warnings`)
  return errors === 0 ? exitCodes.ok : exitCodes.config
}
