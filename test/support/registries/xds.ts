/** A stand-in for a control plane for Envoys; like others, it says all endpoints again when one changes. */
import { message } from '../../../contracts/envoy-api/protobuf.ts'
import { StubPlane, clusterBytes } from '../xds/stub-plane.ts'
import type { Instance, RunningRegistry } from './running-registry.ts'

interface Known {
  readonly instances: Map<string, Instance>
  readonly cluster: Buffer
  assignment: Buffer
}

export async function runXds(): Promise<RunningRegistry> {
  const known = new Map<string, Known>()
  let asked: readonly string[] = []
  let version = 0
  const clusters = (): Buffer[] => [...known.values()].map(({ cluster }) => cluster)
  const assignments = (): Buffer[] => asked.flatMap((name) => known.get(name)?.assignment ?? [])
  const start = (port: number): Promise<StubPlane> =>
    StubPlane.start(({ names, nonce, type }, say) => {
      const isNews = type === 'ClusterLoadAssignment' && names.join() !== asked.join()
      if (type === 'ClusterLoadAssignment') asked = names
      if (nonce !== '' && !isNews) return
      if (type === 'Cluster') say(type, clusters(), String(version))
      else say(type, type === 'ClusterLoadAssignment' ? assignments() : [], String(version))
    }, port)
  let plane = await start(0)
  const { port } = plane
  const sectionBy = (by: number): object => ({ name: 'xds', type: 'xds', servers: [`127.0.0.1:${by}`] })
  return {
    name: 'xds',
    what: 'a stand-in for a control plane for Envoys, all endpoints in each answer',
    port,
    section: sectionBy(port),
    sectionBy,
    isPushing: true,
    put: async (service, instance) => {
      const before = known.get(service)
      const instances = before?.instances ?? new Map<string, Instance>()
      instances.set(`${instance.address}:${instance.port}`, instance)
      const assignment = assignmentOf(service, instances.values())
      known.set(service, { instances, cluster: before?.cluster ?? clusterBytes(service), assignment })
      version++
      if (before === undefined) plane.say('Cluster', clusters(), String(version))
      else plane.say('ClusterLoadAssignment', assignments(), String(version))
    },
    kill: async () => plane.close(),
    restart: async () => {
      asked = []
      plane = await start(port)
    },
    stop: async () => plane.close(),
  }
}

function assignmentOf(service: string, instances: Iterable<Instance>): Buffer {
  const endpoints = Array.from(instances, ({ address, port, weight }) => {
    const at = message([1, message([2, address], [3, port])])
    return message([1, message([1, at])], [4, message([1, weight])])
  })
  return message([1, service], [2, message([2, endpoints])])
}
