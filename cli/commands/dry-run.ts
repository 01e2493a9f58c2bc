/** `hostmesh rules dry-run`: what a rule would change, found on live traffic without effect. */
import { readFileSync } from 'node:fs'
import type { DryRunView } from '../../contracts/dry-run.ts'
import { MeshError } from '../../contracts/errors.ts'
import { adminJson, orderJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

const page = '/rules/dry-run'
const askEveryMs = 500

/** Until it is over; a signal ends it and shows what was found so far. */
export async function dryRun(
  { admin, output }: CommandContext,
  file: string,
  { share, ms }: { readonly share: number; readonly ms: number },
): Promise<ExitCode> {
  const rule = textOf(file)
  const viewOf = (answer: unknown): DryRunView | null => (answer as { dryRun: DryRunView | null }).dryRun
  const begun = viewOf(await orderJson(admin, page, { rule, share, ms }))!
  let view = begun
  let isCutShort = false
  await untilStopped(async (stop) => {
    while (view.state === 'running') {
      await pause(askEveryMs, stop)
      if (stop.aborted) await orderJson(admin, `${page}/stop`, undefined)
      const now = viewOf(await adminJson(admin, page))
      // a generation, or a control, that is new knows nothing of it
      isCutShort = now === null
      if (now === null) break
      if (now.id !== begun.id) throw new MeshError('E_ADMIN_REQUEST', 'another dry run began meanwhile')
      view = now
      if (stop.aborted) break
    }
  })
  if (output.isJson) output.json(view)
  else print(output, view)
  if (isCutShort) {
    output.problem('the agent was replaced meanwhile, which ended the dry run: this is what was found until then')
    return exitCodes.failed
  }
  if (view.state === 'refused') return exitCodes.failed
  return view.figures.different === 0 && view.figures.failed === 0 ? exitCodes.ok : exitCodes.failed
}

function print(output: Output, { rule, hosts, figures }: DryRunView): void {
  const { evaluated, different, undecided, failed, failure, differences, others } = figures
  const counts = [`${evaluated} requests evaluated`, `${different} would be otherwise`]
  if (undecided > 0) counts.push(`${undecided} cannot be told without asking others`)
  if (failed > 0) counts.push(output.style('red', `${failed} failed: ${failure}`))
  output.line(`${rule}: ${counts.join(', ')}`)
  if (differences.length > 0)
    output.table(
      ['requests', 'what', 'virtual host', 'route', 'now', 'then', 'example'],
      differences.map(({ requests, kind, host, route, now, then, example }) => [
        String(requests),
        kind,
        host,
        route || '-',
        now,
        then,
        example || '-',
      ]),
    )
  if (others > 0) output.line(`${others} more differences are told apart no further`)
  for (const { host, state, problem } of hosts) {
    if (state === 'asked') output.problem(`${host}: has said nothing`)
    else if (problem !== '') output.problem(`${host}: ${state}: ${problem}`)
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: cannot be read; nothing was begun`, { cause })
  }
}
