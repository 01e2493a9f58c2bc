/** What a drill is: what it breaks, how far it can reach, what must hold meanwhile, how it is put right again. */
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { Release, WatchdogState } from '../../contracts/handoff.ts'
import type { AdminClient } from '../admin-client.ts'
import type { Caller } from '../traffic/callers.ts'
import type { FaultyApplication } from '../traffic/faulty-application.ts'
import type { DrillName } from './names.ts'

export interface DrillContext {
  readonly config: AgentConfig
  readonly admin: AdminClient
  readonly release: Release
  /**
   * Starts a watchdog as `hostmesh watchdog -c FILE` would, apart from this process; undefined when a service manager
   * does that.
   */
  readonly startWatchdog: (() => void) | undefined
  /** How long a fault lasts that does not end by itself, ms. */
  readonly faultMs: number
  /** Ends early when the drill is interrupted or gives up. */
  readonly pause: (ms: number) => Promise<void>
  /** It was interrupted or gives up: `act` waits for nothing any more. */
  readonly isOver: () => boolean
  /** A line for whoever watches. */
  readonly say: (text: string) => void
  /** Of a drill with `hasVictim`: the second instance of the probe's service. */
  readonly victim?: FaultyApplication
  /** More callers of the probe, at so many calls per second; they end with the drill. */
  readonly moreCalls?: (rate: number) => Caller
}

export interface Drill {
  readonly name: DrillName
  readonly does: string
  /** What it can hurt at the most, said before it acts. */
  readonly blastRadius: string
  /** What must hold. */
  readonly promise: string
  readonly role: AgentConfig['role']
  /** It breaks only what is its own, or something whose loss no caller may notice: `all --safe` runs it. */
  readonly isSafe: boolean
  /** Calls of the probe that may fail: those in flight on a killed process; more where a host's settings say so. */
  readonly maxLost: number | ((config: AgentConfig) => number)
  /**
   * So long after the fault the mesh may still find out, ms, while calls fail; afterwards `maxLost` holds. Default 0.
   */
  readonly noticedWithinMs?: number
  /**
   * Longest time until the host is whole again, ms: from the fault where processes are replaced, otherwise from its
   * end.
   */
  readonly maxRecoveryMs: number
  /** Whether nobody serves on this host for a moment, so that the next tier must. */
  readonly needsNextTier: boolean
  /** The probe's service gets a second instance that can be broken. */
  readonly hasVictim?: boolean
  /** What this host must have for it beside what every drill needs; a reason not to, for people. */
  readonly unfit?: (
    context: Pick<DrillContext, 'admin' | 'config' | 'faultMs'>,
    state: WatchdogState,
  ) => Promise<string | undefined>
  act(context: DrillContext): Promise<void>
  /** Whether every process that `act` broke has a successor. undefined: it breaks none. */
  readonly isReplaced: ((before: WatchdogState, after: WatchdogState) => boolean) | undefined
  /** Puts right what is left behind; runs last, and also when anything failed. */
  restore(context: DrillContext): Promise<void>
}

/** Calls of the probe that may fail on this host. */
export function maxLostOf({ maxLost }: Pick<Drill, 'maxLost'>, config: AgentConfig): number {
  return typeof maxLost === 'number' ? maxLost : maxLost(config)
}

/** Of a drill that kills nothing that serves: `isSafe`, and no call is lost. */
export const killsNothing = {
  role: 'agent',
  isSafe: true,
  maxLost: 0,
  needsNextTier: false,
  isReplaced: undefined,
} as const

export const nothing = async (): Promise<void> => {}

/** One probe call can be in flight on a process when it is killed, and one on the relay when it hands back. */
export const inFlight = 2
