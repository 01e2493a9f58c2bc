/** Adapters and stand-ins of one spec, closed after each test. */
import { createNacosAdapter } from '../../../registry-adapters/nacos/index.ts'
import type { NacosAdapter, NacosAdapterConfig, NacosTimes } from '../../../registry-adapters/nacos/index.ts'
import { recordedDeps } from '../registry-listener.ts'
import type { RecordedDeps } from '../registry-listener.ts'
import { adapterConfig } from './adapter-config.ts'
import { startFaultServer } from './fault-server.ts'
import type { FaultServer, FaultServerOptions } from './fault-server.ts'

export interface Opened {
  readonly adapter: NacosAdapter
  readonly deps: RecordedDeps
}

export interface AdapterBench {
  server(options?: FaultServerOptions): Promise<FaultServer>
  /**
   * A started adapter of these servers; all of them must have the same distance between their ports, unless there is
   * one.
   */
  open(servers: readonly FaultServer[], more?: Partial<NacosAdapterConfig> & { times?: Partial<NacosTimes> }): Opened
  closeAll(): Promise<void>
}

export function adapterBench(): AdapterBench {
  const adapters: NacosAdapter[] = []
  const servers: FaultServer[] = []
  return {
    server: async (options) => {
      const server = await startFaultServer(options)
      servers.push(server)
      return server
    },
    open: (of, more = {}) => {
      const deps = recordedDeps()
      const addresses = of.map(({ address }) => address)
      const adapter = createNacosAdapter(
        adapterConfig(addresses, { grpcPortOffset: of[0]!.grpcPortOffset, ...more }),
        deps,
      )
      adapters.push(adapter)
      adapter.start()
      return { adapter, deps }
    },
    closeAll: async () => {
      await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
      await Promise.all(servers.splice(0).map((server) => server.stop()))
    },
  }
}
