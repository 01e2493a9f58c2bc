/** `hostmesh mtls plan`: which inbound ports could become STRICT, and who would be shut out. */
import type { MtlsPort, PlainCaller } from '../../contracts/mtls-view.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

/** Callers that are named in a line of the table; `--json` has all of them. */
const namedCallers = 5

export interface PlanCall {
  /** ms; undefined = everything since the agent began. */
  readonly during: number | undefined
}

/** Exit code 1 while somebody calls a PERMISSIVE port in plain. */
export async function mtlsPlan({ admin, output }: CommandContext, { during }: PlanCall): Promise<ExitCode> {
  const look = async (): Promise<readonly MtlsPort[]> =>
    ((await adminJson(admin, '/mtls?format=json')) as { ports: readonly MtlsPort[] }).ports
  let ports = await look()
  if (during !== undefined) {
    const before = ports
    await untilStopped((stop) => pause(during, stop))
    ports = since(before, await look())
  }
  const rows = ports.map((port) => ({ ...port, verdict: verdictOf(port) }))
  if (output.isJson) output.json(rows)
  else
    output.table(
      ['service', 'address', 'mode', 'mutual TLS', 'plain', 'STRICT'],
      rows.map((row) => [
        row.service,
        row.address,
        row.mode,
        String(row.mutual),
        String(row.plain.reduce((sum, { connections }) => sum + connections, 0)),
        output.style(isShutOut(row) ? 'red' : 'green', row.verdict),
      ]),
    )
  return rows.some(isShutOut) ? exitCodes.failed : exitCodes.ok
}

function isShutOut({ mode, plain }: MtlsPort): boolean {
  return mode === 'permissive' && plain.length > 0
}

function verdictOf(port: MtlsPort): string {
  const { mode, mutual, plain } = port
  if (mode === 'strict') return 'is in force'
  if (mode === 'plain') return 'takes no TLS: no certificate, or DISABLE'
  if (isShutOut(port)) return `would shut out ${named(plain)}`
  return mutual > 0 ? 'can be switched on' : 'nobody called'
}

function named(plain: readonly PlainCaller[]): string {
  const names = plain.slice(0, namedCallers).map(({ caller, connections }) => `${caller} (${connections})`)
  const more = plain.length - namedCallers
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')
}

/** What came between two looks. A count that fell belongs to an agent that began anew in between. */
function since(before: readonly MtlsPort[], now: readonly MtlsPort[]): MtlsPort[] {
  const grown = (count: number, former: number): number => (count < former ? count : count - former)
  return now.map((port) => {
    const former = before.find(({ listener }) => listener === port.listener)
    const of = (caller: string): number => former?.plain.find((one) => one.caller === caller)?.connections ?? 0
    return {
      ...port,
      mutual: grown(port.mutual, former?.mutual ?? 0),
      plain: port.plain
        .map(({ caller, connections }) => ({ caller, connections: grown(connections, of(caller)) }))
        .filter(({ connections }) => connections > 0),
    }
  })
}
