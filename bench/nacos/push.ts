/** A change at the server until the listener has it: the whole way, and our own share of it. */
import { setTimeout as delay } from 'node:timers/promises'
import { nacosDriver } from '../../test/support/nacos/driver.ts'
import { startFaultServer } from '../../test/support/nacos/fault-server.ts'
import { atMost, format, percentile } from '../scenario.ts'
import { listener, openAdapter, serviceOf } from './measure.ts'
import type { NacosBench, NacosMeasure } from './measure.ts'

const changes = 100
const ownChanges = 1000
const mergeWindowMs = 500
const instances = 20

export const push: NacosMeasure = {
  name: 'push',
  title: 'A change at the server until the new list is in use',
  isDisruptive: false,
  run: async (bench) => {
    const whole = await measureWhole(bench)
    const own = await measureOwn()
    return {
      name: push.name,
      title: push.title,
      method: [
        `whole: ${changes} changes of weight, one after the other, from the answer to the change over HTTP until the listener of a gRPC subscription has it; the server merges changes for ${mergeWindowMs} ms`,
        `own share: ${ownChanges} pushes of ${instances} instances from a stand-in in the same process, from writing the push until the listener has it`,
      ],
      columns: ['ms', 'p50', 'p99', 'max'],
      rows: [
        ['whole', ...[0.5, 0.99, 1].map((share) => format(percentile(whole, share)))],
        ['own share', ...[0.5, 0.99, 1].map((share) => format(percentile(own, share)))],
      ],
      goals: [
        atMost('whole, p99 (merge window + 100 ms)', percentile(whole, 0.99), mergeWindowMs + 100, 'ms'),
        atMost('own share, p99', percentile(own, 0.99), 5, 'ms'),
      ],
      remarks: [],
      raw: { whole, own },
    }
  },
}

async function measureWhole(bench: NacosBench): Promise<number[]> {
  const driver = nacosDriver(bench.url, bench.namespace)
  const adapter = openAdapter(bench.address, bench.namespace)
  const service = serviceOf(bench, 'pushed')
  let onNews = (_weight: number): void => undefined
  adapter.subscribe(
    service,
    listener((set) => onNews(set.endpoints[0]?.weight ?? 0)),
  )
  const out: number[] = []
  try {
    await driver.put(service, { address: '10.0.0.1', port: 80, weight: 1 })
    for (let round = 0; round < changes; round++) {
      const weight = round + 2
      const arrived = new Promise<number>((resolve) => {
        onNews = (now) => (now === weight ? resolve(performance.now()) : undefined)
      })
      await driver.put(service, { address: '10.0.0.1', port: 80, weight })
      const from = performance.now()
      out.push((await arrived) - from)
    }
  } finally {
    await adapter.close()
  }
  return out
}

/** Both ends in one process: one clock and one event loop. */
async function measureOwn(): Promise<number[]> {
  const standIn = await startFaultServer()
  const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'pushed' }
  const adapter = openAdapter(standIn.address, 'public', { grpcPortOffset: standIn.grpcPortOffset })
  const hosts = (weight: number) =>
    Array.from({ length: instances }, (_, index) => ({ ip: `10.0.0.${index + 1}`, weight }))
  let onNews = (_weight: number): void => undefined
  const out: number[] = []
  const change = async (weight: number): Promise<number> => {
    const arrived = new Promise<number>((resolve) => {
      onNews = (now) => (now === weight ? resolve(performance.now()) : undefined)
    })
    const from = performance.now()
    standIn.setHosts(service, hosts(weight))
    return (await arrived) - from
  }
  try {
    adapter.subscribe(
      service,
      listener((set) => onNews(set.endpoints[0]?.weight ?? 0)),
    )
    await change(1)
    for (let round = 0; round < ownChanges; round++) {
      out.push(await change(round + 2))
      if (round % 50 === 0) await delay(5)
    }
  } finally {
    await adapter.close()
    await standIn.stop()
  }
  return out
}
