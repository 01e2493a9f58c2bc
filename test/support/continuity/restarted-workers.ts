/** Real workers before a provider, for specs that restart them. */
import { expect } from 'chai'
import { startFarSide } from './far-side.ts'
import type { FarSide } from './far-side.ts'
import { startRealWorkers } from './real-workers.ts'
import type { WatchdogHost } from './watchdog-host.ts'

export interface RestartedWorkers {
  readonly host: WatchdogHost
  readonly provider: FarSide
}

export async function startRestartedWorkers(): Promise<RestartedWorkers> {
  const provider = await startFarSide('provider', false)
  return { provider, host: await startRealWorkers(provider) }
}

/** Fails where a process is left. */
export async function endRestartedWorkers({ host, provider }: RestartedWorkers): Promise<void> {
  expect(await host.end(), 'processes left').to.deep.equal([])
  await provider.close()
}
