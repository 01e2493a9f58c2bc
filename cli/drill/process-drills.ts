/** Drills that end or stop processes of this host. */
import { MeshError } from '../../contracts/errors.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import { formatHostPort } from '../../agent/control/config/scalars.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { hungAtMostMs } from '../../watchdog/supervise/liveness.ts'
import { livenessOf } from '../launch/liveness.ts'
import { callTimeoutMs } from '../traffic/paced-calls.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { type Drill, type DrillContext, inFlight, nothing } from './drill.ts'
import { probeRate } from './probe.ts'
import { servingOf } from './wholeness.ts'

const askTimeoutMs = 10_000
/** How long no center can be reached: the next generation serves well before. */
const centerCutMs = 15_000

function signal(role: 'worker' | 'control' | 'generation' | 'watchdog', name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') {
  return async ({ config }: DrillContext): Promise<void> => {
    await askWatchdog(config.runDir, { type: 'signal', target: { role, index: 0 }, signal: name }, askTimeoutMs)
  }
}

/** Calls wait until the hang is noticed; those of them are lost that their caller does not wait so long for. */
export function lostWhileHung(config: AgentConfig): number {
  const longestWaitMs = hungAtMostMs(livenessOf(config))
  return inFlight + Math.ceil((Math.max(0, longestWaitMs - callTimeoutMs) / 1000) * probeRate)
}

/** None of the processes with this role that served before is there any more. */
function areReplaced(role?: 'worker' | 'control') {
  return (before: WatchdogState, after: WatchdogState): boolean => {
    const living = new Set(after.generations.flatMap((generation) => generation.children.map((child) => child.pid)))
    const broken = (servingOf(before)?.children ?? []).filter(
      (child) => role === undefined || (child.role === role && child.index === 0),
    )
    return broken.every((child) => !living.has(child.pid))
  }
}

export const processDrills: readonly Drill[] = [
  {
    name: 'kill-worker',
    does: 'SIGKILL to worker 0 of this host',
    blastRadius: 'this host: requests in flight on that worker fail once; no new connection is refused',
    promise: 'no connection refused, another worker or the relay serves at once',
    role: 'agent',
    isSafe: false,
    maxLost: inFlight,
    maxRecoveryMs: 10_000,
    needsNextTier: true,
    isReplaced: areReplaced('worker'),
    act: signal('worker', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'kill-agent',
    does: 'SIGKILL to control and all workers of this host',
    blastRadius: 'this host: requests in flight fail once; the next tier serves until the agent is back',
    promise: 'no connection refused, center or direct tier serves meanwhile',
    role: 'agent',
    isSafe: false,
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
    isSafe: false,
    maxLost: lostWhileHung,
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
    isSafe: true,
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
    isSafe: false,
    maxLost: inFlight,
    maxRecoveryMs: 15_000,
    needsNextTier: false,
    isReplaced: areReplaced(),
    act: signal('generation', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'kill-control',
    does: 'SIGKILL to control of this host',
    blastRadius: 'this host: changes of instances and rules arrive seconds late; no request is touched',
    promise: 'nothing lost: workers go on with the last snapshot, the next control takes over',
    role: 'agent',
    isSafe: true,
    maxLost: 0,
    maxRecoveryMs: 15_000,
    needsNextTier: false,
    isReplaced: areReplaced('control'),
    act: signal('control', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'cut-center',
    does: `for ${centerCutMs / 1000} s no center can be reached, and control and all workers get SIGKILL`,
    blastRadius: 'this host: requests in flight fail once; the direct tier serves until the agent is back',
    promise: 'no connection refused, the last known endpoints serve meanwhile',
    role: 'agent',
    isSafe: false,
    maxLost: inFlight,
    maxRecoveryMs: 15_000,
    needsNextTier: true,
    unfit: async ({ config }, { relay }) => {
      if (config.center.addresses.length === 0) return 'no center is set: there is none to be cut off from'
      if (relay.centers.some(({ isUsable }) => isUsable)) return undefined
      return `no center answers now: ${config.center.addresses.map(formatHostPort).join(', ')}`
    },
    isReplaced: areReplaced(),
    act: async (context) => {
      await askWatchdog(context.config.runDir, { type: 'cut-centers', forMs: centerCutMs }, askTimeoutMs)
      await signal('generation', 'SIGKILL')(context)
    },
    restore: async ({ config }) => {
      await askWatchdog(config.runDir, { type: 'cut-centers', forMs: 0 }, askTimeoutMs)
    },
  },
]
