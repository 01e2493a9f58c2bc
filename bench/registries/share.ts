/** Our own share of a change: what control does with the registry's bytes until a worker has the new list. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { runFiles } from '../../contracts/run-directory.ts'
import { atMost, format, percentile, type ScenarioReport } from '../scenario.ts'
import { dialControl } from '../worker-stand-in.ts'
import { hostOn, type HostsBench } from './hosts.ts'
import type { MeasuredRegistry } from './kinds.ts'
import { startTimedRelay } from './timed-relay.ts'

const changes = 200
const instances = 20
const wantedMs = 5
/** No registry asks for a change more often than this. */
const pauseMs = 120
const patienceMs = 10_000

export async function share(bench: HostsBench): Promise<ScenarioReport> {
  const measured: { readonly registry: MeasuredRegistry; readonly times: number[] }[] = []
  for (const registry of bench.registries.filter(({ isPushing }) => isPushing)) {
    bench.log(`share: ${registry.name}`)
    measured.push({ registry, times: await measure(bench, registry) })
  }
  return {
    name: 'share',
    title: 'Our own share of a change, from the bytes of the registry until a worker has the new list',
    method: [
      `a whole host, its registry behind a relay that notes the time of every piece; ${changes} changes of weight of one of ${instances} instances, one after the other`,
      'counted is the time in which control had the word: from each piece of the registry until its next question, and from the last piece until the delta has come at the socket of a worker;',
      'relay and worker are in the process of the benchmark, whose own delays count as ours; DNS tells nobody of a change and is left out',
    ],
    columns: ['ms', 'p50', 'p99', 'max', 'behind it'],
    rows: measured.map(({ registry, times }) => [
      registry.name,
      ...[0.5, 0.99, 1].map((part) => format(percentile(times, part))),
      registry.what,
    ]),
    goals: measured.map(({ registry, times }) =>
      atMost(`${registry.name}, p99`, percentile(times, 0.99), wantedMs, 'ms'),
    ),
    remarks: [],
    raw: measured.map(({ registry, times }) => ({ name: registry.name, times })),
  }
}

async function measure(bench: HostsBench, registry: MeasuredRegistry): Promise<number[]> {
  const relay = await startTimedRelay(registry.port)
  const host = hostOn(bench, { section: registry.sectionBy(relay.port) }, `${registry.name}-share`, ['shared'])
  const times: number[] = []
  let onWeight = (_weight: number): void => undefined
  const put = (weight: number): Promise<void> => registry.put('shared', { address: '10.0.0.1', port: 80, weight })
  try {
    for (let index = 2; index <= instances; index++)
      await registry.put('shared', { address: `10.0.0.${index}`, port: 80, weight: 1 })
    await put(1)
    host.start()
    await host.ready(60_000)
    const worker = await dialControl(join(host.runDir, runFiles.control(1)), 1, ({ service, endpoints }) => {
      if (service.endsWith('@@shared')) onWeight(endpoints.find(({ address }) => address === '10.0.0.1')?.weight ?? 0)
    })
    await worker.need(['shared'], patienceMs)
    for (let round = 0; round < changes; round++) {
      await sleep(pauseMs)
      const arrived = new Promise<number>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`change ${round} did not come in ${patienceMs} ms`)), patienceMs)
        onWeight = (weight) => {
          if (weight !== round + 2) return
          clearTimeout(late)
          resolve(performance.now())
        }
      })
      relay.begin()
      await Promise.all([put(round + 2), arrived])
      times.push(relay.clientShare(await arrived))
    }
    worker.close()
  } finally {
    await host.stop()
    await relay.close()
  }
  return times
}
