/** Whole hosts on each registry: what many services cost control, and an outage under load. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { startHttpApplication } from '../../cli/traffic/applications.ts'
import type { LoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { SteadyCalls } from '../../test/support/mesh/steady-calls.ts'
import { mostResidentBytes, residentBytes } from '../cpu.ts'
import { atMost, format, type ScenarioReport } from '../scenario.ts'
import type { MeasuredRegistry } from './kinds.ts'

const services = 1000
const instances = 20
/** By then control has given back what only its start needed. */
const settleMs = 45_000
const wantedMib = 60
const mebi = 1024 * 1024

export interface HostsBench {
  readonly registries: readonly MeasuredRegistry[]
  readonly block: LoopbackBlock
  readonly folder: string
  readonly log: (line: string) => void
  /** Addresses of the block that were given away. */
  used: number
}

export async function memory(bench: HostsBench): Promise<ScenarioReport> {
  const rows: { name: string; empty: Resident; full: Resident }[] = []
  for (const registry of bench.registries) {
    bench.log(`memory: ${registry.name}`)
    for (let service = 0; service < services; service++)
      for (let index = 0; index < instances; index++)
        await registry.put(`service-${service}`, {
          address: `10.${1 + (service >> 8)}.${service & 255}.${index + 1}`,
          port: 80,
          weight: 1,
        })
    const [empty, full] = [await residentOf(bench, registry, 0), await residentOf(bench, registry, services)]
    rows.push({ name: registry.name, empty, full })
  }
  return {
    name: 'memory',
    title: `${services} services of ${instances} instances on each registry`,
    method: [
      `resident memory of control ${settleMs / 1000} s after every list was heard, with ${services} configured services, against the same host with none; NODE_ENV=production, one worker`,
      'at its most: the peak from the start on',
    ],
    columns: ['MiB', 'none', `${services}`, 'more', 'at its most, none', `${services}`],
    rows: rows.map(({ name, empty, full }) => [
      name,
      ...[empty.now, full.now, full.now - empty.now, empty.most, full.most].map(format),
    ]),
    goals: rows.map(({ name, empty, full }) => atMost(`${name}, more`, full.now - empty.now, wantedMib, 'MiB')),
    remarks: [],
    raw: rows,
  }
}

/** MiB. */
interface Resident {
  readonly now: number
  readonly most: number
}

async function residentOf(bench: HostsBench, registry: MeasuredRegistry, count: number): Promise<Resident> {
  const host = hostOn(
    bench,
    registry,
    `${registry.name}-${count}`,
    Array.from({ length: count }, (_, index) => `service-${index}`),
  )
  host.start()
  try {
    await host.ready(120_000)
    await sleep(settleMs)
    const { generations } = await host.watchdogState()
    const control = generations.flatMap((one) => one.children).find(({ role }) => role === 'control')!
    return { now: residentBytes([control.pid]) / mebi, most: mostResidentBytes(control.pid) / mebi }
  } finally {
    await host.stop()
  }
}

export async function outage(bench: HostsBench, seconds: number): Promise<ScenarioReport> {
  const address = bench.block.address(++bench.used)
  const application = await startHttpApplication('living', 'v1', address)
  const runs: { name: string; calls: number; failed: number; back: boolean }[] = []
  try {
    await Promise.all(
      bench.registries.map(async (registry) => {
        await registry.put('living', { address: application.address, port: application.port, weight: 1 })
        const host = hostOn(bench, registry, `${registry.name}-outage`, ['living'])
        host.start()
        try {
          await host.ready(60_000)
          const target = { address: host.options.address, port: 15_001, service: 'living' }
          const calls = new SteadyCalls(target, 2, 20)
          await sleep(2000)
          await registry.kill()
          await sleep(seconds * 1000)
          await registry.restart()
          const back = await host
            .until(
              60_000,
              () => 'not connected',
              async () => {
                const info = (await host.json('/server_info?format=hostmesh')) as {
                  registries: { connected: boolean }[]
                }
                return info.registries.every(({ connected }) => connected)
              },
            )
            .then(
              () => true,
              () => false,
            )
          await sleep(2000)
          const counts = await calls.stop()
          runs.push({ name: registry.name, calls: counts.calls, failed: counts.failed, back })
        } finally {
          await host.stop()
        }
      }),
    )
  } finally {
    await application.close()
  }
  return {
    name: 'outage',
    title: `Every registry dead for ${seconds} s, at the same time, each with a host of its own`,
    method: [
      'calls of two callers, 50 a second each, to one living instance through the shared port, from 2 s before the registry dies until 2 s after it is connected again; HOSTMESH_OUTAGE_SECONDS sets the time, 600 by default',
    ],
    columns: ['registry', 'calls', 'failed', 'connected again'],
    rows: runs.map(({ name, calls, failed, back }) => [name, String(calls), String(failed), back ? 'yes' : 'no']),
    goals: runs.map(({ name, failed, back }) =>
      atMost(
        `${name}, failed calls${back ? '' : ' (and it did not come back)'}`,
        back ? failed : Number.NaN,
        0,
        'calls',
      ),
    ),
    remarks: [],
    raw: runs,
  }
}

export function hostOn(
  bench: HostsBench,
  registry: Pick<MeasuredRegistry, 'section'>,
  name: string,
  names: readonly string[],
): DemoHost {
  return new DemoHost({
    name,
    role: 'agent',
    address: bench.block.address(++bench.used),
    directory: join(bench.folder, name),
    registries: [registry.section],
    applications: [],
    outbound: names.map((service) => ({ service, protocol: 'http' as const })),
    centers: [],
  })
}
