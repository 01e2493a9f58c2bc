import { createZooKeeperAdapter } from '../../registry-adapters/zookeeper/index.ts'
import type { LayoutName } from '../../registry-adapters/zookeeper/index.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import { startGate } from '../support/nacos/gate.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { needsZooKeeper, startZooKeeper } from '../support/zookeeper/server.ts'
import { outsideTree } from '../support/zookeeper/outside.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import type { OutsideInstance, RegistryUnderTest } from './registry-adapter.ts'

const abilities = { register: true, config: false, cutOff: true, spoil: true }

/** How an application of the framework would write itself, in words of the tests' own. */
interface Form {
  readonly layout: LayoutName
  directory(service: ServiceName): string
  node(service: ServiceName, instance: OutsideInstance): { name: string; data: string }
  read(name: string, data: string): { id: string; weight: number; metadata: Record<string, string> }
  /** An entry that makes no sense, in place of a good one where the layout has content. */
  readonly nonsense: 'child' | 'content'
}

const url = (scheme: string, service: ServiceName, { address, port, weight = 1, metadata = {} }: OutsideInstance) => {
  const query = new URLSearchParams({ ...metadata, weight: String(weight * 100) })
  return { name: encodeURIComponent(`${scheme}://${address}:${port}/${service.name}?${query.toString()}`), data: '' }
}
const readUrl = (name: string): { id: string; weight: number; metadata: Record<string, string> } => {
  const found = /^\w+:\/\/([^/]+)\/[^?]*\?(.*)$/.exec(decodeURIComponent(name))
  const metadata = Object.fromEntries(new URLSearchParams(found![2]!))
  // Dubbo's own `version` is a part of the interface's name
  metadata['version'] = metadata['hostmesh.version'] ?? metadata['version'] ?? ''
  return { id: found![1]!, weight: Number(metadata['weight']) / 100, metadata }
}
const curator = (service: ServiceName, { address, port, weight = 1, metadata = {} }: OutsideInstance) => ({
  name: `${address}:${port}`,
  data: JSON.stringify({
    name: service.name,
    id: `${address}:${port}`,
    address,
    port,
    sslPort: null,
    payload: { name: service.name, metadata: { ...metadata, weight: String(weight * 100) } },
    registrationTimeUTC: 1,
    serviceType: 'DYNAMIC',
  }),
})
const readCurator = (_name: string, data: string) => {
  const { address, port, payload } = JSON.parse(data)
  return { id: `${address}:${port}`, weight: Number(payload.metadata.weight) / 100, metadata: payload.metadata }
}

const forms: Form[] = [
  {
    layout: 'dubbo',
    directory: ({ name }) => `/dubbo/${name}/providers`,
    node: (service, instance) => url('dubbo', service, instance),
    read: readUrl,
    nonsense: 'child',
  },
  {
    layout: 'sofa',
    directory: ({ name }) => `/sofa-rpc/${name}/providers`,
    node: (service, instance) => url('bolt', service, instance),
    read: readUrl,
    nonsense: 'child',
  },
  {
    layout: 'dubbo-app',
    directory: ({ name }) => `/services/${name}`,
    node: curator,
    read: readCurator,
    nonsense: 'content',
  },
  {
    layout: 'curator',
    directory: ({ name }) => `/services/${name}`,
    node: curator,
    read: readCurator,
    nonsense: 'content',
  },
  {
    layout: 'plain',
    directory: ({ name }) => `/services/${name}`,
    node: (_service, { address, port, weight = 1, metadata = {} }) => ({
      name: `${address}:${port}`,
      data: JSON.stringify({ address, port, weight, metadata }),
    }),
    read: (name, data) => ({ id: name, ...JSON.parse(data) }),
    nonsense: 'content',
  },
]

for (const form of forms)
  describeRegistryAdapter(
    `ZooKeeper, layout ${form.layout}`,
    form.layout === 'plain' ? { ...abilities, signsOfLife: true } : abilities,
    async (context): Promise<RegistryUnderTest> => {
      await needsZooKeeper(context)
      const server = await startZooKeeper()
      const gate = await startGate(server.port)
      const tree = await outsideTree(server.port)
      const present = new Map<string, Map<string, string>>()
      return {
        namespace: 'public',
        createAdapter: () =>
          createZooKeeperAdapter(
            {
              name: 'zk',
              servers: [{ host: '127.0.0.1', port: gate.port }],
              layout: form.layout,
              namespace: 'public',
              group: 'DEFAULT_GROUP',
              sessionTimeoutMs: 6000,
              auth: () => undefined,
              tls: () => undefined,
              maxEndpoints: 10_000,
            },
            recordedDeps(),
          ),
        put: async (service, instances) => {
          const directory = form.directory(service)
          const before = present.get(service.name) ?? new Map<string, string>()
          const now = new Map(
            instances.map((instance) => {
              const { name, data } = form.node(service, instance)
              return [name, data] as const
            }),
          )
          present.set(service.name, now)
          // what is new first, so that the whole list is never short
          for (const [name, data] of now) if (before.get(name) !== data) await tree.put(`${directory}/${name}`, data)
          for (const name of before.keys()) if (!now.has(name)) await tree.remove(`${directory}/${name}`)
        },
        spoil: async (service) => {
          const directory = form.directory(service)
          const first = [...present.get(service.name)!.keys()][0]!
          if (form.nonsense === 'child') await tree.put(`${directory}/not%3A%2F%2Fa%20provider`, '')
          else await tree.put(`${directory}/${first}`, '{"address": "10.0.0.1", "po')
        },
        seen: async (service) => {
          const directory = form.directory(service)
          const seen: { id: string; weight: number; metadata: Record<string, string> }[] = []
          for (const name of await tree.children(directory)) {
            const data = await tree.data(`${directory}/${name}`)
            if (data !== undefined) seen.push(form.read(name, data))
          }
          return seen
        },
        cutOff: () => gate.shut(),
        comeBack: () => gate.open(),
        close: async () => {
          tree.close()
          await gate.close()
          await server.stop()
        },
      }
    },
  )
