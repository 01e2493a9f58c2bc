/**
 * What the measurements of the Nacos adapter share: the server they run against, adapters opened at it, and what each
 * of them reports.
 */
import { systemClock } from '../../contracts/clock.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { AdapterDeps, AdapterMetrics, EndpointListener } from '../../contracts/registry-adapter.ts'
import { createNacosAdapter, defaultNacosTimes } from '../../registry-adapters/nacos/index.ts'
import type { NacosAdapter } from '../../registry-adapters/nacos/index.ts'
import type { RunningNacos } from '../../test/support/nacos/server.ts'
import type { ScenarioReport } from '../scenario.ts'

export interface NacosBench {
  readonly address: string
  /** `http://HOST:PORT/nacos` */
  readonly url: string
  /** Only where the server is ours to kill. */
  readonly own: RunningNacos | undefined
  readonly namespace: string
  readonly releaseFolder: string
  readonly log: (line: string) => void
}

export interface NacosMeasure {
  readonly name: string
  readonly title: string
  /** Kills its server: runs only against one that the benchmark started. */
  readonly isDisruptive: boolean
  run(bench: NacosBench): Promise<ScenarioReport>
}

export const serviceOf = (bench: NacosBench, name: string): ServiceName => ({
  namespace: bench.namespace,
  group: 'DEFAULT_GROUP',
  name,
})

const noMetrics: AdapterMetrics = { count: () => undefined, gauge: () => undefined }
const quiet: AdapterDeps = {
  clock: systemClock,
  random: Math.random,
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  metrics: noMetrics,
}

/** A started adapter as an agent has it, at its own pace. */
export function openAdapter(
  address: string,
  namespace: string,
  more: {
    readonly grpcPortOffset?: number
    readonly metrics?: AdapterMetrics
    readonly transport?: 'grpc'
    readonly hostAddress?: string
  } = {},
): NacosAdapter {
  const { metrics = noMetrics, ...config } = more
  const adapter = createNacosAdapter(
    {
      name: 'bench',
      servers: [address],
      namespace,
      credentials: { kind: 'none' },
      endpoints: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false },
      times: defaultNacosTimes,
      ...config,
    },
    { ...quiet, metrics },
  )
  adapter.start()
  return adapter
}

export function listener(onEndpoints: EndpointListener['onEndpoints']): EndpointListener {
  return { onEndpoints, onStale: () => undefined }
}
