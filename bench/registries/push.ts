/** A change that the registry has taken until the adapter's listener has it. */
import { systemClock } from '../../contracts/clock.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import { createAdapters, registrySection } from '../../agent/control/kinds/registries.ts'
import { atMost, format, percentile, type ScenarioReport } from '../scenario.ts'
import type { ApartRegistry } from './apart.ts'

const changes = 300
const instances = 20
const wantedMs = 5

const quiet: AdapterDeps = {
  clock: systemClock,
  random: Math.random,
  log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  metrics: { count: () => undefined, gauge: () => undefined },
}

export async function push(registries: readonly ApartRegistry[]): Promise<ScenarioReport> {
  const measured: { readonly registry: ApartRegistry; readonly times: number[] }[] = []
  for (const registry of registries.filter(({ isPushing }) => isPushing))
    measured.push({ registry, times: await measure(registry) })
  return {
    name: 'push',
    title: 'A change that the registry has taken until the new list is in use',
    method: [
      `${changes} changes of weight of one of ${instances} instances, one after the other, from the registry's answer to the change until the adapter's listener has the new list`,
      'with a real server its own notice is part of it, so this is an upper bound of our share; DNS tells nobody of a change and is left out',
    ],
    columns: ['ms', 'p50', 'p99', 'max', 'behind it'],
    rows: measured.map(({ registry, times }) => [
      registry.name,
      ...[0.5, 0.99, 1].map((share) => format(percentile(times, share))),
      registry.what,
    ]),
    goals: measured.map(({ registry, times }) =>
      atMost(`${registry.name}, p99`, percentile(times, 0.99), wantedMs, 'ms'),
    ),
    remarks: [],
    raw: measured.map(({ registry, times }) => ({ name: registry.name, times })),
  }
}

async function measure(registry: ApartRegistry): Promise<number[]> {
  const section = registrySection.parse(registry.section)
  const [adapter] = await createAdapters(
    {
      registries: [section],
      endpoints: { allowLoopbackEndpoints: true, maxPerService: 10_000 },
      host: { name: 'bench', address: '127.0.0.1' },
    },
    quiet,
    () => false,
  )
  const times: number[] = []
  let onWeight = (_weight: number, _count: number): void => undefined
  const until = (weight: number, count: number): Promise<number> =>
    new Promise((resolve) => {
      onWeight = (now, present) => {
        if (now === weight && present === count) resolve(Number(process.hrtime.bigint()) / 1e6)
      }
    })
  try {
    for (let index = 1; index <= instances; index++)
      await registry.put('pushed', { address: `10.0.0.${index}`, port: 80, weight: 1 })
    const first = until(1, instances)
    adapter!.start()
    adapter!.subscribe(
      { namespace: 'public', group: 'DEFAULT_GROUP', name: 'pushed' },
      {
        onEndpoints: ({ endpoints }) =>
          onWeight(endpoints.find(({ address }) => address === '10.0.0.1')?.weight ?? 0, endpoints.length),
        onStale: () => undefined,
      },
    )
    await first
    for (let round = 0; round < changes; round++) {
      const arrived = until(round + 2, instances)
      await registry.put('pushed', { address: '10.0.0.1', port: 80, weight: round + 2 })
      times.push(Math.max(0, (await arrived) - registry.takenAt))
      // no registry asks for a change more often than this
      await new Promise((resolve) => setTimeout(resolve, 120))
    }
  } finally {
    await adapter!.close()
  }
  return times
}
