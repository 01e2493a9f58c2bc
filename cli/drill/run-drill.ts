/** Runs one drill: a probe is called all the time through the mesh while something is broken; then it is judged. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError, describeError } from '../../contracts/errors.ts'
import type { drillPhases } from '../../contracts/drill-fault.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import { pause } from '../terminal/stoppable.ts'
import type { TallyView } from '../traffic/tally.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { type Drill, type DrillContext, maxLostOf } from './drill.ts'
import { drillDirectory } from './drills.ts'
import { Guard, realTraffic } from './guard.ts'
import { makeKeptFolder, writeKept, writeNew } from './kept-files.ts'
import { type Probe, probeServiceOf, probes } from './probe.ts'
import type { DrillEvent, DrillReport } from './report.ts'
import { isWholeAgain } from './wholeness.ts'
import { isRunning, processFacts } from '../../native/process-facts.ts'

/** Good calls, and no bad one, within this window before anything is broken. */
const warmUpWindowMs = 1000
const warmUpCalls = 30
const warmUpMs = 20_000
/** Calls go on for this long after the host is whole again. */
const afterMs = 1000
const pollMs = 20
const guardMs = 500
/** How often whoever watches hears how it goes. */
const progressMs = 2000
/** Pieces of the timeline, ms, so that a report has a hundred or two. */
const pieces = [100, 250, 500, 1000] as const
const mostPieces = 150

export interface RunOptions {
  /** Monotonic ms. */
  readonly now: () => number
  /** Ends it early: what was broken is put right. */
  readonly interrupted: AbortSignal
  /** Share of real requests, 0..1, that may fail beside what failed before. */
  readonly abortAbove: number
  /** A line at each step and every two seconds. */
  readonly onProgress: (text: string) => void
}

/** What a drill is given before its probe is there; the rest is made by the run itself. */
export type DrillSetting = Omit<DrillContext, 'pause' | 'isOver' | 'say' | 'victim' | 'moreCalls'>

/**
 * Breaks, waits until the host is whole again, restores, judges. Gives up, and restores, when it is interrupted or when
 * real requests suffer. Throws E_ALREADY_RUNNING while another drill runs on this host, and E_UPSTREAM_TIMEOUT when the
 * probe is not answered; nothing has been broken then.
 */
export async function runDrill(drill: Drill, setting: DrillSetting, options: RunOptions): Promise<DrillReport> {
  const { config } = setting
  const release = claim(drillDirectory(config))
  let probe: Probe | undefined
  try {
    options.onProgress('sets up its probe')
    probe = await probes[drill.role](config, options.now, drill.hasVictim === true)
    const { moreCalls, victim } = probe
    const given = { ...setting, ...(moreCalls && { moreCalls }), ...(victim && { victim }) }
    return await new DrillRun(drill, given, probe, options).run()
  } finally {
    await probe?.close()
    release()
  }
}

class DrillRun {
  private readonly drill: Drill
  private readonly context: DrillContext
  private readonly probe: Probe
  private readonly options: RunOptions
  private readonly guard: Guard
  private readonly ended = new AbortController()
  private readonly events: DrillEvent[] = []
  private readonly problems: string[] = []
  private from = 0
  /** Why it gave up. */
  private harm: string | undefined

  constructor(
    drill: Drill,
    setting: Omit<DrillContext, 'pause' | 'isOver' | 'say'>,
    probe: Probe,
    options: RunOptions,
  ) {
    this.drill = drill
    this.probe = probe
    this.options = options
    this.guard = new Guard(options.abortAbove)
    this.context = {
      ...setting,
      say: (text) => this.note(text),
      pause: (ms) => pause(ms, this.ended.signal),
      isOver: () => this.ended.signal.aborted,
    }
    if (options.interrupted.aborted) this.ended.abort()
    options.interrupted.addEventListener('abort', () => this.ended.abort(), { once: true })
  }

  async run(): Promise<DrillReport> {
    const { now } = this.options
    await this.warmUp()
    const startedAt = new Date().toISOString()
    const before = await stateOf(this.context)
    await this.tellTimeline('began')
    this.from = now()
    const stopWatching = this.watch()
    let recoveryMs: number | undefined
    let maxLost = maxLostOf(this.drill, this.context.config)
    this.probe.caller.takePeak()
    try {
      // interrupted since the calls were good: nothing is broken any more
      if (!this.ended.signal.aborted) {
        this.note('breaks')
        await this.drill.act(this.context)
      }
      maxLost = allowedLosses(maxLost, this.probe.caller.takePeak())
      const since = this.drill.isReplaced === undefined ? now() : this.from
      this.note('waits until the host is whole')
      recoveryMs = await this.untilWholeAgain(before, since)
      if (recoveryMs !== undefined) this.note('whole again')
      else if (!this.ended.signal.aborted)
        this.problems.push(`the host was not whole again after ${this.drill.maxRecoveryMs} ms`)
    } catch (error) {
      this.problems.push(describeError(error))
    } finally {
      await this.drill.restore(this.context).catch((error: unknown) => {
        this.problems.push(`not restored: ${describeError(error)}`)
      })
      this.note('restored')
    }
    if (!this.ended.signal.aborted) await this.context.pause(afterMs)
    stopWatching()
    const report = this.report(startedAt, recoveryMs, maxLost)
    await this.tellTimeline(report.verdict)
    return report
  }

  private report(startedAt: string, recoveryMs: number | undefined, maxLost: number): DrillReport {
    const { context, drill, from, harm, options, probe } = this
    const { tally } = probe.caller
    const seen = tally.since(from)
    const isCutShort = this.ended.signal.aborted
    const late = tally.since(from + (drill.noticedWithinMs ?? 0))
    if (harm !== undefined) this.problems.push(`gave up: ${harm}`)
    else if (isCutShort) this.problems.push('interrupted')
    // ended before the first call: that it was interrupted says all
    if (!isCutShort || seen.calls > 0) this.problems.push(...brokenPromises(maxLost, late))
    const spanMs = options.now() - from
    const pieceMs = pieces.find((ms) => spanMs / ms <= mostPieces) ?? Math.ceil(spanMs / mostPieces)
    return {
      drill: drill.name,
      host: context.config.host.name,
      startedAt,
      does: drill.does,
      blastRadius: drill.blastRadius,
      promise: drill.promise,
      problems: this.problems,
      verdict: harm !== undefined ? 'aborted' : this.problems.length === 0 ? 'kept' : 'broken',
      recoveryMs,
      maxLost,
      noticedWithinMs: drill.noticedWithinMs ?? 0,
      probe: seen,
      real: this.guard.harm(),
      abortAbove: options.abortAbove,
      events: this.events,
      timeline: tally.timeline(from, pieceMs),
    }
  }

  /** The timeline of the host names the drill beside what it broke. An agent that does not answer costs only that. */
  private async tellTimeline(phase: (typeof drillPhases)[number]): Promise<void> {
    await this.context.admin.post('/drill', { drill: this.drill.name, phase }).catch(() => undefined)
  }

  private note(what: string): void {
    const atMs = this.from === 0 ? 0 : Math.round(this.options.now() - this.from)
    this.events.push({ atMs, what })
    this.options.onProgress(what)
  }

  /** Looks at real traffic until the answer is called; gives up when it suffers. */
  private watch(): () => void {
    const { admin, config } = this.context
    const service = probeServiceOf(config.host.name)
    let isLooking = false
    this.guard.arm()
    const looks = setInterval(() => {
      if (isLooking) return
      isLooking = true
      void realTraffic(admin, service).then((counts) => {
        isLooking = false
        const harm = counts === undefined ? undefined : this.guard.look(counts)
        if (harm === undefined || this.ended.signal.aborted) return
        this.harm = harm
        this.note('gives up')
        this.ended.abort()
      })
    }, guardMs)
    const words = setInterval(() => this.tell(), progressMs)
    return () => {
      clearInterval(looks)
      clearInterval(words)
    }
  }

  private tell(): void {
    const { calls, errors, tiers } = this.probe.caller.tally.since(this.from)
    const seconds = Math.round((this.options.now() - this.from) / 1000)
    this.options.onProgress(
      `${seconds} s: ${calls} calls, ${errors} lost, ${Object.keys(tiers).join(' ') || 'no tier'}`,
    )
  }

  private async warmUp(): Promise<void> {
    const { interrupted, now } = this.options
    const { admin, config, pause } = this.context
    const { caller } = this.probe
    const service = probeServiceOf(config.host.name)
    const deadline = now() + warmUpMs
    for (let round = 0; ; round++) {
      if (round % (guardMs / pollMs) === 0) {
        const counts = await realTraffic(admin, service)
        if (counts !== undefined) this.guard.calm(counts)
      }
      const recent = caller.tally.since(now() - warmUpWindowMs)
      if (recent.calls >= warmUpCalls && recent.errors === 0 && this.hasBoth(recent)) return
      const why = Object.keys(recent.reasons).join(', ') || 'no answer'
      if (now() > deadline)
        throw new MeshError(
          'E_UPSTREAM_TIMEOUT',
          `the probe is not answered through the mesh (${why}); nothing was broken`,
        )
      if (interrupted.aborted) throw new MeshError('E_UPSTREAM_TIMEOUT', 'interrupted; nothing was broken')
      await pause(pollMs)
    }
  }

  /** A victim that nobody calls would prove nothing. */
  private hasBoth({ versions }: TallyView): boolean {
    return this.probe.victim === undefined || (versions['victim'] ?? 0) > 0
  }

  private async untilWholeAgain(before: WatchdogState, since: number): Promise<number | undefined> {
    const { now } = this.options
    while (now() - since < this.drill.maxRecoveryMs && !this.ended.signal.aborted) {
      try {
        if (isWholeAgain(this.drill, before, await stateOf(this.context))) return now() - since
      } catch {
        // not there yet: that is what is waited for
      }
      await this.context.pause(pollMs)
    }
    return undefined
  }
}

/**
 * Where processes are killed, what was in flight on them is lost. On a busy machine that is more than on an idle one:
 * calls whose answers are late, and one that is sent on a kept connection whose end has come but was not read yet.
 *
 * @param inFlight most probe calls at the same time between the order to kill and its answer.
 */
export function allowedLosses(maxLost: number, inFlight: number): number {
  return maxLost === 0 ? 0 : Math.max(maxLost, inFlight + 1)
}

/** What the probe saw, against what was promised. A drill that measured nothing keeps no promise. */
export function brokenPromises(maxLost: number, seen: TallyView): string[] {
  const problems: string[] = []
  if (seen.calls === seen.errors) problems.push('no probe call was answered: nothing can be said')
  const reasons = Object.entries(seen.reasons).map(([reason, count]) => `${reason} ${count}`)
  const why = reasons.length === 0 ? '' : ` (${reasons.join(', ')})`
  if (seen.errors > maxLost) problems.push(`${seen.errors} probe calls lost, allowed ${maxLost}${why}`)
  const refused = seen.reasons['ECONNREFUSED'] ?? 0
  if (refused > 0) problems.push(`${refused} connections refused, allowed none`)
  return problems
}

async function stateOf({ config }: Pick<DrillContext, 'config'>): Promise<WatchdogState> {
  const reply = await askWatchdog(config.runDir, { type: 'status' }, 2000)
  if (reply.type !== 'state') throw new MeshError('E_WIRE', `unexpected answer "${reply.type}" from the watchdog`)
  return reply.state
}

/**
 * One drill at a time per host. A mark whose process is gone does not count, also where another process has its number
 * by now: marks outlive a machine that fails. Answers what takes the mark away.
 */
export function claim(directory: string): () => void {
  makeKeptFolder(directory)
  const mark = join(directory, 'running')
  const own = `${process.pid} ${processFacts(process.pid)?.startedAtTicks}`
  try {
    writeNew(mark, own, 0o600)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new MeshError('E_RUN_DIRECTORY', `${mark}: cannot be written; nothing was broken`, { cause })
    const [pid = 0, startedAt = 0] = readMark(mark)
    if (isRunning(pid, startedAt))
      throw new MeshError('E_ALREADY_RUNNING', `${mark}: process ${pid} runs a drill on this host; wait for its report`)
    writeKept(mark, own, 0o600)
  }
  return () => rmSync(mark, { force: true })
}

function readMark(mark: string): number[] {
  try {
    return readFileSync(mark, 'utf8').split(' ').map(Number)
  } catch {
    return []
  }
}
