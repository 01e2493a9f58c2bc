/** What `hostmesh doctor` says of one link of the path from the unit to an answer, and what the whole comes to. */
import { type ExitCode, exitCodes } from '../exit-codes.ts'

/** In the order of the path; a report is sorted by it. */
export const linkNames = [
  'configuration',
  'unit',
  'watchdog',
  'control',
  'release',
  'files',
  'kernel ports',
  'memory',
  'disk',
  'clock',
  'names',
  'address',
  'registry',
  'rules',
  'certificates',
  'ports',
  'applications',
  'announced',
  'center',
  'relay targets',
  'request',
] as const

export type LinkName = (typeof linkNames)[number]

/**
 * `unknown`: it could not be looked at, so nobody may call the host whole; `skipped`: this host has no such thing.
 */
export type FindingState = 'good' | 'warning' | 'bad' | 'unknown' | 'skipped'

export type Finding = Fine | Fault

interface Said {
  readonly link: LinkName
  /** What it found; of anything that is not good, the cause. */
  readonly says: string
}

interface Fine extends Said {
  readonly state: 'good' | 'skipped'
  readonly proof?: string
  readonly next?: undefined
}

/** Nobody is left alone with one. */
interface Fault extends Said {
  readonly state: Exclude<FindingState, Fine['state']>
  /** Where that was seen: a file with its line, an answer, a figure. */
  readonly proof: string
  /** The next thing to type. */
  readonly next: string
}

/** The exit code of a link that is bad; every other one says that the answer is no. */
const codes: Partial<Record<LinkName, ExitCode>> = {
  configuration: exitCodes.config,
  watchdog: exitCodes.unreachable,
  control: exitCodes.unreachable,
  registry: exitCodes.unreachable,
}

/** Warnings are allowed. Of several causes the one that is to be mended first: configuration, then what is silent. */
export function exitCodeOfFindings(findings: readonly Finding[]): ExitCode {
  const found = new Set(
    findings
      .filter(({ state }) => state === 'bad' || state === 'unknown')
      .map(({ link, state }) => (state === 'bad' ? (codes[link] ?? exitCodes.failed) : exitCodes.failed)),
  )
  for (const code of [exitCodes.config, exitCodes.unreachable, exitCodes.failed]) if (found.has(code)) return code
  return exitCodes.ok
}

export function inOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => linkNames.indexOf(a.link) - linkNames.indexOf(b.link))
}
