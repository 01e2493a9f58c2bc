/** `hostmesh status`: one screen that answers "is this host all right", with exit code 1 when anything is not. */
import { adminJson } from '../admin-client.ts'
import type { CanaryReport } from '../../contracts/canary.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { ago } from './ago.ts'
import { canaryLine } from './canary-progress.ts'
import { printRegistrations, readRegistrations } from './registrations.ts'
import { printToldHere, readToldHere } from './told-here.ts'

interface ServerInfo {
  readonly version: string
  readonly state: string
  readonly host: string
  readonly role: string
  readonly generation: number
  readonly uptimeSeconds: number
  readonly snapshotVersion: number
  readonly workers: readonly {
    index: number
    pid: number
    snapshotVersion: number
    transport?: { kind: string; reason: string }
  }[]
  readonly registries: readonly {
    name: string
    type: string
    connected: boolean
    server?: string
    problem?: { code: string; message: string }
    /** Epoch ms, 0 = never. */
    lastHeardAt: number
    subscriptions: number
    registrations: number
  }[]
  /** Absent: a control of before. */
  readonly collectors?: readonly { signal: string; url: string; isUp: boolean; problem?: string }[]
}

type RegistryInfo = ServerInfo['registries'][number]

interface Ready {
  readonly ready: boolean
  readonly pending: readonly string[]
  readonly problems: readonly string[]
  readonly restartNeeded: readonly string[]
}

const watchdogTimeoutMs = 5000
/** The most refused ones; `/callers` has all. */
const mostCallers = 10

interface CallerRow {
  readonly caller: string
  readonly requests: number
  readonly refusals: number
  readonly slowed: number
  readonly waits: number
}

interface FilterRow {
  readonly name: string
  readonly state: string
  readonly why: string
  readonly on: number
  readonly workers: number
  readonly failures: number
}

/** Empty for whoever may not see what they say, and of a control of before. */
async function readFilters({ admin }: CommandContext): Promise<readonly FilterRow[]> {
  const { status: code, text } = await admin.get('/filters?format=json')
  return code === 200 ? (JSON.parse(text) as { readonly filters: readonly FilterRow[] }).filters : []
}

/** Empty for whoever may not see who calls. */
async function readCallers({ admin }: CommandContext): Promise<readonly CallerRow[]> {
  const { status: code, text } = await admin.get('/callers?format=json')
  return code === 200 ? (JSON.parse(text) as { readonly callers: readonly CallerRow[] }).callers : []
}

export async function status(context: CommandContext, now: () => number): Promise<ExitCode> {
  let readyReply
  try {
    readyReply = await context.admin.get('/ready?format=json')
  } catch (error) {
    if (context.runDir === undefined || !(error instanceof MeshError) || error.code !== 'E_ADMIN_UNREACHABLE')
      throw error
    return watchdogAlone(context, context.runDir, error)
  }
  const ready = JSON.parse(readyReply.text) as Ready
  const info = (await adminJson(context.admin, '/server_info?format=hostmesh')) as ServerInfo
  const registrations = await readRegistrations(context)
  const callers = await readCallers(context)
  const filters = await readFilters(context)
  const local = await readToldHere(context)
  const isAllRight =
    ready.ready &&
    ready.problems.length === 0 &&
    ready.restartNeeded.length === 0 &&
    filters.every(({ state }) => state === 'on')
  const canary = await readCanary(context.runDir)
  const { output } = context
  if (output.isJson) {
    const more = { registrations, callers, filters, local, ...(canary && { canary }) }
    output.json({ allRight: isAllRight, ...info, ready, ...more })
    return isAllRight ? exitCodes.ok : exitCodes.failed
  }
  const state = ready.ready ? output.style('green', info.state) : output.style('yellow', info.state)
  const verdict = isAllRight ? output.style('green', 'all right') : output.style('red', 'not all right')
  output.line(
    `${info.role} ${output.style('bold', info.host)}  ${verdict}  ${state}  generation ${info.generation}, up ${info.uptimeSeconds} s`,
  )
  for (const one of ready.pending) output.line(`waits for: ${one}`)
  for (const one of ready.problems) output.line(output.style('red', `problem: ${one}`))
  if (canary !== undefined) output.line(output.style('yellow', canaryLine(canary)))
  for (const line of notInForce(ready.restartNeeded)) output.line(output.style('yellow', line))
  printTables(context, info, now())
  if (registrations.length > 0) {
    output.line()
    printRegistrations(output, registrations)
  }
  printToldHere(output, local)
  if (filters.length > 0) {
    output.line()
    output.table(
      ['filter', 'state', 'on in', 'failures', 'why'],
      filters.map(({ failures, name, on, state, why, workers }) => [
        name,
        output.style(state === 'on' ? 'green' : 'red', state),
        `${on} of ${workers} workers`,
        String(failures),
        why,
      ]),
    )
  }
  if (callers.length > 0) {
    output.line()
    output.table(
      ['caller', 'in hand', 'refused', 'slowed', 'waited'],
      callers
        .slice(0, mostCallers)
        .map((one) => [one.caller, ...[one.requests, one.refusals, one.slowed, one.waits].map(String)]),
    )
  }
  return isAllRight ? exitCodes.ok : exitCodes.failed
}

/** While an upgrade tries one worker first. */
async function readCanary(runDir: string | undefined): Promise<CanaryReport | undefined> {
  if (runDir === undefined) return undefined
  const reply = await askWatchdog(runDir, { type: 'status' }, watchdogTimeoutMs).catch(() => undefined)
  if (reply?.type !== 'state') return undefined
  return reply.state.generations.map(({ canary }) => canary).find((canary) => canary !== undefined)
}

/** A new generation gets its command line from the watchdog, which makes it anew at an upgrade and not at a reload. */
const ofTheWatchdog = new Set(['watchdog', 'runDir', 'stateDir'])

/** One line for each thing that an operator has to do, with the settings that wait for it. */
export function notInForce(settings: readonly string[]): string[] {
  const line = (names: readonly string[], until: string): string[] =>
    names.length === 0 ? [] : [`changed and not in force before ${until}: ${names.join(', ')}`]
  return [
    ...line(
      settings.filter((name) => !ofTheWatchdog.has(name)),
      '`hostmesh upgrade`',
    ),
    ...line(
      settings.filter((name) => ofTheWatchdog.has(name)),
      'a restart of the watchdog',
    ),
  ]
}

/** Control does not answer: what its watchdog says. Throws `error` when that does not answer either. */
async function watchdogAlone({ output }: CommandContext, runDir: string, error: MeshError): Promise<ExitCode> {
  const reply = await askWatchdog(runDir, { type: 'status' }, watchdogTimeoutMs).catch(() => undefined)
  if (reply?.type !== 'state') throw error
  const { relay, pid } = reply.state
  if (output.isJson) output.json({ allRight: false, problem: error.message, watchdog: reply.state })
  else {
    const served = relay.isRelaying ? `the watchdog relays new connections: tier ${relay.tier}` : 'workers serve'
    output.line(`${output.style('red', 'not all right')}  ${error.message}`)
    output.line(`watchdog ${pid} answers: ${served}; \`hostmesh generations\` says more`)
  }
  return exitCodes.failed
}

function printTables({ output }: CommandContext, info: ServerInfo, now: number): void {
  output.line()
  output.table(
    ['worker', 'pid', 'snapshot', 'transport'],
    info.workers.map((worker) => [
      String(worker.index),
      String(worker.pid),
      worker.snapshotVersion === info.snapshotVersion
        ? `v${worker.snapshotVersion}`
        : output.style('yellow', `v${worker.snapshotVersion}, newest is v${info.snapshotVersion}`),
      worker.transport === undefined ? '-' : `${worker.transport.kind}: ${worker.transport.reason}`,
    ]),
  )
  output.line()
  output.table(
    ['registry', 'type', 'state', 'subscriptions', 'registrations'],
    info.registries.map((registry) => [
      registry.name,
      registry.type,
      stateOf(output, registry, now),
      String(registry.subscriptions),
      String(registry.registrations),
    ]),
  )
  if (info.collectors === undefined || info.collectors.length === 0) return
  output.line()
  output.table(
    ['collector', 'of', 'state'],
    info.collectors.map(({ isUp, problem, signal, url }) => [
      url,
      signal,
      problem === undefined ? output.style('green', 'takes them') : output.style(isUp ? 'yellow' : 'red', problem),
    ]),
  )
}

function stateOf(output: CommandContext['output'], registry: RegistryInfo, now: number): string {
  const { text, isGood } = registryState(registry, now)
  return output.style(isGood ? 'green' : 'red', text)
}

/** Of one that is not connected also how old is what it said: until it answers, that stays in use. */
export function registryState(
  { connected, server, problem, lastHeardAt }: Omit<RegistryInfo, 'name' | 'type' | 'subscriptions' | 'registrations'>,
  now: number,
): { readonly text: string; readonly isGood: boolean } {
  const heard = connected ? '' : lastHeardAt === 0 ? '; never heard' : `; last heard ${ago(lastHeardAt, now)}`
  if (problem !== undefined) return { text: `${problem.code}  ${problem.message}${heard}`, isGood: false }
  return connected
    ? { text: `connected to ${server ?? '-'}`, isGood: true }
    : { text: `not connected${heard}`, isGood: false }
}
