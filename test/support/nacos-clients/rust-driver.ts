/**
 * Drives the Node binding of the Rust client by the protocol of protocol.md. `NACOS_RUST_BINDING` = folder that holds
 * its node_modules.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { DriverClient } from './driver-loop.ts'
import { driverLoop, hostList } from './driver-loop.ts'

interface Host {
  readonly ip: string
  readonly port: number
  readonly healthy?: boolean
}
interface NamingClient {
  registerInstance(service: string, group: string, instance: object): Promise<void>
  deregisterInstance(service: string, group: string, instance: object): Promise<void>
  getAllInstances(service: string, group: string, clusters: string[], subscribe: boolean): Promise<Host[]>
  subscribe(
    service: string,
    group: string,
    clusters: string[],
    listener: (error: Error | null, hosts: Host[]) => void,
  ): Promise<void>
}
interface ConfigClient {
  getConfig(dataId: string, group: string): Promise<string>
  publishConfig(dataId: string, group: string, content: string): Promise<boolean>
  addListener(
    dataId: string,
    group: string,
    listener: (error: Error | null, config: { content: string }) => void,
  ): Promise<void>
}
interface Library {
  NacosNamingClient: new (options: object) => NamingClient
  NacosConfigClient: new (options: object) => ConfigClient
}

const group = 'DEFAULT_GROUP'

await driverLoop(async ({ server, username, password }, emit): Promise<DriverClient> => {
  const folder = process.env['NACOS_RUST_BINDING'] ?? ''
  const library = createRequire(join(folder, 'package.json'))('nacos-sdk-rust-binding-node') as Library
  const options = {
    serverAddr: server,
    namespace: '',
    // An empty list must be told, or "the last instance is gone" is never heard.
    namingPushEmptyProtection: false,
    ...(username === '' ? {} : { username, password }),
  }
  const naming = new library.NacosNamingClient(options)
  let config: ConfigClient | undefined
  const configClient = (): ConfigClient => (config ??= new library.NacosConfigClient(options))
  return {
    register: (service, ip, port, metadata) => naming.registerInstance(service, group, { ip, port, metadata }),
    deregister: (service, ip, port) => naming.deregisterInstance(service, group, { ip, port }),
    list: async (service) => hostList(await naming.getAllInstances(service, group, [], false)),
    subscribe: (service) =>
      naming.subscribe(service, group, [], (_error, hosts) => emit('service', service, hostList(hosts))),
    get: async (dataId, configGroup) => {
      try {
        return await configClient().getConfig(dataId, configGroup)
      } catch (error) {
        if (String(error).includes('not exist')) return ''
        throw error
      }
    },
    publish: (dataId, configGroup, content) => configClient().publishConfig(dataId, configGroup, content),
    listen: (dataId, configGroup) =>
      configClient().addListener(dataId, configGroup, (_error, found) => emit('config', dataId, found.content)),
  }
})
