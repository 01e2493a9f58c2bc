/**
 * `hostmesh drill`: breaks one thing on this host on purpose, or one after another, measures, restores, judges. Says
 * what it will do first, and asks.
 */
import { spawn } from 'node:child_process'
import { closeSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { checkNode } from '../node-kinds.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import { adminClient } from '../admin-client.ts'
import { type Drill, maxLostOf } from '../drill/drill.ts'
import { drillDirectory, drills } from '../drill/drills.ts'
import { nextTier, reasonNotTo } from '../drill/fitness.ts'
import { percent } from '../drill/guard.ts'
import { openToAppend } from '../drill/kept-files.ts'
import type { DrillName } from '../drill/names.ts'
import { type DrillReport, type SkippedDrill, drillMarkdown, seriesMarkdown } from '../drill/report.ts'
import { type DrillSetting, runDrill } from '../drill/run-drill.ts'
import { saveReport, saveSeries } from '../drill/saved-reports.ts'
import { isWhole } from '../drill/wholeness.ts'
import { entryPoint } from '../entry-point.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { hasServiceManager } from '../service-manager.ts'
import { checkSocket, ownerOf } from '../trusted-socket.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { releaseOf } from './processes.ts'

export interface DrillOptions {
  readonly config: string
  /** Acts without asking. */
  readonly yes: boolean
  /** Says what it would do and whether the host is fit for it; breaks nothing. */
  readonly dryRun: boolean
  /** Of `all`: only drills whose promise is that nobody notices. */
  readonly safe: boolean
  /** How long a fault lasts that does not end by itself, ms. */
  readonly faultMs: number
  /** Share of real requests, 0..1, that may fail before it gives up. */
  readonly abortAbove: number
}

/** Between two drills of a row, ms. */
const wholeAgainMs = 60_000

export async function drill(output: Output, name: DrillName | 'all', options: DrillOptions): Promise<ExitCode> {
  const { config } = checkNode(options.config)
  if (config === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${options.config}: has problems; nothing was broken; \`hostmesh check -c ${options.config}\` lists them`,
    )
  if (options.safe && name !== 'all')
    throw new MeshError('E_CONFIG_INVALID', `--safe chooses among all drills: say all instead of ${name}`)
  const chosen = drills.filter((one) =>
    name === 'all' ? one.role === config.role && (one.isSafe || !options.safe) : one.name === name,
  )
  for (const { role } of chosen)
    if (role !== config.role)
      throw new MeshError(
        'E_CONFIG_INVALID',
        `${options.config}: role: found ${config.role}, the drill ${name} is for a ${role}`,
      )
  if (chosen.length === 0)
    throw new MeshError('E_CONFIG_INVALID', `${options.config}: role: no safe drill is for a ${config.role}`)
  const state = await stateOf(config)
  const setting = settingOf(config, state, options)
  const plans = await Promise.all(chosen.map((one) => planOf(one, setting, state, options.abortAbove)))
  const isRow = name === 'all'
  const isFit = plans.some(({ notNow }) => notNow === undefined)
  const willAct = isFit && options.yes && !options.dryRun
  if (output.isJson) {
    if (!willAct) output.json(isRow ? plans : plans[0])
  } else if (isRow) announceAll(output, plans)
  else announce(output, plans[0]!)
  if (!isFit) return exitCodes.failed
  if (options.dryRun) return exitCodes.ok
  if (!options.yes && !(await isAgreed(output))) return exitCodes.failed
  const interrupted = new AbortController()
  const stop = (): void => interrupted.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  return isRow
    ? runAll(output, chosen, setting, options, interrupted.signal)
    : runOne(output, chosen[0]!, setting, options, interrupted.signal)
}

async function runOne(
  output: Output,
  chosen: Drill,
  setting: DrillSetting,
  options: DrillOptions,
  interrupted: AbortSignal,
): Promise<ExitCode> {
  const report = await run(output, chosen, setting, options, interrupted)
  const saved = saveReport(report, drillDirectory(setting.config))
  if (output.isJson) output.json(report)
  else output.line(`\n${drillMarkdown(report).trimEnd()}\n\n${saved}`)
  return report.verdict === 'kept' ? exitCodes.ok : exitCodes.failed
}

/** Goes on behind a promise that was broken, and not behind one that gave up, or an interruption. */
async function runAll(
  output: Output,
  chosen: readonly Drill[],
  setting: DrillSetting,
  options: DrillOptions,
  interrupted: AbortSignal,
): Promise<ExitCode> {
  const { config } = setting
  const startedAt = new Date().toISOString()
  const reports: DrillReport[] = []
  const skipped: SkippedDrill[] = []
  let endedBy: string | undefined
  for (const one of chosen) {
    try {
      const reason = endedBy ?? (await notNow(one, setting, await wholeState(config, interrupted)))
      if (reason !== undefined) {
        skipped.push({ drill: one.name, host: config.host.name, reason })
        continue
      }
      if (!output.isJson) output.line(output.style('bold', `\n${one.name}`))
      const report = await run(output, one, setting, options, interrupted)
      saveReport(report, drillDirectory(config))
      reports.push(report)
      if (!output.isJson) output.line(`  ${report.verdict}`)
      if (report.verdict === 'aborted') endedBy = `${one.name} gave up`
    } catch (error) {
      skipped.push({ drill: one.name, host: config.host.name, reason: describeError(error) })
    }
    if (interrupted.aborted) endedBy ??= 'interrupted'
  }
  const series = { startedAt, reports, skipped }
  const saved = saveSeries(series, drillDirectory(config))
  if (output.isJson) output.json(series)
  else output.line(`\n${seriesMarkdown(series).trimEnd()}\n\n${saved}`)
  const isKept = reports.length > 0 && endedBy === undefined && reports.every(({ verdict }) => verdict === 'kept')
  return isKept ? exitCodes.ok : exitCodes.failed
}

function run(
  output: Output,
  chosen: Drill,
  setting: DrillSetting,
  { abortAbove }: DrillOptions,
  interrupted: AbortSignal,
): Promise<DrillReport> {
  const onProgress = (text: string): void => {
    if (!output.isJson) output.line(output.style('dim', `  ${text}`))
  }
  return runDrill(chosen, setting, { now: () => performance.now(), interrupted, abortAbove, onProgress })
}

/** Throws E_ADMIN_UNREACHABLE where somebody else may have put the admin socket there: it is told what to break. */
export function settingOf(
  config: AgentConfig,
  state: Pick<WatchdogState, 'pid'>,
  { faultMs }: Pick<DrillOptions, 'faultMs'>,
): DrillSetting {
  checkSocket(config.admin.socket, ownerOf(config.runDir))
  const owner = statSync(config.runDir)
  const isManaged = hasServiceManager(state.pid)
  return {
    config,
    faultMs,
    admin: adminClient(config.admin.socket, 10_000),
    release: releaseOf(config),
    startWatchdog: isManaged ? undefined : () => startWatchdog(config, owner),
  }
}

/**
 * The state when the host is whole, or as it is when it does not become so within `patienceMs`. Errors: those of
 * `askWatchdog`, when the watchdog is silent for so long.
 */
export async function wholeState(
  config: Pick<AgentConfig, 'runDir'>,
  interrupted: AbortSignal,
  patienceMs = wholeAgainMs,
): Promise<WatchdogState> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const isLast = performance.now() > deadline || interrupted.aborted
    try {
      const state = await stateOf(config)
      if (isWhole(state) || isLast) return state
    } catch (error) {
      if (isLast) throw error
    }
    await wait(200, undefined, { signal: interrupted }).catch(() => {})
  }
}

async function stateOf({ runDir }: Pick<AgentConfig, 'runDir'>): Promise<WatchdogState> {
  const reply = await askWatchdog(runDir, { type: 'status' }, 5000)
  if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  return reply.state
}

async function notNow(chosen: Drill, setting: DrillSetting, state: WatchdogState): Promise<string | undefined> {
  return reasonNotTo(chosen, setting.config, state) ?? (await chosen.unfit?.(setting, state))
}

interface Plan {
  readonly drill: string
  readonly does: string
  readonly blastRadius: string
  readonly promise: string
  readonly safe: boolean
  /** Who serves while the agent does not. */
  readonly meanwhile: string | undefined
  readonly abort: string
  readonly reports: string
  /** Why the host is not fit for it. */
  readonly notNow: string | undefined
}

async function planOf(chosen: Drill, setting: DrillSetting, state: WatchdogState, abortAbove: number): Promise<Plan> {
  const startsWatchdog = chosen.name === 'kill-watchdog' && setting.startWatchdog !== undefined
  return {
    drill: chosen.name,
    does: startsWatchdog ? `${chosen.does}; no service manager runs it, so the drill starts the next one` : chosen.does,
    blastRadius: chosen.blastRadius,
    promise: `${chosen.promise}; ${lossWords(maxLostOf(chosen, setting.config))}`,
    safe: chosen.isSafe,
    meanwhile: chosen.needsNextTier ? nextTier(state) : undefined,
    abort: abortWords(abortAbove),
    reports: drillDirectory(setting.config),
    notNow: await notNow(chosen, setting, state),
  }
}

function lossWords(most: number): string {
  const count = `at most ${most} probe calls lost`
  return most === 0 ? 'no probe call lost' : `${count}, or those in flight at that moment`
}

function abortWords(abortAbove: number): string {
  return `above ${percent(abortAbove)} of real requests, as control counts them, that fail beside what failed before`
}

function announce(output: Output, plan: Plan): void {
  output.line(`drill         ${output.style('bold', plan.drill)}`)
  output.line(`does          ${plan.does}`)
  output.line(`blast radius  ${plan.blastRadius}`)
  output.line(`promise       ${plan.promise}`)
  if (plan.meanwhile !== undefined) output.line(`meanwhile     ${plan.meanwhile}`)
  output.line(`gives up      ${plan.abort}`)
  output.line(`reports       ${plan.reports}`)
  if (plan.notNow !== undefined) output.line(output.style('red', `not now       ${plan.notNow}`))
}

function announceAll(output: Output, plans: readonly Plan[]): void {
  output.table(
    ['drill', 'does', 'blast radius', 'now'],
    plans.map(({ blastRadius, does, drill: name, notNow: reason }) => [name, does, blastRadius, reason ?? 'yes']),
  )
  const [first] = plans
  output.line(`gives up ${first?.abort}; reports in ${first?.reports}`)
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

/** As the user that it ran as, its log beside the reports. */
function startWatchdog(config: AgentConfig, owner: { readonly uid: number; readonly gid: number }): void {
  const log = openToAppend(join(drillDirectory(config), 'watchdog.log'))
  const isOther = process.getuid?.() === 0 && owner.uid !== 0
  spawn(process.execPath, [entryPoint('cli/main'), 'watchdog', '-c', config.file], {
    detached: true,
    stdio: ['ignore', log, log],
    ...(isOther ? owner : {}),
  }).unref()
  closeSync(log)
}
