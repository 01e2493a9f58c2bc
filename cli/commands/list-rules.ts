/** `hostmesh rules list`: every rule that the running agent knows, in force or rejected with the reason. */
import { isRuleFault, type RuleStatus } from '../../contracts/rule-status.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

export async function listRules({ admin, output }: CommandContext): Promise<ExitCode> {
  const { rules } = (await adminJson(admin, '/rules?format=json')) as { rules: readonly RuleStatus[] }
  if (output.isJson) output.json(rules)
  else
    output.table(
      ['state', 'kind', 'name', 'source', 'document', 'problems'],
      rules.map((rule) => [
        isRuleFault(rule.state) ? output.style('red', stateOf(rule)) : rule.state,
        rule.kind,
        `${rule.namespace}/${rule.name}`,
        rule.source,
        `${rule.document}:${rule.line}`,
        rule.problems.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`).join('; '),
      ]),
    )
  return rules.some((rule) => isRuleFault(rule.state)) ? exitCodes.failed : exitCodes.ok
}

function stateOf({ state, inForce }: RuleStatus): string {
  return inForce ? `${state}, last good version in force` : state
}
