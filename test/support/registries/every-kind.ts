/**
 * One registry of each kind, running, for tests and measurements of all of them alike: a real server where
 * one can be had, else the stand-in of the tests, each filled and changed by other means than the adapter's.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startConsulStandIn } from '../consul/stand-in.ts'
import { a, srv, startNameServer } from '../dns/server.ts'
import { startEtcd } from '../etcd/server.ts'
import { startKubernetesStandIn } from '../kubernetes/stand-in.ts'
import { outsideTree } from '../zookeeper/outside.ts'
import { startZooKeeper } from '../zookeeper/server.ts'
import { runFiles } from './files.ts'
import { runNacos } from './nacos.ts'
import type { Instance, RunningRegistry } from './running-registry.ts'
import { runXds } from './xds.ts'

export interface RegistriesOptions {
  /** Files that they need lie there. */
  readonly folder: string
  /** Of all instances in DNS that are addresses alone. */
  readonly port: number
  /** Of records in DNS, seconds. */
  readonly ttl: number
}

const kinds = {
  nacos: runNacos,
  zookeeper,
  etcd,
  consul,
  kubernetes,
  dns: (options) => dns('dns', 'SRV records with their addresses beside, as Consul and Kubernetes send them', options),
  'dns-targets': (options) => dns('dns-targets', 'SRV records whose targets are asked for one by one', options),
  'dns-addresses': (options) => dns('dns-addresses', 'addresses alone', options),
  xds: runXds,
  files: runFiles,
} satisfies Readonly<Record<string, (options: RegistriesOptions) => Promise<RunningRegistry>>>

export type RegistryKind = keyof typeof kinds

export const registryKinds = Object.keys(kinds) as readonly RegistryKind[]

/** One of that kind, running. */
export function openRegistry(kind: RegistryKind, options: RegistriesOptions): Promise<RunningRegistry> {
  return kinds[kind](options)
}

/** All of them, running. */
export function openRegistries(options: RegistriesOptions): Promise<RunningRegistry[]> {
  return Promise.all(registryKinds.map((kind) => openRegistry(kind, options)))
}

function reached(
  port: number,
  at: (servers: readonly string[]) => object,
): Pick<RunningRegistry, 'port' | 'section' | 'sectionBy'> {
  const sectionBy = (by: number): object => at([`127.0.0.1:${by}`])
  return { port, section: sectionBy(port), sectionBy }
}

async function zookeeper(): Promise<RunningRegistry> {
  const server = await startZooKeeper({ heapMb: 512 })
  let tree = await outsideTree(server.port)
  return {
    name: 'zookeeper',
    what: 'ZooKeeper 3.9.4, layout plain',
    ...reached(server.port, (servers) => ({ name: 'zookeeper', type: 'zookeeper', servers, layout: 'plain' })),
    isPushing: true,
    put: (service, instance) =>
      tree.put(`/services/${service}/${instance.address}:${instance.port}`, JSON.stringify(instance)),
    kill: async () => {
      tree.close()
      await server.kill()
    },
    restart: async () => {
      await server.start()
      tree = await outsideTree(server.port)
    },
    stop: async () => {
      tree.close()
      await server.stop()
    },
  }
}

async function etcd(): Promise<RunningRegistry> {
  const server = await startEtcd()
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  return {
    name: 'etcd',
    what: 'etcd 3.4 by its JSON gateway',
    ...reached(server.port, (servers) => ({ name: 'etcd', type: 'etcd', servers })),
    isPushing: true,
    put: async (service, instance) => {
      const key = base64(`/services/${service}/${instance.address}:${instance.port}`)
      await server.call('kv/put', { key, value: base64(JSON.stringify(instance)) })
    },
    kill: () => server.kill(),
    restart: () => server.start(),
    stop: () => server.stop(),
  }
}

async function consul(): Promise<RunningRegistry> {
  const server = await startConsulStandIn()
  return {
    name: 'consul',
    what: 'a stand-in for Consul',
    ...reached(server.port, (servers) => ({ name: 'consul', type: 'consul', servers })),
    isPushing: true,
    put: async (name, { address, port, weight }) =>
      server.put({ id: `${name}-${address}-${port}`, name, address, port, passing: weight, meta: {} }),
    kill: () => server.stop(),
    restart: () => server.listen(),
    stop: () => server.stop(),
  }
}

async function kubernetes({ folder }: RegistriesOptions): Promise<RunningRegistry> {
  const server = await startKubernetesStandIn()
  const sectionAt = ([address = '']: readonly string[]): object => {
    const kubeconfig = join(folder, `kubeconfig-${address.replace(':', '-')}`)
    const content = {
      'current-context': 'bench',
      contexts: [{ name: 'bench', context: { cluster: 'bench' } }],
      clusters: [{ name: 'bench', cluster: { server: `http://${address}` } }],
    }
    writeFileSync(kubeconfig, stringify(content), { mode: 0o600 })
    return { name: 'kubernetes', type: 'kubernetes', kubeconfig, namespaces: ['DEFAULT_GROUP'] }
  }
  return {
    name: 'kubernetes',
    what: 'a stand-in for the API server',
    ...reached(server.port, sectionAt),
    isPushing: true,
    put: async (service, { address, port, weight }) =>
      server.put('endpointslices', 'DEFAULT_GROUP', {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `${service}-${address}-${port}`,
          labels: { 'kubernetes.io/service-name': service },
          annotations: { 'hostmesh.io/metadata': JSON.stringify({ 'hostmesh.weight': String(weight) }) },
        },
        addressType: 'IPv4',
        ports: [{ name: 'http', port, protocol: 'TCP' }],
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
      }),
    kill: () => server.stop(),
    restart: () => server.listen(),
    stop: () => server.stop(),
  }
}

async function dns(
  name: 'dns' | 'dns-targets' | 'dns-addresses',
  what: string,
  { port, ttl }: RegistriesOptions,
): Promise<RunningRegistry> {
  const server = await startNameServer()
  const known = new Map<string, Map<string, Instance>>()
  const query = `{service}.${name}.test`
  const record = name === 'dns-addresses' ? { record: 'address', port } : { record: 'srv' }
  const nameOf = (service: string): string => query.replace('{service}', service)
  const host = (address: string): string => nameOf(`h-${address.replaceAll('.', '-')}`)
  return {
    name,
    what: `a name server of our own, TTL ${ttl} s, ${what}`,
    ...reached(server.port, (servers) => ({ name, type: 'dns', servers, query, ...record, minRefresh: '1s' })),
    isPushing: false,
    put: async (service, instance) => {
      const all = known.get(service) ?? new Map<string, Instance>()
      known.set(service, all.set(`${instance.address}:${instance.port}`, instance))
      const instances = [...all.values()]
      const addresses = instances.map(({ address }) => a(host(address), address, ttl))
      if (name === 'dns-addresses') {
        server.set(nameOf(service), { records: instances.map(({ address }) => a(nameOf(service), address, ttl)) })
        return
      }
      server.set(host(instance.address), { records: [a(host(instance.address), instance.address, ttl)] })
      server.set(nameOf(service), {
        records: instances.map((one) => srv(nameOf(service), host(one.address), one.port, { weight: one.weight, ttl })),
        ...(name === 'dns' ? { beside: addresses } : {}),
      })
    },
    kill: () => server.stop(),
    restart: () => server.listen(),
    stop: () => server.stop(),
  }
}
