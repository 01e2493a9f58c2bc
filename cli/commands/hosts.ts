/** `hostmesh hosts`: what a center knows of the hosts that report to it. */
import { MeshError } from '../../contracts/errors.ts'
import type { HostView } from '../../contracts/host-report.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { ago } from './ago.ts'

/** @param name one host in detail; undefined = all of them. */
export async function hosts({ admin, output }: CommandContext, name: string | undefined): Promise<ExitCode> {
  const answer = (await adminJson(admin, '/hosts?format=json')) as { hosts: readonly HostView[]; now: number }
  const meant = answer.hosts.filter(({ host }) => name === undefined || host === name)
  if (name !== undefined && meant.length === 0)
    throw new MeshError('E_ADMIN_REQUEST', `${name}: no such host reports to this center`)
  if (output.isJson) output.json(name === undefined ? meant : meant[0])
  else if (name === undefined) {
    printAll(output, meant, answer.now)
    if (meant.length === 0) output.problem('no host reports to this center: center.reports of the agents says where to')
  } else printOne(output, meant[0]!, answer.now)
  return meant.every(isWell) ? exitCodes.ok : exitCodes.failed
}

function isWell({ state, report }: HostView): boolean {
  return state === 'reporting' && report.isReady && report.problems.length === 0
}

function printAll(output: Output, views: readonly HostView[], now: number): void {
  output.table(
    [
      'host',
      'state',
      'heard',
      'address',
      'version',
      'generation',
      'tier',
      'applications',
      'rejected rules',
      'problems',
    ],
    views.map((view) => {
      const { report, host, heardAt } = view
      const unhealthy = report.applications.filter(({ health }) => health === 'unhealthy').length
      return [
        host,
        stateOf(output, view),
        ago(heardAt, now),
        report.address,
        report.version,
        String(report.generation),
        report.tier.now,
        unhealthy === 0 ? String(report.applications.length) : `${report.applications.length}, ${unhealthy} unhealthy`,
        String(report.rules.rejected.length),
        String(report.problems.length),
      ]
    }),
  )
}

function printOne(output: Output, view: HostView, now: number): void {
  const { report, heardAt } = view
  const { tier, lastRestart } = report
  output.line(`${view.host}  ${stateOf(output, view)}, heard ${ago(heardAt, now)}`)
  output.line(`address      ${report.address}  zone ${report.zone || '-'}  region ${report.region || '-'}`)
  output.line(`version      ${report.version}  generation ${report.generation}  workers ${report.workers}`)
  output.line(`tier         ${tier.now}; agent ${tier.agent}, center ${tier.center}, direct ${tier.direct}`)
  if (lastRestart !== undefined)
    output.line(
      `last restart ${lastRestart.kind} to generation ${lastRestart.generation}: ${lastRestart.outcome}${lastRestart.cause === '' ? '' : `: ${lastRestart.cause}`}`,
    )
  for (const problem of report.problems) output.line(`problem      ${problem}`)
  for (const id of view.unhealthyInstances) output.line(`unhealthy    ${id}: does not answer, subscribers are told`)
  if (report.applications.length > 0) {
    output.line()
    output.table(
      ['application', 'address', 'inbound', 'health', 'registration', 'problem'],
      report.applications.map(({ service, address, port, inboundPort, health, state, problem }) => {
        return [service, `${address}:${port}`, inboundPort === 0 ? '-' : String(inboundPort), health, state, problem]
      }),
    )
  }
  if (report.rules.rejected.length === 0) return
  output.line()
  output.table(
    ['rule', 'source', 'state', 'problem'],
    report.rules.rejected.map(({ kind, namespace, name, source, state, message }) => {
      return [`${kind} ${namespace}/${name}`, source, state, message]
    }),
  )
}

function stateOf(output: Output, { state }: HostView): string {
  return state === 'reporting' ? state : output.style(state === 'returning' ? 'yellow' : 'red', state)
}
