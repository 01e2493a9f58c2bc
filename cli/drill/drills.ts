/** The drills: what each breaks on this host, how far it can reach, what must hold meanwhile, and how it is put right again. */
import { join } from 'node:path'
import { writeFileSync, rmSync } from 'node:fs'
import { MeshError } from '../../contracts/errors.ts'
import type { Release, WatchdogState } from '../../contracts/handoff.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { AdminClient } from '../admin-client.ts'
import { askWatchdog } from '../watchdog-client.ts'

export interface DrillContext {
  readonly config: AgentConfig
  readonly admin: AdminClient
  readonly release: Release
  /** Starts a watchdog as `hostmesh watchdog -c FILE` would, apart from this process. */
  readonly startWatchdog: () => void
  readonly pause: (ms: number) => Promise<void>
}

export interface Drill {
  readonly name: string
  readonly does: string
  /** What it can hurt at the most, said before it acts. */
  readonly blastRadius: string
  /** What must hold. */
  readonly promise: string
  readonly role: AgentConfig['role']
  /** Calls of the probe that may fail: those in flight on a killed process. */
  readonly maxLost: number
  /** Longest time until the agent serves again, ms. */
  readonly maxRecoveryMs: number
  act(context: DrillContext): Promise<void>
  /** Puts right what `act` left behind; runs also when `act` failed. */
  restore(context: DrillContext): Promise<void>
}

const askTimeoutMs = 10_000
const upgradeTimeoutMs = 120_000
/** systemd's RestartSec in our unit is far below this. */
const managerPatienceMs = 2000
/** One probe call can be in flight on a process when it is killed, and one on the relay when it hands back. */
const inFlight = 2
const nothing = async (): Promise<void> => {}

function signal(role: 'worker' | 'control' | 'generation' | 'watchdog', name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') {
  return async ({ config }: DrillContext): Promise<void> => {
    await askWatchdog(config.runDir, { type: 'signal', target: { role, index: 0 }, signal: name }, askTimeoutMs)
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
    blastRadius: 'requests in flight on that worker fail once; no new connection is refused',
    promise: 'no connection refused, another worker or the relay serves at once',
    role: 'agent',
    maxLost: inFlight,
    maxRecoveryMs: 10_000,
    act: signal('worker', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'kill-agent',
    does: 'SIGKILL to control and all workers of this host',
    blastRadius: 'requests in flight on this host fail once; the next tier serves until the agent is back',
    promise: 'no connection refused, center or direct tier serves meanwhile',
    role: 'agent',
    maxLost: inFlight,
    maxRecoveryMs: 10_000,
    act: signal('generation', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'hang-agent',
    does: 'SIGSTOP to control and all workers of this host',
    blastRadius: 'requests on this host wait until the watchdog has noticed (seconds), then the next tier serves',
    promise: 'noticed and replaced within 10 s, no connection refused',
    role: 'agent',
    maxLost: 64,
    maxRecoveryMs: 15_000,
    act: signal('generation', 'SIGSTOP'),
    restore: nothing,
  },
  {
    name: 'kill-watchdog',
    does: 'SIGKILL to the watchdog of this host',
    blastRadius: 'nothing, as long as no worker dies before the new watchdog is there',
    promise: 'nothing lost; a new watchdog adopts the running agent',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 15_000,
    act: async (context) => {
      await signal(
        'watchdog',
        'SIGKILL',
      )(context).catch((error: unknown) => {
        if (!(error instanceof MeshError && error.code === 'E_ADMIN_UNREACHABLE')) throw error
      })
      if (!(await isBroughtBack(context))) context.startWatchdog()
    },
    restore: nothing,
  },
  {
    name: 'kill-center',
    does: 'SIGKILL to control and all workers of the center on this machine',
    blastRadius: 'hosts whose agent is dead at this moment fall to other centers or to the direct tier',
    promise: 'the center is back by itself',
    role: 'center',
    maxLost: inFlight,
    maxRecoveryMs: 15_000,
    act: signal('generation', 'SIGKILL'),
    restore: nothing,
  },
  {
    name: 'cut-registry',
    does: 'control of this host behaves for 10 s as if no registry could be reached',
    blastRadius: 'changes of instances reach this host late; no request is touched',
    promise: 'nothing lost: everything runs on from the last good data',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 30_000,
    act: async ({ admin, pause }) => {
      const reply = await admin.post('/drill', { cutRegistryMs: 10_000 })
      if (reply.status !== 200)
        throw new MeshError('E_ADMIN_REQUEST', `/drill: status ${reply.status}: ${reply.text.trim()}`)
      await pause(10_000)
    },
    restore: async ({ admin }) => {
      await admin.post('/drill', { cutRegistryMs: 0 })
    },
  },
  {
    name: 'bad-config',
    does: 'asks for a new generation whose configuration is broken',
    blastRadius: 'a few seconds of CPU; the running generation is not touched',
    promise: 'refused with its cause, nothing lost',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 60_000,
    act: async (context) => {
      const { config, release } = context
      const path = badConfigPath(config)
      writeFileSync(path, 'outbound: "this is no map"\n', { mode: 0o600 })
      const control = release.control.map((word) => (word === config.file ? path : word))
      await failingUpgrade(context, { ...release, name: 'drill: broken configuration', control })
    },
    restore: async ({ config }) => rmSync(badConfigPath(config), { force: true }),
  },
  {
    name: 'bad-upgrade',
    does: 'asks for an upgrade to a release whose workers end at once',
    blastRadius: 'a few seconds of CPU; the running generation is not touched',
    promise: 'refused with its cause, nothing lost',
    role: 'agent',
    maxLost: 0,
    maxRecoveryMs: 60_000,
    act: async (context) => {
      const { release } = context
      const worker = [release.worker[0]!, '--eval', 'process.exit(13)', '--']
      await failingUpgrade(context, { ...release, name: 'drill: workers that end at once', worker })
    },
    restore: nothing,
  },
]

/** Whether a service manager starts a new watchdog by itself; without one the drill has to. */
async function isBroughtBack({ config, pause }: DrillContext): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < managerPatienceMs; waitedMs += 100) {
    await pause(100)
    try {
      await askWatchdog(config.runDir, { type: 'status' }, 1000)
      return true
    } catch {
      // not there yet
    }
  }
  return false
}

/** Whether the host is whole: one serving generation with every process ready, nothing relayed. */
export function isWhole(state: WatchdogState): boolean {
  const serving = state.generations.filter((generation) => generation.phase === 'serving')
  return !state.relay.isRelaying && serving.length === 1 && serving[0]!.children.every((child) => child.isReady)
}

export function drillDirectory(config: AgentConfig): string {
  return join(config.stateDir, 'drills')
}
