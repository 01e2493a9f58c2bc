/**
 * What the command hands to the watchdog, as one JSON argument or `@file`. The command has validated the configuration;
 * nothing here is read from it again.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { MeshError } from '../contracts/errors.ts'
import type { Release } from '../contracts/handoff.ts'

export interface WatchdogOptions {
  readonly runDir: string
  readonly stateDir: string
  /** What to start. The watchdog appends `--generation N`, and `--index I` for a worker. */
  readonly release: Release
  readonly deadlines: Deadlines
  readonly liveness: LivenessOptions
  readonly restarts: RestartOptions
  readonly bounds: Bounds
}

/** Milliseconds. */
export interface Deadlines {
  /** From the start of a generation until all its processes are ready. */
  readonly startMs: number
  /** For the probe requests before a generation takes over. */
  readonly proveMs: number
  /** From `serve` until every worker listens. */
  readonly takeOverMs: number
  /** What cannot be moved may stay this long in the old generation. */
  readonly drainMs: number
  /** For our own stop. */
  readonly stopMs: number
  /** How long running processes may take to find a restarted watchdog. */
  readonly adoptMs: number
}

export interface LivenessOptions {
  /** Each process is asked this often, ms. */
  readonly periodMs: number
  /** Without an answer for so long a neighbour (or the relay) accepts for a worker, ms. */
  readonly suspectMs: number
  /** Without an answer for so long a process is killed and replaced, ms. */
  readonly deadMs: number
}

export interface RestartOptions {
  readonly firstPauseMs: number
  readonly lastPauseMs: number
  /** More deaths than this within `windowMs` are a crash loop: back to the release before, or the longest pause. */
  readonly maxDeaths: number
  readonly windowMs: number
  /** For so long after a take-over a misbehaving generation is taken back. */
  readonly probationMs: number
}

export interface Bounds {
  /** Resident bytes of one child; above it its generation is replaced, or taken back during probation. */
  readonly maxChildBytes: number
  /** Draining generations at the same time; the oldest is ended beyond it. */
  readonly maxDraining: number
  readonly maxRelayConnections: number
  /** Bytes held for one relayed connection and direction. */
  readonly maxRelayBufferBytes: number
}

/** What nobody can configure; all that a configuration has comes from there, also what holds when it says nothing. */
export const fixedOptions = {
  deadlines: { proveMs: 5000, takeOverMs: 10_000, stopMs: 10_000, adoptMs: 4000 },
  /** At least; never less than the time that a neighbour has to stand in. */
  deadMs: 4000,
  restarts: { firstPauseMs: 50, lastPauseMs: 10_000, maxDeaths: 5, windowMs: 60_000, probationMs: 30_000 },
  bounds: { maxRelayConnections: 4000, maxRelayBufferBytes: 65_536 },
} as const

const numbers: { readonly [K in Section]: readonly (keyof WatchdogOptions[K])[] } = {
  deadlines: ['startMs', 'proveMs', 'takeOverMs', 'drainMs', 'stopMs', 'adoptMs'],
  liveness: ['periodMs', 'suspectMs', 'deadMs'],
  restarts: ['firstPauseMs', 'lastPauseMs', 'maxDeaths', 'windowMs', 'probationMs'],
  bounds: ['maxChildBytes', 'maxDraining', 'maxRelayConnections', 'maxRelayBufferBytes'],
}
type Section = 'deadlines' | 'liveness' | 'restarts' | 'bounds'

/** Throws E_CONFIG_INVALID naming what is missing: there is no default here. */
export function readOptions(argument: string | undefined): WatchdogOptions {
  if (argument === undefined)
    throw new MeshError('E_CONFIG_INVALID', 'options: missing; started by hand instead of by `hostmesh watchdog`')
  let given: Partial<WatchdogOptions>
  try {
    const text = argument.startsWith('@') ? readFileSync(argument.slice(1), 'utf8') : argument
    given = JSON.parse(text) as Partial<WatchdogOptions>
  } catch (cause) {
    throw new MeshError('E_CONFIG_INVALID', 'options: not readable as JSON', { cause })
  }
  const { runDir, stateDir, release } = given
  if (typeof runDir !== 'string' || typeof stateDir !== 'string') {
    throw new MeshError('E_CONFIG_INVALID', 'options: runDir and stateDir must be paths')
  }
  assertRelease(release)
  const { bounds, deadlines, liveness, restarts } = given
  for (const [section, names] of Object.entries(numbers)) {
    const values = given[section as Section] as Readonly<Record<string, unknown>> | undefined
    for (const name of names)
      if (!Number.isFinite(values?.[name]))
        throw new MeshError('E_CONFIG_INVALID', `options: ${section}.${name} must be a number`)
  }
  return { runDir, stateDir, release, deadlines: deadlines!, liveness: liveness!, restarts: restarts!, bounds: bounds! }
}

/** By what is started: one that was read again, or sent by an operator, is another object. */
export function isSameRelease(one: Release | undefined, other: Release): boolean {
  return isDeepStrictEqual(one, other)
}

/** Also for what an operator sends. Throws E_CONFIG_INVALID. */
export function assertRelease(release: unknown): asserts release is Release {
  const { name, control, worker, workers } = (release ?? {}) as Partial<Record<keyof Release, unknown>>
  const isCommand = (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.length <= 64 && value.every((word) => typeof word === 'string')
  if (typeof name !== 'string' || !isCommand(control) || !isCommand(worker)) {
    throw new MeshError('E_CONFIG_INVALID', 'release: needs a name and the command lines of control and worker')
  }
  if (!Number.isInteger(workers) || (workers as number) < 1 || (workers as number) > 256) {
    throw new MeshError('E_CONFIG_INVALID', `release.workers: ${String(workers)}, allowed 1 to 256`)
  }
}
