/** `hostmesh status`: one screen that answers "is this host all right, and who serves whom". */
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

interface ServerInfo {
  readonly version: string
  readonly state: string
  readonly host: string
  readonly role: string
  readonly generation: number
  readonly uptimeSeconds: number
  readonly snapshotVersion: number
  readonly workers: readonly { index: number; pid: number; snapshotVersion: number }[]
  readonly registries: readonly {
    name: string
    type: string
    connected: boolean
    server?: string
    problem?: { code: string; message: string }
    subscriptions: number
    registrations: number
  }[]
}

interface Ready {
  readonly ready: boolean
  readonly pending: readonly string[]
}

export async function status(context: CommandContext): Promise<ExitCode> {
  const info = (await adminJson(context.admin, '/server_info?format=json')) as ServerInfo
  const readyReply = await context.admin.get('/ready?format=json')
  const ready = JSON.parse(readyReply.text) as Ready
  const { output } = context
  if (output.isJson) {
    output.json({ ...info, ready })
    return ready.ready ? exitCodes.ok : exitCodes.failed
  }
  const state = ready.ready ? output.style('green', info.state) : output.style('yellow', info.state)
  output.line(
    `${info.role} ${output.style('bold', info.host)}  ${state}  generation ${info.generation}, up ${info.uptimeSeconds} s`,
  )
  if (!ready.ready) output.line(`waits for: ${ready.pending.join(', ')}`)
  output.line()
  output.table(
    ['worker', 'pid', 'snapshot'],
    info.workers.map((worker) => [
      String(worker.index),
      String(worker.pid),
      worker.snapshotVersion === info.snapshotVersion
        ? `v${worker.snapshotVersion}`
        : output.style('yellow', `v${worker.snapshotVersion}, newest is v${info.snapshotVersion}`),
    ]),
  )
  output.line()
  output.table(
    ['registry', 'type', 'state', 'subscriptions', 'registrations'],
    info.registries.map((registry) => [
      registry.name,
      registry.type,
      registry.connected
        ? output.style('green', `connected to ${registry.server ?? '-'}`)
        : output.style(
            'red',
            registry.problem === undefined ? 'not connected' : `${registry.problem.code}  ${registry.problem.message}`,
          ),
      String(registry.subscriptions),
      String(registry.registrations),
    ]),
  )
  return ready.ready ? exitCodes.ok : exitCodes.failed
}
