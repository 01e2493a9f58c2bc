/**
 * `hostmesh check`: reads everything that the agent would read and reports all problems at once. Changes nothing;
 * contacts nobody, or with `--online` the registries.
 */
import { readRules } from '../../agent/control/config/check-rules.ts'
import { type ConfigProblem, formatProblem } from '../../agent/control/config/problem.ts'
import { checkNode } from '../node-kinds.ts'
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { OnlineFinding } from './check-online.ts'

export async function check(output: Output, configPath: string, isOnline: boolean): Promise<ExitCode> {
  const result = checkNode(configPath)
  const { config } = result
  const rules = config === undefined ? { problems: [], hosts: [] } : readRules(config)
  const problems: ConfigProblem[] = [...result.problems, ...rules.problems]
  const errors = problems.filter((problem) => problem.severity === 'error').length
  // a configuration with problems may still reach its registries, and both answers are wanted at once
  const findings = isOnline && config !== undefined ? await ask(config) : []
  if (output.isJson)
    output.json({ valid: errors === 0, problems, hosts: rules.hosts, ...(isOnline ? { registries: findings } : {}) })
  else {
    for (const problem of problems) {
      const text = formatProblem(problem)
      output.line(problem.severity === 'error' ? output.style('red', text) : output.style('yellow', text))
    }
    for (const { document, line, host, key, why } of rules.hosts)
      output.line(`${document}:${line}  ${host} is ${key} (${why})`)
    const warnings = problems.length - errors
    if (errors > 0) output.line(`${configPath}: ${errors} errors, ${warnings} warnings`)
    else output.line(`${configPath}: good, ${result.applications.length} local applications, ${warnings} warnings`)
    for (const finding of findings) output.line(lineOf(output, finding))
  }
  if (errors > 0) return exitCodes.config
  return findings.every(({ problem }) => problem === undefined) ? exitCodes.ok : exitCodes.unreachable
}

async function ask(config: Parameters<typeof readRules>[0]): Promise<OnlineFinding[]> {
  const { checkOnline } = await import('./check-online.ts')
  return checkOnline(config)
}

function lineOf(output: Output, { registry, server, question, problem, ms }: OnlineFinding): string {
  const answer = problem === undefined ? output.style('green', `yes (${ms} ms)`) : output.style('red', problem)
  return `${registry}: ${server}: ${question}: ${answer}`
}
