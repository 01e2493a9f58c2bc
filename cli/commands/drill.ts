/** `hostmesh drill`: breaks one thing on this host on purpose, measures, restores, judges. Says what it will do first, and asks. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { checkConfig } from '../../agent/control/config/check.ts'
import { MeshError } from '../../contracts/errors.ts'
import { adminClient } from '../admin-client.ts'
import { type Drill, type DrillContext, drillDirectory, drills, isWhole } from '../drill/drills.ts'
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

export const drillNames: readonly string[] = drills.map((drill) => drill.name)

export async function drill(output: Output, name: string, options: DrillOptions): Promise<ExitCode> {
  const chosen = drills.find((one) => one.name === name)
  if (chosen === undefined)
    throw new MeshError('E_CONFIG_INVALID', `${name}: no such drill; there are ${drillNames.join(', ')}`)
  const { config } = checkConfig(options.config)
  if (config === undefined)
    throw new MeshError('E_CONFIG_INVALID', `${options.config}: has problems; see \`hostmesh check\``)
  if (config.role !== chosen.role) {
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${options.config}: role: found ${config.role}, the drill ${name} is for a ${chosen.role}`,
    )
  }
  const unfit = await reasonNotTo(config.runDir)
  announce(output, chosen, drillDirectory(config), unfit)
  if (unfit !== undefined) return exitCodes.failed
  if (options.dryRun) return exitCodes.ok
  if (!options.yes && !(await isAgreed(output))) return exitCodes.failed
  const context: DrillContext = {
    config,
    admin: adminClient(config.admin.socket, 10_000),
    release: releaseOf(config),
    startWatchdog: () => startWatchdog(config.file),
    pause: (ms) => pause(ms),
  }
  const report = await runDrill(chosen, context, () => performance.now())
  if (output.isJson) output.json(report)
  else output.line(drillMarkdown(report))
  return report.verdict === 'kept' ? exitCodes.ok : exitCodes.failed
}

/** A drill on a host that is not whole would make an outage of a fault. */
async function reasonNotTo(runDir: string): Promise<string | undefined> {
  const reply = await askWatchdog(runDir, { type: 'status' }, 5000)
  if (reply.type !== 'state') return `unexpected answer "${reply.type}" from the watchdog`
  return isWhole(reply.state) ? undefined : 'the host is not whole now: a generation starts, drains or is relayed for'
}

function announce(output: Output, chosen: Drill, directory: string, unfit: string | undefined): void {
  if (output.isJson) return
  output.line(`drill         ${output.style('bold', chosen.name)}`)
  output.line(`does          ${chosen.does}`)
  output.line(`blast radius  ${chosen.blastRadius}`)
  output.line(`promise       ${chosen.promise}; at most ${chosen.maxLost} probe calls lost`)
  output.line(`report        ${directory}`)
  if (unfit !== undefined) output.line(output.style('red', `not now       ${unfit}`))
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

function startWatchdog(configFile: string): void {
  spawn(process.execPath, [entryPoint('cli/main'), 'watchdog', '-c', configFile], {
    detached: true,
    stdio: 'ignore',
  }).unref()
}
