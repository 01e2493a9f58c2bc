/** `hostmesh registrations`: the local applications, whether they are well, and what their registry knows of them. */
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface RegistrationView {
  readonly application: { readonly id: string }
  readonly inboundPort?: number
  /** Absent = not known yet. */
  readonly health?: boolean
  readonly healthProblem?: string
  readonly state: string
  readonly waitsFor?: string
  readonly registrationProblem?: string
}

export async function readRegistrations({ admin }: CommandContext): Promise<readonly RegistrationView[]> {
  const answer = (await adminJson(admin, '/registrations?format=json')) as { registrations: RegistrationView[] }
  return answer.registrations
}

/** Exit code 1 when one is unhealthy or its registry does not take it. */
export async function registrations(context: CommandContext): Promise<ExitCode> {
  const views = await readRegistrations(context)
  if (context.output.isJson) context.output.json(views)
  else printRegistrations(context.output, views)
  return views.some((view) => view.health === false || view.state === 'failing') ? exitCodes.failed : exitCodes.ok
}

export function printRegistrations(output: Output, views: readonly RegistrationView[]): void {
  output.table(
    ['application', 'inbound', 'health', 'registration', 'waits for'],
    views.map((view) => [
      view.application.id,
      String(view.inboundPort ?? '-'),
      healthOf(output, view),
      stateOf(output, view),
      view.waitsFor ?? '-',
    ]),
  )
}

function stateOf(output: Output, { registrationProblem: why, state }: RegistrationView): string {
  if (state !== 'failing') return state
  return output.style('red', why === undefined ? state : `${state}: ${why}`)
}

function healthOf(output: Output, { health, healthProblem }: RegistrationView): string {
  if (health === undefined) return 'unknown'
  return health ? output.style('green', 'healthy') : output.style('red', `unhealthy: ${healthProblem ?? '-'}`)
}
