/** `hostmesh certs`: what this host proves itself and its applications with. */
import type { IdentityRow } from '../../contracts/identity-row.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

/** Exit code 1 when one is missing, late or over. */
export async function certs({ admin, output }: CommandContext, isWithChain: boolean): Promise<ExitCode> {
  const { identities, now } = (await adminJson(admin, '/identities?format=json')) as {
    identities: readonly IdentityRow[]
    now: number
  }
  if (output.isJson) output.json(identities)
  else {
    output.table(
      ['identity', 'source', 'state', 'age', 'ends in', 'renewed in', 'serial', 'problem'],
      identities.map((row) => [
        row.id,
        row.source,
        stateOf(output, row.state),
        spanOf(row.notBefore === undefined ? undefined : now - row.notBefore),
        spanOf(row.notAfter === undefined ? undefined : row.notAfter - now),
        row.renewAt === undefined ? '-' : row.renewAt <= now ? 'now' : spanOf(row.renewAt - now),
        row.serial ?? '-',
        row.problem ?? '-',
      ]),
    )
    if (isWithChain) for (const { chain } of identities) for (const pem of chain) output.line(pem.trimEnd())
  }
  return identities.every(({ state }) => state === 'good') ? exitCodes.ok : exitCodes.failed
}

function stateOf(output: Output, state: IdentityRow['state']): string {
  return output.style(state === 'good' ? 'green' : 'red', state)
}

/** In the largest unit of which there are two or more. */
function spanOf(ms: number | undefined): string {
  if (ms === undefined) return '-'
  if (ms < 0) return 'over'
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}
