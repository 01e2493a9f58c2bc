/** `hostmesh outbound add|remove|list`: services that this host is told of, each with a localhost port of its own. */
import { adminJson, apiJson, orderJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

export interface ToldRow {
  readonly service: string
  readonly protocol: string
  readonly address: string
  readonly port: number
  /** RFC 3339; null = until it is taken back. */
  readonly until: string | null
  readonly problem?: string
}

export interface AddOptions {
  readonly protocol: string | undefined
  readonly port: number | undefined
  readonly ttl: string | undefined
}

export async function addOutbound(
  { admin, output }: CommandContext,
  service: string,
  options: AddOptions,
): Promise<ExitCode> {
  const row = (await orderJson(admin, '/outbound', { service, ...options })) as ToldRow
  if (output.isJson) output.json(row)
  else output.line(`${row.service} is at ${row.address}:${row.port}${row.until === null ? '' : ` until ${row.until}`}`)
  return exitCodes.ok
}

export async function removeOutbound({ admin, output }: CommandContext, service: string): Promise<ExitCode> {
  const removed = (await apiJson(admin, 'DELETE', `/outbound?${new URLSearchParams({ service }).toString()}`)) as {
    service: string
  }
  if (output.isJson) output.json(removed)
  else output.line(`${removed.service} has no port of its own any more, unless somebody else wants it`)
  return exitCodes.ok
}

export async function listOutbound({ admin, output }: CommandContext): Promise<ExitCode> {
  const { services } = (await adminJson(admin, '/outbound')) as { services: readonly ToldRow[] }
  if (output.isJson) output.json(services)
  else
    output.table(
      ['service', 'protocol', 'address', 'until', 'problem'],
      services.map(({ address, port, problem, protocol, service, until }) => [
        service,
        protocol,
        `${address}:${port}`,
        until ?? '-',
        problem ?? '',
      ]),
    )
  return services.some(({ problem }) => problem !== undefined) ? exitCodes.failed : exitCodes.ok
}
