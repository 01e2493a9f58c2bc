/**
 * `hostmesh drill`: breaks one thing on this host on purpose, measures, restores, judges. Says what it will do first,
 * and asks.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { checkConfig } from '../../agent/control/config/check.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import { adminClient } from '../admin-client.ts'
import { type Drill, type DrillContext, drillDirectory, drills } from '../drill/drills.ts'
import { nextTier, reasonNotTo } from '../drill/fitness.ts'
import type { DrillName } from '../drill/names.ts'
import { drillMarkdown } from '../drill/report.ts'
import { runDrill } from '../drill/run-drill.ts'
import { entryPoint } from '../entry-point.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { releaseOf } from './processes.ts'

export interface DrillOptions {
  readonly config: string
  /** Acts without asking. */
  readonly yes: boolean
  /** Says what it would do and whether the host is fit for it; breaks nothing. */
  readonly dryRun: boolean
}

export async function drill(output: Output, name: DrillName, options: DrillOptions): Promise<ExitCode> {
  const chosen = drills.find((one) => one.name === name)!
  const { config } = checkConfig(options.config)
  if (config === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${options.config}: has problems; nothing was broken; \`hostmesh check -c ${options.config}\` lists them`,
    )
  if (config.role !== chosen.role) {
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${options.config}: role: found ${config.role}, the drill ${name} is for a ${chosen.role}`,
    )
  }
  const reply = await askWatchdog(config.runDir, { type: 'status' }, 5000)
  if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  const { state } = reply
  const isManaged = hasServiceManager(state.pid)
  const owner = statSync(config.runDir)
  const plan = planOf(chosen, config, state, isManaged)
  if (!output.isJson) announce(output, plan)
  else if (plan.notNow !== undefined || options.dryRun || !options.yes) output.json(plan)
  if (plan.notNow !== undefined) return exitCodes.failed
  if (options.dryRun) return exitCodes.ok
  if (!options.yes && !(await isAgreed(output))) return exitCodes.failed
  const interrupted = new AbortController()
  const stop = (): void => interrupted.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  const context: DrillContext = {
    config,
    admin: adminClient(config.admin.socket, 10_000),
    release: releaseOf(config),
    startWatchdog: isManaged ? undefined : () => startWatchdog(config, owner),
    pause: (ms) => pause(ms, undefined, { signal: interrupted.signal }).catch(() => {}),
  }
  const report = await runDrill(chosen, context, () => performance.now(), interrupted.signal)
  if (output.isJson) output.json(report)
  else output.line(`\n${drillMarkdown(report).trimEnd()}`)
  return report.verdict === 'kept' ? exitCodes.ok : exitCodes.failed
}

interface Plan {
  readonly drill: string
  readonly does: string
  readonly blastRadius: string
  readonly promise: string
  /** Who serves while the agent does not. */
  readonly meanwhile: string | undefined
  readonly reports: string
  /** Why the host is not fit for it. */
  readonly notNow: string | undefined
}

function planOf(chosen: Drill, config: AgentConfig, state: WatchdogState, isManaged: boolean): Plan {
  const startsWatchdog = chosen.name === 'kill-watchdog' && !isManaged
  return {
    drill: chosen.name,
    does: startsWatchdog ? `${chosen.does}; no service manager runs it, so the drill starts the next one` : chosen.does,
    blastRadius: chosen.blastRadius,
    promise: `${chosen.promise}; at most ${chosen.maxLost} probe calls lost`,
    meanwhile: chosen.needsNextTier ? nextTier(state) : undefined,
    reports: drillDirectory(config),
    notNow: reasonNotTo(chosen, config, state),
  }
}

function announce(output: Output, plan: Plan): void {
  output.line(`drill         ${output.style('bold', plan.drill)}`)
  output.line(`does          ${plan.does}`)
  output.line(`blast radius  ${plan.blastRadius}`)
  output.line(`promise       ${plan.promise}`)
  if (plan.meanwhile !== undefined) output.line(`meanwhile     ${plan.meanwhile}`)
  output.line(`reports       ${plan.reports}`)
  if (plan.notNow !== undefined) output.line(output.style('red', `not now       ${plan.notNow}`))
}

async function isAgreed(output: Output): Promise<boolean> {
  if (!process.stdin.isTTY) {
    output.problem('hostmesh: no terminal to ask on; say --yes to act')
    return false
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test((await terminal.question('go on? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}

/** Whether the running watchdog was started by systemd, which then starts the next one; nobody else may. */
function hasServiceManager(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .some((line) => line.startsWith('NOTIFY_SOCKET='))
  } catch {
    return false
  }
}

/** As the user that it ran as, its log beside the reports. */
function startWatchdog(config: AgentConfig, owner: { readonly uid: number; readonly gid: number }): void {
  const log = openSync(join(drillDirectory(config), 'watchdog.log'), 'a', 0o600)
  const isOther = process.getuid?.() === 0 && owner.uid !== 0
  spawn(process.execPath, [entryPoint('cli/main'), 'watchdog', '-c', config.file], {
    detached: true,
    stdio: ['ignore', log, log],
    ...(isOther ? owner : {}),
  }).unref()
  closeSync(log)
}
