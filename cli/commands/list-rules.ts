/** `hostmesh rules list`: every rule that the running agent knows, in force or rejected with the reason. */
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

interface RuleRow {
  readonly state: string
  readonly inForce: boolean
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly document: string
  readonly line: number
  readonly problems: readonly { path: string; line: number; column: number; message: string }[]
}

export async function listRules({ admin, output }: CommandContext): Promise<ExitCode> {
  const { rules } = (await adminJson(admin, '/rules?format=json')) as { rules: readonly RuleRow[] }
  if (output.isJson) output.json(rules)
  else
    output.table(
      ['state', 'kind', 'name', 'document', 'problems'],
      rules.map((rule) => [
        rule.state === 'applied' ? rule.state : output.style('red', stateOf(rule)),
        rule.kind,
        `${rule.namespace}/${rule.name}`,
        `${rule.document}:${rule.line}`,
        rule.problems.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`).join('; '),
      ]),
    )
  return rules.some((rule) => rule.state !== 'applied') ? exitCodes.failed : exitCodes.ok
}

function stateOf({ state, inForce }: RuleRow): string {
  return inForce ? `${state}, last good version in force` : state
}
