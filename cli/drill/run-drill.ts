/** Runs one drill: a probe is called all the time through the mesh while something is broken; then it is judged. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import type { TallyView } from '../traffic/tally.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { type Drill, type DrillContext, drillDirectory, isWholeAgain } from './drills.ts'
import { type Probe, startProbe } from './probe.ts'
import { type DrillReport, drillMarkdown } from './report.ts'

/** Good calls, and no bad one, within this window before anything is broken. */
const warmUpWindowMs = 1000
const warmUpCalls = 30
const warmUpMs = 20_000
/** Calls go on for this long after the host is whole again. */
const afterMs = 1000
const pollMs = 20

/**
 * Breaks, waits until the host is whole again, restores, judges, saves. `interrupted` ends it early: what was broken is
 * put right, and the verdict is `broken`. Throws E_ALREADY_RUNNING while another drill runs on this host, and
 * E_UPSTREAM_TIMEOUT when the probe is not answered; nothing has been broken then.
 */
export async function runDrill(
  drill: Drill,
  context: DrillContext,
  now: () => number,
  interrupted: AbortSignal,
): Promise<DrillReport> {
  const { config } = context
  const release = claim(drillDirectory(config))
  let probe: Probe | undefined
  try {
    probe = await startProbe(config, now)
    await warmUp(probe, context, now, interrupted)
    const report = await breakAndJudge(drill, context, probe, now, interrupted)
    save(report, drillDirectory(config))
    return report
  } finally {
    await probe?.close()
    release()
  }
}

async function breakAndJudge(
  drill: Drill,
  context: DrillContext,
  probe: Probe,
  now: () => number,
  interrupted: AbortSignal,
): Promise<DrillReport> {
  const problems: string[] = []
  const startedAt = new Date().toISOString()
  const before = await stateOf(context)
  const from = now()
  let recoveryMs: number | undefined
  try {
    await drill.act(context)
    const since = drill.isReplaced === undefined ? now() : from
    recoveryMs = await untilWholeAgain(drill, before, context, since, now, interrupted)
    if (recoveryMs === undefined && !interrupted.aborted)
      problems.push(`the host was not whole again after ${drill.maxRecoveryMs} ms`)
  } catch (error) {
    problems.push(describeError(error))
  } finally {
    await drill.restore(context).catch((error: unknown) => problems.push(`not restored: ${describeError(error)}`))
  }
  if (interrupted.aborted) problems.push('interrupted')
  else await context.pause(afterMs)
  const seen = probe.caller.tally.since(from)
  // ended before the first call: that it was interrupted says all
  if (!interrupted.aborted || seen.calls > 0) problems.push(...brokenPromises(drill, seen))
  return {
    drill: drill.name,
    host: context.config.host.name,
    startedAt,
    promise: drill.promise,
    problems,
    verdict: problems.length === 0 ? 'kept' : 'broken',
    recoveryMs,
    maxLost: drill.maxLost,
    probe: seen,
  }
}

/** What the probe saw, against what was promised. A drill that measured nothing keeps no promise. */
export function brokenPromises(drill: Pick<Drill, 'maxLost'>, seen: TallyView): string[] {
  const problems: string[] = []
  if (seen.calls === seen.errors) problems.push('no probe call was answered: nothing can be said')
  const reasons = Object.entries(seen.reasons).map(([reason, count]) => `${reason} ${count}`)
  const why = reasons.length === 0 ? '' : ` (${reasons.join(', ')})`
  if (seen.errors > drill.maxLost) problems.push(`${seen.errors} probe calls lost, allowed ${drill.maxLost}${why}`)
  const refused = seen.reasons['ECONNREFUSED'] ?? 0
  if (refused > 0) problems.push(`${refused} connections refused, allowed none`)
  return problems
}

async function warmUp(
  { caller }: Probe,
  context: DrillContext,
  now: () => number,
  interrupted: AbortSignal,
): Promise<void> {
  const deadline = now() + warmUpMs
  for (;;) {
    const recent = caller.tally.since(now() - warmUpWindowMs)
    if (recent.calls >= warmUpCalls && recent.errors === 0) return
    const why = Object.keys(recent.reasons).join(', ') || 'no answer'
    if (now() > deadline)
      throw new MeshError(
        'E_UPSTREAM_TIMEOUT',
        `the probe is not answered through the mesh (${why}); nothing was broken`,
      )
    if (interrupted.aborted) throw new MeshError('E_UPSTREAM_TIMEOUT', 'interrupted; nothing was broken')
    await context.pause(pollMs)
  }
}

async function untilWholeAgain(
  drill: Drill,
  before: WatchdogState,
  context: DrillContext,
  since: number,
  now: () => number,
  interrupted: AbortSignal,
): Promise<number | undefined> {
  while (now() - since < drill.maxRecoveryMs && !interrupted.aborted) {
    try {
      if (isWholeAgain(drill, before, await stateOf(context))) return now() - since
    } catch {
      // not there yet: that is what is waited for
    }
    await context.pause(pollMs)
  }
  return undefined
}

async function stateOf({ config }: DrillContext): Promise<WatchdogState> {
  const reply = await askWatchdog(config.runDir, { type: 'status' }, 2000)
  if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  return reply.state
}

/** One drill at a time per host; a mark whose process is gone does not count. */
function claim(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const mark = join(directory, 'running')
  try {
    writeFileSync(mark, String(process.pid), { flag: 'wx' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new MeshError('E_RUN_DIRECTORY', `${mark}: cannot be written; nothing was broken`, { cause })
    const pid = Number(readFileSync(mark, 'utf8'))
    if (isAlive(pid))
      throw new MeshError('E_ALREADY_RUNNING', `${mark}: process ${pid} runs a drill on this host; wait for its report`)
    writeFileSync(mark, String(process.pid))
  }
  return () => rmSync(mark, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function save(report: DrillReport, directory: string): void {
  const name = `${report.startedAt.replace(/[:.]/g, '-')}-${report.drill}`
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(report, undefined, 2))
  writeFileSync(join(directory, `${name}.md`), drillMarkdown(report))
}
