/** Drives npm `nacos` (the 1.x HTTP client) by the protocol of protocol.md. */
import { createRequire } from 'node:module'
import type { DriverClient } from './driver-loop.ts'
import { driverLoop, hostList } from './driver-loop.ts'

interface Host {
  readonly ip: string
  readonly port: number
  readonly healthy?: boolean
}
interface NamingClient {
  ready(): Promise<void>
  registerInstance(service: string, instance: object): Promise<void>
  deregisterInstance(service: string, instance: object): Promise<void>
  getAllInstances(service: string, group: string, clusters: string, subscribe: boolean): Promise<Host[]>
  subscribe(service: string, listener: (hosts: Host[]) => void): void
}
interface ConfigClient {
  getConfig(dataId: string, group: string): Promise<string | null>
  publishSingle(dataId: string, group: string, content: string): Promise<boolean>
  subscribe(info: { dataId: string; group: string }, listener: (content: string) => void): void
}
interface Library {
  NacosNamingClient: new (options: object) => NamingClient
  NacosConfigClient: new (options: object) => ConfigClient
}

await driverLoop(async ({ server, username, password }, emit): Promise<DriverClient> => {
  const library = createRequire(import.meta.url)('nacos') as Library
  const quiet = { info() {}, debug() {}, warn: console.error, error: console.error }
  const credentials = username === '' ? {} : { username, password }
  const naming = new library.NacosNamingClient({
    logger: quiet,
    serverList: server,
    namespace: 'public',
    ...credentials,
  })
  await naming.ready()
  let config: ConfigClient | undefined
  const configClient = (): ConfigClient =>
    (config ??= new library.NacosConfigClient({ serverAddr: server, ...credentials }))
  return {
    register: (service, ip, port, metadata) => naming.registerInstance(service, { ip, port, metadata }),
    deregister: (service, ip, port) => naming.deregisterInstance(service, { ip, port }),
    list: async (service) => {
      const hosts = await naming.getAllInstances(service, 'DEFAULT_GROUP', '', false)
      return hostList(hosts)
    },
    subscribe: async (service) => {
      naming.subscribe(service, (hosts) => emit('service', service, hostList(hosts)))
    },
    get: async (dataId, group) => (await configClient().getConfig(dataId, group)) ?? '',
    publish: async (dataId, group, content) => await configClient().publishSingle(dataId, group, content),
    listen: async (dataId, group) => {
      configClient().subscribe({ dataId, group }, (content) => emit('config', dataId, content ?? ''))
    },
  }
})
