/**
 * Many agents at one server that dies and comes back: when each returns, and when the server itself has everything
 * again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { nacosDriver } from '../../test/support/nacos/driver.ts'
import { startGate } from '../../test/support/nacos/gate.ts'
import type { RunningNacos } from '../../test/support/nacos/server.ts'
import { eventually } from '../../test/support/registry-listener.ts'
import { atLeast, atMost, format, percentile } from '../scenario.ts'
import { listener, openAdapter, serviceOf } from './measure.ts'
import type { NacosBench, NacosMeasure } from './measure.ts'

const agents = 500
const services = 50
const downMs = 10_000
const patienceMs = 120_000

interface Return {
  readonly title: string
  /** Moments of the new connections, in seconds. */
  readonly connects: readonly number[]
  /**
   * Since the server is up (since the cut): the server's own lists have all instances; they have all subscribers, too,
   * and every agent is connected.
   */
  readonly listedMs: number
  readonly completeMs: number
  readonly gaveUp: number
}

export const fleet: NacosMeasure = {
  name: 'fleet',
  title: `${agents} agents at one server that goes away and comes back`,
  isDisruptive: true,
  run: async (bench) => {
    const server = bench.own
    if (server === undefined) throw new Error('a server that may be killed is needed')
    const restarted = await afterRestarts(bench, server)
    const returns = [...restarted, await afterCut(bench, server)]
    return {
      name: fleet.name,
      title: fleet.title,
      method: [
        `${agents} adapters in one process, each with a connection, one registration and one subscription, ${services} services; the server is killed (SIGKILL) and started on the same home`,
        'spread: from the first to the last new gRPC connection. Complete: from the moment in which the server answers that it is up until its own lists, asked over HTTP, have every instance',
        'healthy and every subscriber, and every agent is connected again. Gave up: agents without a connection at the end of that. A cut of connections to a server that lives is shown beside it and has no goal',
      ],
      columns: ['what', 'spread s', 'middle 90 % s', 'listed s', 'complete s', 'gave up'],
      rows: returns.map((one) => [
        one.title,
        format(spreadOf(one.connects)),
        format(percentile(one.connects, 0.95) - percentile(one.connects, 0.05)),
        format(one.listedMs / 1000),
        format(one.completeMs / 1000),
        String(one.gaveUp),
      ]),
      goals: restarted.flatMap((one) => [
        atLeast(`${one.title}: spread`, spreadOf(one.connects), 10, 's'),
        atMost(`${one.title}: complete at the server`, one.completeMs / 1000, 60, 's'),
        atMost(`${one.title}: gave up`, one.gaveUp, 0, 'agents'),
      ]),
      remarks: [],
      raw: returns,
    }
  },
}

const spreadOf = (connects: readonly number[]): number => Math.max(...connects) - Math.min(...connects)

/** Kills and starts the server under one fleet, first with a pause and then without. */
async function afterRestarts(bench: NacosBench, server: RunningNacos): Promise<Return[]> {
  const one = await openFleet(bench, server.address, 1000)
  const out: Return[] = []
  try {
    for (const pauseMs of [downMs, 0]) {
      const title = pauseMs === 0 ? 'restarted at once' : `restarted after ${pauseMs / 1000} s`
      bench.log(`  ${title}`)
      one.forget()
      await server.kill()
      await delay(pauseMs)
      await server.start()
      out.push(await one.untilBack(title))
    }
  } finally {
    await one.close()
  }
  return out
}

async function afterCut(bench: NacosBench, server: RunningNacos): Promise<Return> {
  const title = 'connections cut, server lives'
  bench.log(`  ${title}`)
  const gates = await Promise.all([startGate(server.port), startGate(server.grpcPort)])
  const [http, grpc] = gates
  const one = await openFleet(bench, `127.0.0.1:${http.port}`, grpc.port - http.port)
  try {
    one.forget()
    for (const gate of gates) gate.cut()
    return await one.untilBack(title)
  } finally {
    await one.close()
    await Promise.all(gates.map((gate) => gate.close()))
  }
}

interface Fleet {
  /** What comes now belongs to the next return. */
  forget(): void
  untilBack(title: string): Promise<Return>
  close(): Promise<void>
}

/** All of them connected, and known to the server. */
async function openFleet(bench: NacosBench, address: string, grpcPortOffset: number): Promise<Fleet> {
  const driver = nacosDriver(bench.url, bench.namespace)
  const names = Array.from({ length: services }, (_, index) => serviceOf(bench, `fleet-${index}`))
  let connects: number[] = []
  const count = (name: string): void => {
    if (name === 'registry_connects') connects.push(performance.now() / 1000)
  }
  const members = Array.from({ length: agents }, (_, index) => {
    const metrics = { count, gauge: () => undefined }
    // the server tells subscribers apart by it
    const hostAddress = `10.5.${index >> 8}.${index & 255}`
    const adapter = openAdapter(address, bench.namespace, { grpcPortOffset, metrics, transport: 'grpc', hostAddress })
    const service = names[index % services]!
    adapter.register({
      service,
      address: hostAddress,
      port: 80,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    adapter.subscribe(
      service,
      listener(() => undefined),
    )
    return adapter
  })
  const listed = async (): Promise<number> => {
    const lists = await Promise.all(names.map((service) => driver.seen(service)))
    return lists.flat().filter(({ healthy, enabled }) => healthy && enabled).length
  }
  let subscribers: readonly number[] = []
  const subscribed = async (): Promise<number> => {
    subscribers = await Promise.all(names.map((service) => driver.subscribers(service)))
    return subscribers.reduce((sum, one) => sum + one, 0)
  }
  const connected = (): number => members.filter((adapter) => adapter.status().connected).length
  const untilListed = (): Promise<void> =>
    eventually(async () => (await listed()) === agents, 'all instances in the lists of the server', patienceMs)
  const untilComplete = (): Promise<void> =>
    eventually(
      async () => connected() === agents && (await subscribed()) === agents,
      () => `${connected()} of ${agents} connected; subscribers by service: ${subscribers.join(' ')}`,
      patienceMs,
    )
  const close = async (): Promise<void> => {
    await Promise.all(members.map((adapter) => adapter.close()))
  }
  try {
    await Promise.all([untilListed(), untilComplete()])
  } catch (error) {
    await close()
    throw error
  }
  return {
    forget: () => {
      connects = []
    },
    untilBack: async (title) => {
      const from = performance.now()
      await untilListed()
      const listedMs = performance.now() - from
      await untilComplete()
      return { title, connects, listedMs, completeMs: performance.now() - from, gaveUp: agents - connected() }
    },
    close,
  }
}
