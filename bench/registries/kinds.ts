/**
 * The kinds of registry that are measured: a real server where one can be had, else the stand-in of the tests, each
 * filled and changed by other means than the adapter's.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startConsulStandIn } from '../../test/support/consul/stand-in.ts'
import { a, srv, startNameServer } from '../../test/support/dns/server.ts'
import { startEtcd } from '../../test/support/etcd/server.ts'
import { startKubernetesStandIn } from '../../test/support/kubernetes/stand-in.ts'
import { outsideTree } from '../../test/support/zookeeper/outside.ts'
import { startZooKeeper } from '../../test/support/zookeeper/server.ts'

export interface Instance {
  readonly address: string
  readonly port: number
  readonly weight: number
}

export interface MeasuredRegistry {
  readonly name: string
  /** What stands behind it. */
  readonly what: string
  readonly port: number
  /** Section of `agent.yaml`. */
  readonly section: object
  /** The same by way of another port of this machine. */
  sectionBy(port: number): object
  /** Whether a change is told, not found out at the end of a time. */
  readonly isPushing: boolean
  /** Writes one instance, and resolves when the registry has taken it. */
  put(service: string, instance: Instance): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** All of them, running. Files that they need lie in `folder`. */
export async function openRegistries(folder: string): Promise<MeasuredRegistry[]> {
  return Promise.all([zookeeper(), etcd(), consul(), kubernetes(folder), dns()])
}

function reached(
  port: number,
  at: (servers: readonly string[]) => object,
): Pick<MeasuredRegistry, 'port' | 'section' | 'sectionBy'> {
  const sectionBy = (by: number): object => at([`127.0.0.1:${by}`])
  return { port, section: sectionBy(port), sectionBy }
}

async function zookeeper(): Promise<MeasuredRegistry> {
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

async function etcd(): Promise<MeasuredRegistry> {
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

async function consul(): Promise<MeasuredRegistry> {
  const server = await startConsulStandIn()
  return {
    name: 'consul',
    what: 'a stand-in for Consul in this process',
    ...reached(server.port, (servers) => ({ name: 'consul', type: 'consul', servers })),
    isPushing: true,
    put: async (name, { address, port, weight }) =>
      server.put({ id: `${name}-${address}-${port}`, name, address, port, passing: weight, meta: {} }),
    kill: () => server.stop(),
    restart: () => server.listen(),
    stop: () => server.stop(),
  }
}

async function kubernetes(folder: string): Promise<MeasuredRegistry> {
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
    what: 'a stand-in for the API server in this process',
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

async function dns(): Promise<MeasuredRegistry> {
  const server = await startNameServer()
  const known = new Map<string, Map<string, Instance>>()
  return {
    name: 'dns',
    what: 'a name server in this process, TTL 30 s, addresses beside SRV records as those of Consul and Kubernetes send them',
    ...reached(server.port, (servers) => ({ name: 'dns', type: 'dns', servers, query: '{service}.bench' })),
    isPushing: false,
    put: async (service, instance) => {
      const all = known.get(service) ?? new Map<string, Instance>()
      known.set(service, all.set(`${instance.address}:${instance.port}`, instance))
      const host = (address: string): string => `h-${address.replaceAll('.', '-')}.bench`
      server.set(host(instance.address), { records: [a(host(instance.address), instance.address, 30)] })
      server.set(`${service}.bench`, {
        records: [...all.values()].map(({ address, port, weight }) =>
          srv(`${service}.bench`, host(address), port, { weight, ttl: 30 }),
        ),
        beside: [...all.values()].map(({ address }) => a(host(address), address, 30)),
      })
    },
    kill: () => server.stop(),
    restart: () => server.listen(),
    stop: () => server.stop(),
  }
}
