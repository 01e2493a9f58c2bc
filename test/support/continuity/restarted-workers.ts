/** Real workers before a provider, for specs that restart them. */
import { expect } from 'chai'
import { startFarSide } from './far-side.ts'
import type { FarSide } from './far-side.ts'
import { startRealWorkers } from './real-workers.ts'
import type { WatchdogHost } from './watchdog-host.ts'

/**
 * Long enough for a machine that is busy with something else: what these tests prove is not how fast a process starts.
 */
export const patientTuning = { deadlines: { startMs: 14_000, drainMs: 18_000, stopMs: 2000, adoptMs: 3000 } }

export interface RestartedWorkers {
  readonly host: WatchdogHost
  readonly provider: FarSide
}

export async function startRestartedWorkers(): Promise<RestartedWorkers> {
  const provider = await startFarSide('provider', false)
  return { provider, host: await startRealWorkers(provider, { tuning: patientTuning }) }
}

/** Fails where a process is left. */
export async function endRestartedWorkers({ host, provider }: RestartedWorkers): Promise<void> {
  expect(await host.end(), 'processes left').to.deep.equal([])
  await provider.close()
}
