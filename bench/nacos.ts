/**
 * The numbers of the Nacos adapter: `npm run bench:nacos [push] [cold] [fleet] [restarts]`, all four without a name. `--nacos HOST:PORT` measures against a server
 * that is running (push and cold only); otherwise a real 2.3.1 is fetched and started.
 *
 * push: a change at the server until our listener has it. Whole = from the HTTP answer of the change; the server merges changes for 500 ms. Our own share = from the
 *   moment the push's bytes reach our process until the listener is called; measured at the socket.
 * cold: 1,000 services with 20 instances each, until the last list is there, and what the process costs afterwards.
 * fleet: 500 agents at one server, which is killed and restarted: how their return is spread, and when the last one is complete.
 * restarts: an agent that registers is replaced 20 times under a watching client.
 */
import { spawn } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { createNacosAdapter, defaultNacosTimes } from '../registry-adapters/nacos/index.ts'
import type { NacosAdapter, NacosTimes } from '../registry-adapters/nacos/index.ts'
import type { AdapterDeps, EndpointListener } from '../contracts/registry-adapter.ts'
import type { ServiceName } from '../contracts/endpoint.ts'
import { nacosDriver } from '../test/support/nacos/driver.ts'
import { startFaultServer } from '../test/support/nacos/fault-server.ts'
import { missingForNacos } from '../test/support/nacos/artifacts.ts'
import { startNacos } from '../test/support/nacos/server.ts'
import type { NacosServer } from '../test/support/nacos/server.ts'
import { eventually } from '../test/support/registry-listener.ts'

const quiet: AdapterDeps = {
  now: Date.now,
  random: Math.random,
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  metrics: { count: () => undefined, gauge: () => undefined },
}
const childAt = process.argv.indexOf('--cold-child')
const namespace = childAt < 0 ? `bench-${process.pid}` : process.argv[childAt + 2]!
const service = (index: number): ServiceName => ({ namespace, group: 'DEFAULT_GROUP', name: `service-${index}` })

function open(address: string, times: Partial<NacosTimes> = {}, grpcPortOffset = 1000): NacosAdapter {
  const adapter = createNacosAdapter(
    {
      name: 'bench',
      servers: [address],
      namespace,
      grpcPortOffset,
      credentials: { kind: 'none' },
      endpoints: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false },
      times: { ...defaultNacosTimes, ...times },
    },
    quiet,
  )
  adapter.start()
  return adapter
}

function listener(onEndpoints: EndpointListener['onEndpoints']): EndpointListener {
  return { onEndpoints, onStale: () => undefined }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

function report(name: string, value: string, target: string): void {
  console.log(`${name.padEnd(58)} ${value.padStart(14)}   target ${target}`)
}

async function push(server: { readonly address: string; readonly url: string }): Promise<void> {
  const driver = nacosDriver(server.url, namespace)
  const adapter = open(server.address)
  let onNews = (_weight: number): void => undefined
  adapter.subscribe(
    service(0),
    listener((set) => onNews(set.endpoints[0]?.weight ?? 0)),
  )
  const whole: number[] = []
  await driver.put(service(0), { address: '10.0.0.1', port: 80, weight: 1 })
  for (let round = 0; round < 40; round++) {
    const weight = round + 2
    const arrived = new Promise<number>((resolve) => {
      onNews = (now) => (now === weight ? resolve(performance.now()) : undefined)
    })
    await driver.put(service(0), { address: '10.0.0.1', port: 80, weight })
    const from = performance.now()
    whole.push((await arrived) - from)
  }
  await adapter.close()
  report('change at a real server until the listener has it, p99', `${percentile(whole, 0.99).toFixed(0)} ms`, '600 ms')

  // our share: a stand-in on this very process writes the push; both ends share one clock and one event loop
  const standIn = await startFaultServer()
  const own: number[] = []
  const near = open(standIn.address, {}, standIn.grpcPortOffset)
  const hosts = (count: number) =>
    Array.from({ length: 20 }, (_, index) => ({ ip: `10.0.0.${index + 1}`, weight: count }))
  let onNear = (_weight: number): void => undefined
  near.subscribe(
    service(1),
    listener((set) => onNear(set.endpoints[0]?.weight ?? 0)),
  )
  standIn.setHosts(service(1), hosts(1))
  await delay(500)
  for (let round = 0; round < 1000; round++) {
    const weight = round + 2
    const arrived = new Promise<number>((resolve) => {
      onNear = (now) => (now === weight ? resolve(performance.now()) : undefined)
    })
    const from = performance.now()
    standIn.setHosts(service(1), hosts(weight))
    own.push((await arrived) - from)
    if (round % 50 === 0) await delay(5)
  }
  await near.close()
  await standIn.stop()
  report('our own share of it (push written until listener), p99', `${percentile(own, 0.99).toFixed(2)} ms`, '5 ms')
}

const services = 1000
const instances = 20

async function cold(server: { readonly address: string; readonly url: string }): Promise<void> {
  const driver = nacosDriver(server.url, namespace)
  const work = Array.from({ length: services * instances }, (_, index) => index)
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      for (let index = work.pop(); index !== undefined; index = work.pop())
        await driver.put(service(1000 + Math.floor(index / instances)), {
          address: `10.1.${index % instances}.1`,
          port: 1000 + Math.floor(index / instances),
        })
    }),
  )
  await delay(3000)
  // a process of its own: what filled the server must not count
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--cold-child', server.address, namespace], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  await new Promise((resolve) => child.once('exit', resolve))
}

async function coldChild(address: string): Promise<void> {
  const before = process.memoryUsage().rss
  const from = performance.now()
  const adapter = open(address)
  let complete = 0
  for (let index = 0; index < services; index++) {
    let isComplete = false
    adapter.subscribe(
      service(1000 + index),
      listener((set) => {
        if (set.endpoints.length !== instances || isComplete) return
        isComplete = true
        complete++
      }),
    )
  }
  await eventually(
    () => complete === services,
    () => `${complete} of ${services} services`,
    120_000,
  )
  report(
    `${services} services x ${instances} instances, cold load`,
    `${(performance.now() - from).toFixed(0)} ms`,
    '3000 ms',
  )
  // the collector's background work after the load is not idleness
  await delay(20_000)
  const cpu = process.cpuUsage()
  const idleFrom = performance.now()
  await delay(20_000)
  const used = process.cpuUsage(cpu)
  const share = (used.user + used.system) / 1000 / (performance.now() - idleFrom)
  report(
    'adapter alone with them: RSS',
    `${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`,
    '150 MB for the whole of control',
  )
  report('  of which grown since the start', `${((process.memoryUsage().rss - before) / 1e6).toFixed(0)} MB`, '-')
  report('idle CPU with them', `${(share * 100).toFixed(2)} %`, '1 % of a core')
  await adapter.close()
}

async function fleet(server: NacosServer): Promise<void> {
  const agents = 500
  const back: number[] = []
  let isCounting = false
  let restartedAt = 0
  const adapters = Array.from({ length: agents }, (_, index) => {
    const adapter = createNacosAdapter(
      {
        name: 'bench',
        servers: [server.address],
        namespace,
        credentials: { kind: 'none' },
        endpoints: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false },
        times: defaultNacosTimes,
        transport: 'grpc',
      },
      {
        ...quiet,
        metrics: {
          count: (name) => {
            if (isCounting && name === 'registry_connects') back.push(performance.now() - restartedAt)
          },
          gauge: () => undefined,
        },
      },
    )
    adapter.start()
    const handle = adapter.register({
      service: service(5000 + (index % 50)),
      address: `10.5.${index >> 8}.${index & 255}`,
      port: 80,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    adapter.subscribe(
      service(5000 + (index % 50)),
      listener(() => undefined),
    )
    return { adapter, handle }
  })
  await eventually(
    () => adapters.every(({ adapter, handle }) => adapter.status().connected && handle.state === 'registered'),
    'all agents',
    180_000,
  )
  await server.kill()
  await delay(10_000)
  isCounting = true
  await server.start()
  restartedAt = performance.now()
  back.length = 0
  await eventually(
    () => adapters.every(({ adapter, handle }) => adapter.status().connected && handle.state === 'registered'),
    () => `${adapters.filter(({ adapter }) => adapter.status().connected).length} of ${agents}`,
    180_000,
  )
  const done = performance.now() - restartedAt
  const spread = percentile(back, 1) - percentile(back, 0)
  report(`${agents} agents after a restart of their server: spread`, `${(spread / 1000).toFixed(1)} s`, 'at least 10 s')
  report('  all connected and registered again after', `${(done / 1000).toFixed(1)} s`, '60 s')
  report('  agents that gave up', String(adapters.filter(({ adapter }) => !adapter.status().connected).length), '0')
  await Promise.all(adapters.map(({ adapter }) => adapter.close()))
}

async function restarts(server: { readonly address: string }): Promise<void> {
  const watcher = open(server.address)
  let vanished = 0
  let seen = 0
  watcher.subscribe(
    service(9000),
    listener((set) => {
      if (set.endpoints.length === 1) seen++
      else if (seen > 0) vanished++
    }),
  )
  for (let round = 0; round < 20; round++) {
    const agent = open(server.address)
    const handle = agent.register({
      service: service(9000),
      address: '10.9.0.1',
      port: 80,
      weight: 1 + round,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    await eventually(() => handle.state === 'registered', 'the registration', 20_000)
    await delay(200)
    if (round % 2 === 0) handle.release()
    await agent.close()
  }
  await eventually(() => seen > 0, 'the application', 20_000)
  await delay(1500)
  report('20 restarts of an agent: application seen to vanish', `${vanished} times`, '0')
  await watcher.close()
}

async function main(words: readonly string[]): Promise<void> {
  const at = words.indexOf('--nacos')
  const given = at < 0 ? undefined : words[at + 1]
  const wanted = words.filter((word, index) => !word.startsWith('--') && (at < 0 || index !== at + 1))
  const has = (name: string): boolean => wanted.length === 0 || wanted.includes(name)
  const memory = Math.round(totalmem() / 2 ** 30)
  console.log(`${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, ${memory} GB, Node ${process.version}`)
  const missing = given === undefined ? await missingForNacos() : undefined
  if (missing !== undefined) {
    console.error(missing)
    process.exitCode = 2
    return
  }
  const real = given === undefined ? await startNacos({ heapMb: 1024 }) : undefined
  const server = real ?? { address: given!, url: `http://${given!}/nacos` }
  try {
    if (has('push')) await push(server)
    if (has('restarts')) await restarts(server)
    if (has('cold')) await cold(server)
    if (has('fleet') && real !== undefined) await fleet(real)
  } finally {
    await real?.stop()
  }
}

if (childAt < 0) await main(process.argv.slice(2))
else await coldChild(process.argv[childAt + 1]!)
