/** A center as an operator has it, with an agent whose application is called, and many hosts and services beside. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { durationBounds } from '../../../agent/worker/observe/histogram-bounds.ts'
import { startHttpCaller } from '../../../cli/traffic/callers.ts'
import { hostsPath, type HostReport } from '../../../contracts/host-report.ts'
import { hostReport } from '../center/host-report.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { Mesh, relayOf, sharedPort, until, type DemoHost } from '../mesh/mesh.ts'

export const tokens = { admin: 'a'.repeat(40), reader: 'r'.repeat(40), shop: 's'.repeat(40), agent: 'h'.repeat(40) }
export const rulesPath = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices'

export interface Fleet {
  readonly center: DemoHost
  readonly agent: DemoHost
  /** `http://address:port` */
  readonly origin: string
  readonly tokensFile: string
  writeTokens(logins: readonly object[]): void
  call(method: string, path: string, body?: object): Promise<number>
  close(): Promise<void>
}

export const logins = [
  { user: 'alice', token: tokens.admin, role: 'admin' },
  { user: 'bob', token: tokens.reader, role: 'read' },
  { user: 'shop-ci', token: tokens.shop, role: 'write', namespaces: ['shop'] },
  { user: 'agent', token: tokens.agent, role: 'host' },
]

/** `services`: so many more in the registry. */
export async function openFleet(services: number): Promise<Fleet> {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-console-'))
  mkdirSync(join(home, 'registry'))
  const registry = await startEmbeddedRegistry()
  const mesh = await Mesh.open([
    { name: 'main', type: 'nacos', servers: [registry.address] },
    { name: 'files', type: 'file', directory: join(home, 'registry') },
  ])
  const tokensFile = join(home, 'tokens')
  const writeTokens = (all: readonly object[]): void => writeFileSync(tokensFile, stringify(all), { mode: 0o600 })
  writeTokens(logins)
  const tokenFile = join(home, 'token')
  writeFileSync(tokenFile, `${tokens.agent}\n`, { mode: 0o600 })
  const endpoints = [{ address: mesh.address(), port: 8080 }]
  for (let index = 0; index < services; index++) {
    const service = `service-${String(index).padStart(4, '0')}`
    const text = stringify({ service, endpoints })
    writeFileSync(join(home, 'registry', `${service}.yaml`), text)
  }
  const at = mesh.address()
  const center = await mesh.startedHost('center', {
    role: 'center',
    extra: {
      host: { name: 'center', address: at },
      rulesApi: { address: `${at}:15016`, tokensFile },
      xds: { address: `${at}:15010`, tokensFile },
      relay: { address: `${at}:15443`, allowedNetworks: ['127.0.0.0/8'] },
      admin: { address: `${at}:15000` },
    },
  })
  const orders = await mesh.httpApplication('orders', 'v1')
  const agent = await mesh.startedHost('agent', {
    applications: [orders],
    outbound: [{ service: 'orders', protocol: 'http' }],
    centers: [relayOf(center)],
    extra: {
      registries: [
        { name: 'center', type: 'center', servers: [`${at}:15010`], tokenFile },
        { name: 'main', type: 'nacos', servers: [registry.address] },
      ],
      center: { addresses: [relayOf(center)], reports: { servers: [`${at}:15016`], tokenFile, interval: '1s' } },
    },
  })
  const call = (method: string, path: string, body?: object): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${tokens.admin}`, 'content-type': 'application/json' }
      const outgoing = request({ host: at, port: 15_016, method, path, headers }, (incoming) => {
        incoming.resume()
        incoming.once('end', () => resolve(incoming.statusCode ?? 0))
      })
      outgoing.once('error', reject)
      outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    })
  const caller = startHttpCaller(
    {
      from: 'web',
      to: 'orders',
      address: agent.options.address,
      port: sharedPort,
      rate: 20,
      now: () => performance.now(),
    },
    'orders',
  )
  await until(20_000, 'answers of orders', () => {
    const { calls, errors } = caller.tally.since(0)
    return Promise.resolve(calls - errors > 20)
  })
  return {
    center,
    agent,
    origin: `http://${at}:15016`,
    tokensFile,
    writeTokens,
    call,
    async close() {
      caller.stop()
      await mesh.close()
      await registry.close()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

const bounds = [...durationBounds.bounds]

/** Hosts that call each other in layers, as a shop of that many services does; `round` makes counters grow. */
export function simulatedHosts(services: number, round: number): HostReport[] {
  const name = (index: number): string => `shop-${String(index).padStart(3, '0')}`
  const traffic = Array.from({ length: services - 1 }, (_none, at) => {
    const index = at + 1
    // a tree with some branches between its layers
    const callers = [Math.floor(index / 4), ...(index % 3 === 0 ? [Math.floor(index / 5)] : [])]
    return [...new Set(callers)].map((caller) => {
      const requests = round * (10 + ((index * 37) % 400))
      const failures = index % 23 === 0 ? Math.floor(requests / 8) : index % 17 === 0 ? Math.floor(requests / 100) : 0
      const middle = index % (bounds.length - 2)
      const counts = [...bounds, Infinity].map((_bound, bucket) =>
        bucket === middle
          ? requests - Math.floor(requests / 50)
          : bucket === middle + 2
            ? Math.floor(requests / 50)
            : 0,
      )
      const service = `public/${name(index)}`
      return { reporter: 'source' as const, source: name(caller), service, requests, failures, counts }
    })
  }).flat()
  const perHost = 40
  return Array.from({ length: Math.ceil(traffic.length / perHost) }, (_none, at) =>
    hostReport(`node-${String(at).padStart(2, '0')}`, `10.20.0.${at + 1}`, {
      zone: `zone-${(at % 3) + 1}`,
      labels: { ring: at === 0 ? 'canary' : 'all' },
      registries: [{ name: 'center', type: 'center', isConnected: true, problem: '' }],
      version: '0.1.0',
      startedAt: Date.now() - 86_400_000,
      bucketsMs: bounds,
      traffic: traffic.slice(at * perHost, (at + 1) * perHost),
      problems: at === 3 ? ['registry main: not heard for 95 s'] : [],
      lastRestart: {
        kind: 'upgrade',
        outcome: at === 4 ? 'rolled-back' : 'done',
        generation: 3,
        cause: at === 4 ? 'E_PROBE no answer' : '',
        at: Date.now() - at * 3_600_000,
        servingMs: 640,
      },
    }),
  )
}

export async function reportAll(fleet: Fleet, reports: readonly HostReport[]): Promise<void> {
  const answers = await Promise.all(reports.map((report) => fleet.call('PUT', `${hostsPath}/${report.host}`, report)))
  const refused = answers.find((status) => status !== 200)
  if (refused !== undefined) throw new Error(`a report was answered ${refused}`)
}
