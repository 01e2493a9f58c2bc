/** What a scenario is, what it gets, and what it reports. */
import type { EarlierState } from './peers/earlier.ts'

export interface BenchOptions {
  readonly windows: number
  readonly windowSeconds: number
  readonly warmSeconds: number
  /** CPU of the proxy alone, and CPU of generator and origin. */
  readonly proxyCpu: string
  readonly loadCpu: string
  /** Names of peers in lower case; undefined = all that are there. */
  readonly peers: readonly string[] | undefined
  /** Runs beside the present one wherever that is a peer. */
  readonly earlier: EarlierState | undefined
  /** The compiled tree. */
  readonly releaseFolder: string
  /** Entry point of our worker. */
  readonly workerMain: string
  readonly log: (line: string) => void
}

export interface Scenario {
  readonly name: string
  readonly title: string
  /** Measures nothing but ourselves: beside an earlier state, the two run in turn. */
  readonly isInTurn?: boolean
  run(options: BenchOptions): Promise<ScenarioReport>
}

export interface ScenarioReport {
  readonly name: string
  readonly title: string
  /** How it was measured, line by line. */
  readonly method: readonly string[]
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly goals: readonly Goal[]
  /** What did not run and why, and what spoils the figures. */
  readonly remarks: readonly string[]
  readonly raw: unknown
}

export interface Goal {
  readonly text: string
  readonly measured: string
  /** undefined: could not be judged in this run. */
  readonly isMet: boolean | undefined
}

/** A goal of the form "measured at most limit"; NaN cannot be judged. */
export function atMost(text: string, value: number, limit: number, unit: string): Goal {
  const isMet = Number.isFinite(value) ? value <= limit : undefined
  return { text, measured: `${format(value)} ${unit}, wanted at most ${format(limit)}`, isMet }
}

export function atLeast(text: string, value: number, limit: number, unit: string): Goal {
  const isMet = Number.isFinite(value) ? value >= limit : undefined
  return { text, measured: `${format(value)} ${unit}, wanted at least ${format(limit)}`, isMet }
}

export function format(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, two) => one - two)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Nearest rank; `share` 0..1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, two) => one - two)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN
}
