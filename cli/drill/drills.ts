/**
 * The drills: what each breaks on this host, how far it can reach, what must hold meanwhile, and how it is put right
 * again.
 */
import { join } from 'node:path'
import { writeFileSync, rmSync } from 'node:fs'
import { MeshError } from '../../contracts/errors.ts'
import type { GenerationState, Release, WatchdogState } from '../../contracts/handoff.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { AdminClient } from '../admin-client.ts'
import { askWatchdog } from '../watchdog-client.ts'
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
  readonly pause: (ms: number) => Promise<void>
}

export interface Drill {
  readonly name: DrillName
  readonly does: string
  /** What it can hurt at the most, said before it acts. */
  readonly blastRadius: string
  /** What must hold. */
  readonly promise: string
  readonly role: AgentConfig['role']
  /** Calls of the probe that may fail: those in flight on a killed process. */
  readonly maxLost: number
  /**
   * Longest time until the host is whole again, ms: from the fault where processes are replaced, otherwise from its
   * end.
   */
  readonly maxRecoveryMs: number
  /** Whether nobody serves on this host for a moment, so that the next tier must. */
  readonly needsNextTier: boolean
  act(context: DrillContext): Promise<void>
  /** Whether every process that `act` broke has a successor. undefined: it breaks none. */
  readonly isReplaced: ((before: WatchdogState, after: WatchdogState) => boolean) | undefined
  /** Puts right what is left behind; runs last, and also when anything failed. */
  restore(context: DrillContext): Promise<void>
}

const askTimeoutMs = 10_000
const upgradeTimeoutMs = 120_000
/** One probe call can be in flight on a process when it is killed, and one on the relay when it hands back. */
const inFlight = 2
const cutMs = 10_000
const nothing = async (): Promise<void> => {}

function signal(role: 'worker' | 'control' | 'generation' | 'watchdog', name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') {
  return async ({ config }: DrillContext): Promise<void> => {
    await askWatchdog(config.runDir, { type: 'signal', target: { role, index: 0 }, signal: name }, askTimeoutMs)
  }
}

const servingOf = (state: WatchdogState): GenerationState | undefined =>
  state.generations.find((generation) => generation.phase === 'serving')

/** None of the processes with this role that served before is there any more. */
function areReplaced(role?: 'worker 0') {
  return (before: WatchdogState, after: WatchdogState): boolean => {
    const living = new Set(after.generations.flatMap((generation) => generation.children.map((child) => child.pid)))
    const broken = (servingOf(before)?.children ?? []).filter(
      (child) => role === undefined || (child.role === 'worker' && child.index === 0),
    )
    return broken.every((child) => !living.has(child.pid))
  }
}

/** An upgrade that must fail; E_INTERNAL if it did not. */
async function failingUpgrade({ config }: DrillContext, release: Release): Promise<void> {
  const reply = await askWatchdog(config.runDir, { type: 'upgrade', release, wait: 'serving' }, upgradeTimeoutMs).catch(
    (error: unknown) => {
      if (error instanceof MeshError && error.code === 'E_GENERATION_FAILED') return undefined
      throw error
    },
  )
  if (reply !== undefined && reply.type === 'outcome' && reply.report.outcome === 'done') {
    throw new MeshError('E_INTERNAL', `the bad release "${release.name}" was accepted`)
  }
}

const badConfigPath = (config: AgentConfig): string => join(config.stateDir, 'drill-bad-config.yaml')

export const drills: readonly Drill[] = [
  {
    name: 'kill-worker',
    does: 'SIGKILL to worker 0 of this host',
    blastRadius: 'this host: requests in flight on that worker fail once; no new connection is refused',
    promise: 'no connection refused, another worker or the relay serves at once',
    role: 'agent',
    maxLost: inFlight,
    maxRecoveryMs: 10_000,
    needsNextTier: true,
    isReplaced: areReplaced('worker 0'),
    act: signal('worker', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'kill-agent',
    does: 'SIGKILL to control and all workers of this host',
    blastRadius: 'this host: requests in flight fail once; the next tier serves until the agent is back',
    promise: 'no connection refused, center or direct tier serves meanwhile',
    role: 'agent',
    maxLost: inFlight,
    maxRecoveryMs: 10_000,
    needsNextTier: true,
    isReplaced: areReplaced(),
    act: signal('generation', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'hang-agent',
    does: 'SIGSTOP to control and all workers of this host',
    blastRadius: 'this host: requests wait until the watchdog has noticed (seconds), then the next tier serves',
    promise: 'noticed and replaced within 10 s, no connection refused',
    role: 'agent',
    maxLost: 64,
    maxRecoveryMs: 10_000,
    needsNextTier: true,
    isReplaced: areReplaced(),
    act: signal('generation', 'SIGSTOP'),
    // Replaced processes are running ones: it does nothing to them. A host that was not replaced must not stay stopped.
    restore: signal('generation', 'SIGCONT'),
  },
  {
    name: 'kill-watchdog',
    does: 'SIGKILL to the watchdog of this host',
    blastRadius: 'this host: nothing, as long as no worker dies before the new watchdog is there',
    promise: 'nothing lost; a new watchdog adopts the running agent',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 15_000,
    needsNextTier: false,
    isReplaced: (before, after) => after.pid !== before.pid && after.isAdopted,
    act: async (context) => {
      await signal(
        'watchdog',
        'SIGKILL',
      )(context).catch((error: unknown) => {
        if (!(error instanceof MeshError && error.code === 'E_ADMIN_UNREACHABLE')) throw error
      })
      context.startWatchdog?.()
    },
    restore: nothing,
  },
  {
    name: 'kill-center',
    does: 'SIGKILL to control and all workers of the center on this machine',
    blastRadius: 'this center: hosts whose agent is dead at this moment go to other centers or the direct tier',
    promise: 'the center is back by itself',
    role: 'center',
    maxLost: inFlight,
    maxRecoveryMs: 15_000,
    needsNextTier: false,
    isReplaced: areReplaced(),
    act: signal('generation', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'cut-registry',
    does: 'control of this host behaves for 10 s as if no registry could be reached',
    blastRadius: 'this host: changes of instances arrive late; no request is touched',
    promise: 'nothing lost: everything runs on from the last good data',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 30_000,
    needsNextTier: false,
    isReplaced: undefined,
    act: async ({ admin, pause }) => {
      const reply = await admin.post('/drill', { cutRegistryMs: cutMs })
      if (reply.status !== 200)
        throw new MeshError('E_ADMIN_REQUEST', `/drill: status ${reply.status}: ${reply.text.trim()}`)
      await pause(cutMs)
    },
    restore: async ({ admin }) => {
      await admin.post('/drill', { cutRegistryMs: 0 })
    },
  },
  {
    name: 'bad-config',
    does: 'asks for a new generation whose configuration is broken',
    blastRadius: 'this host: a few seconds of CPU; the running generation is not touched',
    promise: 'refused with its cause, nothing lost',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 60_000,
    needsNextTier: false,
    isReplaced: undefined,
    act: async (context) => {
      const { config, release } = context
      const path = badConfigPath(config)
      writeFileSync(path, 'outbound: "this is no map"\n')
      const control = release.control.map((word) => (word === config.file ? path : word))
      await failingUpgrade(context, { ...release, name: 'drill: broken configuration', control })
    },
    restore: async ({ config }) => rmSync(badConfigPath(config), { force: true }),
  },
  {
    name: 'bad-upgrade',
    does: 'asks for an upgrade to a release whose workers end at once',
    blastRadius: 'this host: a few seconds of CPU; the running generation is not touched',
    promise: 'refused with its cause, nothing lost',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 60_000,
    needsNextTier: false,
    isReplaced: undefined,
    act: async (context) => {
      const { release } = context
      const worker = [release.worker[0]!, '--eval', 'process.exit(13)', '--']
      await failingUpgrade(context, { ...release, name: 'drill: workers that end at once', worker })
    },
    restore: nothing,
  },
]

/** Whether the host is whole: one serving generation, its control ready and every worker accepting, nothing relayed. */
export function isWhole(state: WatchdogState): boolean {
  const serving = state.generations.filter((generation) => generation.phase === 'serving')
  const children = serving[0]?.children ?? []
  return (
    !state.relay.isRelaying &&
    serving.length === 1 &&
    children.some((child) => child.role === 'control') &&
    children.some((child) => child.role === 'worker') &&
    children.every((child) => (child.role === 'control' ? child.isReady : child.isServing))
  )
}

/** Whole again after a drill: as many processes as before, and none of those that it broke. */
export function isWholeAgain(drill: Drill, before: WatchdogState, after: WatchdogState): boolean {
  const count = (state: WatchdogState): number => servingOf(state)?.children.length ?? 0
  return isWhole(after) && count(after) >= count(before) && (drill.isReplaced?.(before, after) ?? true)
}

export function drillDirectory(config: AgentConfig): string {
  return join(config.stateDir, 'drills')
}
