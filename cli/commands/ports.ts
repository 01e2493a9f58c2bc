/** `hostmesh ports`: which localhost port leads to which service, and which inbound port to which application. */
import type { PortRow } from '../../contracts/port-row.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

/** @param asEnvironment prints `ORDERS_ADDRESS=127.0.0.1:20001` lines for a shell or an EnvironmentFile. */
export async function ports(context: CommandContext, asEnvironment: boolean): Promise<ExitCode> {
  const { ports: rows } = (await adminJson(context.admin, '/ports?format=json')) as { ports: readonly PortRow[] }
  const { output } = context
  if (output.isJson) output.json(rows)
  else if (asEnvironment) {
    for (const row of rows) {
      if (row.direction === 'outbound') output.line(`${variableName(row.service)}_ADDRESS=${row.address}:${row.port}`)
    }
  } else {
    output.table(
      ['direction', 'service', 'address', 'protocol', 'state'],
      rows.map((row) => [
        row.direction,
        row.service,
        `${row.address}:${row.port}`,
        row.protocol,
        row.problem === undefined ? row.state : output.style('red', `${row.state}: ${row.problem}`),
      ]),
    )
  }
  return rows.some((row) => row.problem !== undefined) ? exitCodes.failed : exitCodes.ok
}

/** `public/DEFAULT_GROUP@@order-service` to `ORDER_SERVICE`; parts that are not the default stay in the name. */
export function variableName(service: string): string {
  return service
    .replace(/^public\//, '')
    .replace(/^DEFAULT_GROUP@@/, '')
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, '_')
}
