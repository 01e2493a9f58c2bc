/** The check of rules.d for `hostmesh check`: the same compiler that runs in control. */
import { join } from 'node:path'
import { RuleStore } from '../core/rules/rule-store.ts'
import type { HostReading } from '../core/rules/rule-store.ts'
import type { ConfigProblem } from './problem.ts'
import { readRuleFiles } from './rule-files.ts'
import { ruleScope } from './rule-scope.ts'
import type { AgentConfig } from './types.ts'

/**
 * Every problem of every rule: a rejected one is an error, a host that another resource decides about is a warning. And
 * for each host that a namespace or a cluster's name made another service: which, and why.
 *
 * Reads files only; never throws for what they hold.
 */
export function readRules(config: AgentConfig): { problems: ConfigProblem[]; hosts: readonly HostReading[] } {
  const rules = new RuleStore(ruleScope(config))
  const { documents, problems } = readRuleFiles(config.rulesDir)
  const { statuses } = rules.replaceSource('rules.d', documents)
  const ofRules = statuses.flatMap((status) =>
    status.problems.map((problem): ConfigProblem => ({
      severity: status.state === 'rejected' ? 'error' : 'warning',
      file: join(config.rulesDir, status.document),
      line: problem.line,
      column: problem.column,
      path: problem.path === '' ? `${status.kind} ${status.name}`.trim() : problem.path,
      message: problem.message,
      nearest: undefined,
    })),
  )
  return { problems: [...problems, ...ofRules], hosts: rules.hostReadings() }
}
