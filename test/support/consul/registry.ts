/** The stand-in as the two suites for adapters want it. */
import { createConsulAdapter } from '../../../registry-adapters/consul/index.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import type { OutsideInstance } from '../../compliance/registry-adapter.ts'
import { recordedDeps } from '../registry-listener.ts'
import type { ConsulStandIn } from './stand-in.ts'

export const agentToken = 'agent-token'

export function consulAdapter(port: number, token: () => string | undefined = () => agentToken): RegistryAdapter {
  return createConsulAdapter(
    {
      name: 'consul',
      servers: [{ host: '127.0.0.1', port }],
      namespace: 'public',
      group: 'DEFAULT_GROUP',
      datacenter: undefined,
      consulNamespace: undefined,
      token,
      tls: () => undefined,
      protectThreshold: 0,
      maxEndpoints: 10_000,
      waitMs: 60_000,
      pulseMs: 500,
    },
    recordedDeps(),
  )
}

/** Makes this the whole list of the service. */
export function putInstances(consul: ConsulStandIn, service: ServiceName, instances: readonly OutsideInstance[]): void {
  const id = ({ address, port }: OutsideInstance): string => `${service.name}-${address}-${port}`
  const before = new Map(consul.services(service.name).map((one) => [one.id, one]))
  for (const instance of instances) {
    const { address, port, weight = 1, metadata = {} } = instance
    const known = before.get(id(instance))
    if (known !== undefined && (known.passing ?? 1) === weight) continue
    consul.put({ id: id(instance), name: service.name, address, port, passing: weight, meta: metadata })
  }
  const wanted = new Set(instances.map(id))
  for (const own of before.keys()) if (!wanted.has(own)) consul.remove(own)
}
