/**
 * A center's discovery alone, over a registry in memory: `server.ts PORT SERVICES INSTANCES`. Says `ready`; then each
 * line on standard input is done: `change NAME AT`, `figures`.
 */
import { createInterface } from 'node:readline'
import { systemClock } from '../../contracts/clock.ts'
import { endpointAt, serviceKey, type Endpoint, type ServiceName } from '../../contracts/endpoint.ts'
import type { EndpointListener, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { UnhealthyInstances } from '../../global-mesh-center/hosts/unhealthy-instances.ts'
import { EndpointSource } from '../../global-mesh-center/xds/endpoint-source.ts'
import { FollowedServices, type FollowedServicesDeps } from '../../global-mesh-center/xds/followed-services.ts'
import { Resources } from '../../global-mesh-center/xds/resources.ts'
import { XdsServer } from '../../global-mesh-center/xds/xds-server.ts'
import { typeUrls } from '../../registry-adapters/center/wire/delta.ts'

const [port = '0', services = '10000', instances = '10'] = process.argv.slice(2)
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const counts = new Map<string, number>()
const metrics = {
  count: (name: string, _labels: object, amount = 1) => void counts.set(name, (counts.get(name) ?? 0) + amount),
  gauge: (name: string, _labels: object, value: number) => void counts.set(name, value),
}

const lists = new Map<string, { listener: EndpointListener | undefined; version: number; endpoints: Endpoint[] }>()
for (let index = 0; index < Number(services); index++) {
  const endpoints = Array.from({ length: Number(instances) }, (_, at) =>
    endpointAt(`10.${index >> 8}.${index & 255}.${at}`, 8080, {
      locality: { region: 'bj', zone: 'bj-1' },
      version: 'v1',
      metadata: { team: 'shop', 'hostmesh.inbound': 'true' },
    }),
  )
  lists.set(serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name: `service-${index}` }), {
    listener: undefined,
    version: 1,
    endpoints,
  })
}
const tell = (key: string): void => {
  const list = lists.get(key)
  list?.listener?.onEndpoints(
    {
      service: key as never,
      version: list.version++,
      endpoints: list.endpoints,
      protectThreshold: 0,
      registry: 'memory',
      confirmedAt: Date.now(),
    },
    true,
  )
}
const adapter = {
  name: 'memory',
  type: 'memory',
  subscribe: (service: ServiceName, listener: EndpointListener) => {
    const key = serviceKey(service)
    const list = lists.get(key)
    if (list !== undefined) list.listener = listener
    setImmediate(() => tell(key))
    return { unsubscribe: () => void (list !== undefined && (list.listener = undefined)) }
  },
} as unknown as RegistryAdapter
const parts = {
  clock: systemClock,
  random: Math.random,
  log: silent,
  metrics,
  config: {
    endpoints: {
      allowLoopbackEndpoints: true,
      maxPerService: 10_000,
      staleAfter: 90_000,
      protectShare: 0,
      confirmAfter: 0,
    },
  },
  control: {
    deps: { adapters: [adapter] },
    host: { listeners: { isOwn: () => false } },
    timeline: { add() {}, turn() {} },
  },
  unhealthy: new UnhealthyInstances(),
} as unknown as FollowedServicesDeps
const rules = new Resources(typeUrls.rules, {
  follow: (_name, onValue) => {
    setImmediate(() => onValue(Buffer.alloc(0)))
    return () => undefined
  },
})
const server = new XdsServer(
  {
    address: `127.0.0.1:${port}`,
    tls: undefined,
    tokens: undefined,
    isOpen: true,
    takesCertificates: false,
    issuer: undefined,
    endpoints: new EndpointSource(new FollowedServices(parts)),
    rulesOf: () => rules,
  },
  { clock: systemClock, random: Math.random, log: silent, metrics },
)
console.log(`ready ${await server.listen()}`)
const orders = createInterface({ input: process.stdin })
// whoever measured is gone
orders.on('close', () => process.exit(0))
orders.on('line', (line) => {
  const [word, service, at] = line.split(' ')
  if (word === 'figures') return console.log(JSON.stringify(Object.fromEntries(counts)))
  const key = serviceKey({ namespace: 'public', group: 'DEFAULT_GROUP', name: service! })
  const list = lists.get(key)!
  const first = list.endpoints[0]!
  list.endpoints = [{ ...first, metadata: { ...first.metadata, at: at! } }, ...list.endpoints.slice(1)]
  tell(key)
})
