/** `hostmesh generations`, `reload`, `rollback`, `stop`: what the watchdog knows and does. */
import { MeshError } from '../../contracts/errors.ts'
import type { OperatorRequest, RestartReport, WatchdogState } from '../../contracts/handoff.ts'
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { releaseName } from '../version.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { canaryLine, whileTelling } from './canary-progress.ts'

const statusTimeoutMs = 5000
/** A restart ends by the drain deadline at the latest; this bound is for a watchdog that hangs. */
const restartTimeoutMs = 15 * 60_000

export async function generations(output: Output, runDir: string): Promise<ExitCode> {
  const reply = await askWatchdog(runDir, { type: 'status' }, statusTimeoutMs)
  if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  if (output.isJson) output.json(reply.state)
  else printState(output, reply.state)
  return reply.state.relay.isRelaying ? exitCodes.failed : exitCodes.ok
}

export async function restart(
  output: Output,
  runDir: string,
  request: Extract<OperatorRequest, { type: 'canary' | 'reload' | 'rollback' | 'upgrade' }>,
): Promise<ExitCode> {
  const reply = await (request.type === 'canary'
    ? whileTelling(output, runDir, askWatchdog(runDir, request, restartTimeoutMs + request.order.forMs))
    : askWatchdog(runDir, request, restartTimeoutMs))
  if (reply.type !== 'outcome') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  if (output.isJson) output.json(reply.report)
  else printReport(output, reply.report)
  if (request.type === 'reload' && reply.report.release !== releaseName())
    output.problem(
      `hostmesh: reload stays with ${reply.report.release}; this command belongs to ${releaseName()}: \`hostmesh upgrade\` takes it up`,
    )
  const isTakenBack = request.type === 'rollback' && reply.report.canary?.verdict === 'failed'
  return reply.report.outcome === 'done' || isTakenBack ? exitCodes.ok : exitCodes.failed
}

export async function stop(output: Output, runDir: string, deadlineMs: number): Promise<ExitCode> {
  await askWatchdog(runDir, { type: 'stop', deadlineMs }, deadlineMs + statusTimeoutMs)
  if (output.isJson) output.json({ stopped: true })
  else output.line('stopped')
  return exitCodes.ok
}

function printState(output: Output, state: WatchdogState): void {
  const relay = state.relay.isRelaying
    ? output.style('red', `relays new connections: tier ${state.relay.tier}`)
    : output.style('green', 'workers serve')
  output.line(
    `watchdog ${state.pid}  ${relay}  holds ${state.heldShards} listening sockets, handover ${state.handover}`,
  )
  output.line()
  output.table(
    ['generation', 'phase', 'release', 'process', 'pid', 'connections', 'lag ms', 'RSS MB', 'restarts'],
    state.generations.flatMap((generation) =>
      generation.children.map((child) => [
        String(generation.generation),
        generation.phase,
        generation.release,
        child.role === 'worker' ? `worker ${child.index}` : child.role,
        String(child.pid),
        String(child.connections),
        String(Math.round(child.lagMs)),
        String(Math.round(child.rssBytes / 1e6)),
        String(child.restarts),
      ]),
    ),
  )
  for (const { canary } of state.generations) if (canary !== undefined) output.line(canaryLine(canary))
  const [newest] = state.reports
  if (newest === undefined) return
  output.line()
  printReport(output, newest)
}

function printReport(output: Output, report: RestartReport): void {
  const outcome = output.style(report.outcome === 'done' ? 'green' : 'red', report.outcome)
  output.line(
    `${report.kind} ${report.from ?? '-'} -> ${report.to}  ${outcome}  ready ${ms(report.readyMs)}, serving ${ms(report.servingMs)}, old one gone ${ms(report.goneMs)}`,
  )
  if (report.cause !== undefined) output.line(`cause: ${report.cause}`)
  if (report.canary !== undefined) output.line(canaryLine(report.canary))
  for (const line of report.evidence) output.line(`  ${line}`)
  if (report.counts.length === 0) return
  output.table(
    ['protocol', 'application', 'moved', 'drained', 'cut'],
    report.counts.map((count) => [
      count.protocol,
      count.application,
      String(count.moved),
      String(count.drained),
      String(count.cut),
    ]),
  )
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : `${Math.round(value)} ms`
}
