/** Drills that ask for new generations: a good one, and ones that cannot serve. */
import { join } from 'node:path'
import { rmSync } from 'node:fs'
import { MeshError } from '../../contracts/errors.ts'
import type { Release } from '../../contracts/handoff.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { type Drill, type DrillContext, killsNothing, nothing } from './drill.ts'
import { writeKept } from './kept-files.ts'

const upgradeTimeoutMs = 120_000

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

export const badConfigPath = (config: AgentConfig): string => join(config.stateDir, 'drill-bad-config.yaml')

export const releaseDrills: readonly Drill[] = [
  {
    name: 'hot-restart',
    does: 'replaces control and all workers by new ones of the same release, as `hostmesh reload` does',
    blastRadius: 'this host: a few seconds of CPU; connections move to the new workers',
    promise: 'nothing lost, no connection closed that can be moved',
    ...killsNothing,
    maxRecoveryMs: 60_000,
    act: async ({ config }) => {
      const reply = await askWatchdog(config.runDir, { type: 'reload', wait: 'serving' }, upgradeTimeoutMs)
      if (reply.type === 'outcome' && reply.report.outcome !== 'done')
        throw new MeshError(
          'E_GENERATION_FAILED',
          `the reload did not serve: ${reply.report.cause ?? 'no cause is known'}`,
        )
    },
    restore: nothing,
  },
  {
    name: 'bad-config',
    does: 'asks for a new generation whose configuration is broken',
    blastRadius: 'this host: a few seconds of CPU; the running generation is not touched',
    promise: 'refused with its cause, nothing lost',
    ...killsNothing,
    maxRecoveryMs: 60_000,
    act: async (context) => {
      const { config, release } = context
      const path = badConfigPath(config)
      writeKept(path, 'outbound: "this is no map"\n', 0o644)
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
    ...killsNothing,
    maxRecoveryMs: 60_000,
    act: async (context) => {
      const { release } = context
      const worker = [release.worker[0]!, '--eval', 'process.exit(13)', '--']
      await failingUpgrade(context, { ...release, name: 'drill: workers that end at once', worker })
    },
    restore: nothing,
  },
]
