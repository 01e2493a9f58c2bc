import { readFileSync } from 'node:fs'

export interface CenterFigures {
  /** Sent to all agents since it started. */
  readonly sentBytes: number
  readonly residentMiB: number
  /** The highest so far. */
  readonly peakMiB: number
}

/** A center with a number of services of ten instances each. */
export interface CenterUnderTest {
  /** For people. */
  readonly what: string
  /** Of discovery, from the first start on. */
  readonly port: number
  readonly token: string | undefined
  start(): Promise<void>
  /** One instance of the service gets the metadata `at`: ms since the epoch. */
  change(service: string, at: number): void
  figures(): Promise<CenterFigures>
  /** SIGKILL to what serves discovery. */
  kill(): Promise<void>
  /** Ends and removes all of it. */
  close(): Promise<void>
}

/** MiB of a process: resident now, and at most. */
export function memoryOf(pid: number): { residentMiB: number; peakMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024)
  return { residentMiB: read('VmRSS'), peakMiB: read('VmHWM') }
}
