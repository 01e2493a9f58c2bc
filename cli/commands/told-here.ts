/** What this host alone was told: rules and ports that stand in no file, no registry and no center. */
import { isRuleFault, type RuleStatus } from '../../contracts/rule-status.ts'
import type { CommandContext } from '../context.ts'
import type { Output } from '../output.ts'
import type { ToldRow } from './outbound.ts'

/** Rows of one kind; `hostmesh rules list` and `hostmesh outbound list` have all. */
const mostRows = 20
const localSource = 'local'

export interface ToldHere {
  readonly rules: readonly RuleStatus[]
  readonly outbound: readonly ToldRow[]
}

/** Empty for whoever may not see it, and of a control of before. */
export async function readToldHere({ admin }: CommandContext): Promise<ToldHere> {
  const read = async <T>(path: string): Promise<T | undefined> => {
    const { status, text } = await admin.get(path)
    return status === 200 ? (JSON.parse(text) as T) : undefined
  }
  const rules = await read<{ readonly rules: readonly RuleStatus[] }>('/rules?format=json')
  const outbound = await read<{ readonly services: readonly ToldRow[] }>('/outbound')
  return {
    rules: rules?.rules.filter(({ source }) => source === localSource) ?? [],
    outbound: outbound?.services ?? [],
  }
}

export function printToldHere(output: Output, { outbound, rules }: ToldHere): void {
  if (rules.length + outbound.length === 0) return
  output.line()
  output.table(
    ['local', 'name', 'state'],
    [
      ...cut(rules, 'rules', ({ kind, name, namespace, state }) => [
        kind,
        `${namespace}/${name}`,
        isRuleFault(state) ? output.style('red', state) : state,
      ]),
      ...cut(outbound, 'ports', ({ address, port, problem, service, until }) => [
        'port',
        service,
        problem === undefined
          ? `${address}:${port}${until === null ? '' : ` until ${until}`}`
          : output.style('red', problem),
      ]),
    ],
  )
}

function cut<T>(all: readonly T[], what: string, row: (one: T) => string[]): string[][] {
  const rows = all.slice(0, mostRows).map(row)
  return all.length > mostRows ? [...rows, [what, `and ${all.length - mostRows} more`, '']] : rows
}
