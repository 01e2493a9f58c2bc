/**
 * Interleaved windows: A B C, A B C and so on in one run, so that a change of the machine's mood hits all contenders
 * alike.
 *
 * A window is a fixed time of load on one contender: CPU of all its threads before and after, requests completed as the
 * generator counted them. Windows in which the hypervisor took more than one percent of the CPUs, or with a failed
 * request, are dropped from median and minimum, but stay in the raw data.
 */
import { availableParallelism } from 'node:os'
import { busyTicks, cpuNanoseconds, stolenTicks } from './cpu.ts'
import { runWrk } from './load/wrk.ts'
import type { RunningPeer } from './peers/peer.ts'
import { format, median } from './scenario.ts'
import type { BenchOptions } from './scenario.ts'

export interface Contender {
  readonly name: string
  readonly peer: RunningPeer
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** In place of wrk with the connections of the run. */
  readonly load?: (seconds: number) => Promise<LoadResult>
}

/** What a generator counted. */
export type LoadResult = Pick<Awaited<ReturnType<typeof runWrk>>, 'errors' | 'requests' | 'requestsPerSecond'>

export interface Window {
  readonly contender: string
  readonly requests: number
  readonly errors: number
  readonly requestsPerSecond: number
  readonly cpuMicroseconds: number
  readonly stolenShare: number
  /** Share of the proxy's CPU that other programs used: their cache misses and switches are in the figure. */
  readonly foreignShare: number
  readonly isDropped: boolean
}

export interface Figure {
  readonly contender: string
  /** CPU µs per request. */
  readonly median: number
  readonly least: number
  readonly requestsPerSecond: number
  readonly kept: number
  readonly windows: readonly Window[]
}

const highestStolenShare = 0.01
const quietShare = 0.03

export async function runWindows(
  contenders: readonly Contender[],
  connections: number,
  options: BenchOptions,
): Promise<Figure[]> {
  const windows: Window[] = []
  for (const contender of contenders) {
    options.log(`  warming ${contender.name} for ${options.warmSeconds} s`)
    await load(contender, connections, options.warmSeconds, options)
  }
  for (let round = 1; round <= options.windows; round++) {
    for (const contender of contenders) {
      const window = await oneWindow(contender, connections, options)
      windows.push(window)
      const each = window.cpuMicroseconds / window.requests
      const note = window.isDropped
        ? `, dropped (stolen ${format(window.stolenShare * 100)} %, ${window.errors} errors)`
        : ''
      options.log(
        `  ${round}/${options.windows} ${contender.name}: ${format(each)} µs, ${format(window.requestsPerSecond)}/s, others ${format(window.foreignShare * 100)} %${note}`,
      )
    }
  }
  return contenders.map(({ name }) => figureOf(name, windows))
}

async function oneWindow(contender: Contender, connections: number, options: BenchOptions): Promise<Window> {
  const stolenBefore = stolenTicks()
  const busyBefore = busyTicks(options.proxyCpu)
  const before = cpuNanoseconds(contender.peer.pids)
  const result = await load(contender, connections, options.windowSeconds, options)
  const cpuMicroseconds = (cpuNanoseconds(contender.peer.pids) - before) / 1000
  const busyMicroseconds = (busyTicks(options.proxyCpu) - busyBefore) * 10_000
  const foreignShare = Math.max(0, busyMicroseconds - cpuMicroseconds) / (options.windowSeconds * 1e6)
  const ticks = options.windowSeconds * 100 * availableParallelism()
  const stolenShare = (stolenTicks() - stolenBefore) / ticks
  return {
    contender: contender.name,
    requests: result.requests,
    errors: result.errors,
    requestsPerSecond: result.requestsPerSecond,
    cpuMicroseconds,
    stolenShare,
    foreignShare,
    isDropped: stolenShare > highestStolenShare || result.errors > 0 || result.requests === 0,
  }
}

function load(contender: Contender, connections: number, seconds: number, options: BenchOptions): Promise<LoadResult> {
  if (contender.load !== undefined) return contender.load(seconds)
  return runWrk({
    cpus: options.loadCpu,
    url: `http://127.0.0.1:${contender.peer.port}${contender.path}`,
    connections,
    seconds,
    ...(contender.headers === undefined ? {} : { headers: contender.headers }),
  })
}

function figureOf(contender: string, all: readonly Window[]): Figure {
  const windows = all.filter((window) => window.contender === contender)
  const kept = windows.filter((window) => !window.isDropped)
  const costs = kept.map((window) => window.cpuMicroseconds / window.requests)
  return {
    contender,
    median: median(costs),
    least: costs.length === 0 ? NaN : Math.min(...costs),
    requestsPerSecond: median(kept.map((window) => window.requestsPerSecond)),
    kept: kept.length,
    windows,
  }
}

/**
 * How much dearer one is than another: the median of the ratios of each round, for the machine's speed changes more
 * from round to round than within one.
 */
export function ratioOfRounds(one: Figure, other: Figure): number {
  const cost = ({ cpuMicroseconds, isDropped, requests }: Window): number =>
    isDropped ? NaN : cpuMicroseconds / requests
  const ratios = one.windows.map((window, round) => cost(window) / cost(other.windows[round]!))
  return median(ratios.filter((ratio) => Number.isFinite(ratio)))
}

/** Remarks on a run that was not alone on its CPU. */
export function remarksOn(figures: readonly Figure[]): string[] {
  const foreign = median(figures.flatMap((figure) => figure.windows.map((window) => window.foreignShare)))
  if (!(foreign > quietShare)) return []
  return [`other programs used ${format(foreign * 100)} % of the proxy's CPU: not a quiet machine, run it again`]
}
