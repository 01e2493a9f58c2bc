import { createZooKeeperAdapter } from '../../registry-adapters/zookeeper/index.ts'
import { startGate } from '../support/nacos/gate.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { needsZooKeeper, startZooKeeper } from '../support/zookeeper/server.ts'
import { outsideTree } from '../support/zookeeper/outside.ts'
import { describeRegistryFaults } from './registry-faults.ts'

/** One name; the server takes requests up to 1 MiB. */
const nameBytes = 900 * 1024

describeRegistryFaults('ZooKeeper', { register: true, deny: true, huge: true }, async (context) => {
  await needsZooKeeper(context)
  const server = await startZooKeeper({ heapMb: 768 })
  const gate = await startGate(server.port)
  const tree = await outsideTree(server.port)
  const directories = new Set<string>()
  const present = new Map<string, Set<string>>()
  const directoryOf = (name: string): string => `/services/${name}`
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () =>
      createZooKeeperAdapter(
        {
          name: 'zk',
          servers: [{ host: '127.0.0.1', port: gate.port }],
          layout: 'plain',
          namespace: 'public',
          group: 'DEFAULT_GROUP',
          sessionTimeoutMs: 3000,
          auth: () => 'agent:password',
          tls: () => undefined,
          maxEndpoints: 10_000,
        },
        recordedDeps(),
      ),
    put: async (service, instances) => {
      const directory = directoryOf(service.name)
      directories.add(directory)
      const before = present.get(service.name) ?? new Set<string>()
      const now = new Set(instances.map(({ address, port }) => `${address}:${port}`))
      present.set(service.name, now)
      for (const { address, port } of instances)
        if (!before.has(`${address}:${port}`))
          await tree.put(`${directory}/${address}:${port}`, JSON.stringify({ address, port }))
      for (const id of before) if (!now.has(id)) await tree.remove(`${directory}/${id}`)
    },
    kill: () => server.kill(),
    restart: () => server.start(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    deny: async () => {
      for (const directory of directories) await tree.own(directory, true)
      // nobody is told of a changed access list: the next connection finds out
      gate.cut()
    },
    allow: async () => {
      for (const directory of directories) await tree.own(directory, false)
    },
    huge: async (service, bytes) => {
      for (let index = 0; index * nameBytes < bytes; index++)
        await tree.put(`${directoryOf(service.name)}/${index}${'x'.repeat(nameBytes)}`, '')
    },
    seen: (service) => tree.children(directoryOf(service.name)),
    close: async () => {
      tree.close()
      await gate.close()
      await server.stop()
    },
  }
})
