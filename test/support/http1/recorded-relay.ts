import type { RelayTargets } from '../../../contracts/relay-targets.ts'
import type { HalfClosed } from '../../../contracts/snapshot.ts'
import { WatchdogHost } from '../continuity/watchdog-host.ts'
import type { RecordedMesh } from './recorded-mesh.ts'
import { RecordingBackend } from './recording-backend.ts'

/** Which way the watchdog's relay takes: to a center behind a PROXY header, or straight to an endpoint. */
export type RelayKind = 'relay to a center' | 'relay to an endpoint'
export const relayKinds: readonly RelayKind[] = ['relay to a center', 'relay to an endpoint']

/**
 * A watchdog whose generation is dead and stays so; its relay leads the HTTP port to a recording backend. One request
 * per connection.
 */
export async function startRecordedRelay(
  kind: RelayKind,
  change: Partial<RelayTargets> = {},
  halfClosed: HalfClosed = 'answered',
): Promise<RecordedMesh> {
  const isCenter = kind === 'relay to a center'
  const backend = await RecordingBackend.start(isCenter)
  const there = `127.0.0.1:${backend.port}`
  let host: WatchdogHost | undefined
  try {
    host = await WatchdogHost.start({ tuning: { restarts: { firstPauseMs: 3_600_000, lastPauseMs: 3_600_000 } } })
    host.writeTargets({
      writtenAt: Date.now(),
      host: 'host-a',
      centers: isCenter ? [there] : [],
      listeners: {
        http: {
          kind: 'service',
          protocol: 'http',
          service: 'public/DEFAULT_GROUP@@recorded',
          center: isCenter,
          direct: !isCenter,
          endpoints: isCenter ? [] : [there],
          halfClosed,
        },
      },
      services: {},
      names: {},
      fallbackNetworks: [],
      ...change,
    })
    await host.until((state) => state.relay.targetsAgeMs >= 0, 'the targets are known')
    const { generations } = await host.state()
    for (const child of generations[0]!.children) process.kill(child.pid, 'SIGKILL')
    await host.until((state) => state.relay.isRelaying, 'the relay accepts')
  } catch (error) {
    await host?.end()
    await backend.close()
    throw error
  }
  const watchdog = host
  return {
    backend,
    requestsPerConnection: 1,
    answersPerConnection: 1,
    port: watchdog.httpPort,
    metric: async () => undefined,
    expectAlive: () => {
      if (watchdog.process?.exitCode !== null) throw new Error(`the watchdog ended\n${watchdog.tail()}`)
    },
    close: async () => {
      const left = await watchdog.end()
      await backend.close()
      if (left.length > 0) throw new Error(`processes left: ${left.join(', ')}`)
    },
  }
}
