/** Whole hosts on each registry: what many services cost control. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import type { LoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { mostResidentBytes, residentBytes } from '../cpu.ts'
import { atMost, format, type ScenarioReport } from '../scenario.ts'
import type { RunningRegistry } from '../../test/support/registries/running-registry.ts'

const services = 1000
const instances = 20
/** By then control has given back what only its start needed. */
const settleMs = 45_000
const wantedMib = 60
const mebi = 1024 * 1024

export interface HostsBench {
  readonly registries: readonly RunningRegistry[]
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
    // before it is filled: some registries tell everybody everything
    const empty = await residentOf(bench, registry, [])
    const names = await fill(registry)
    const full = await residentOf(bench, registry, names)
    rows.push({ name: registry.name, empty, full })
  }
  return {
    name: 'memory',
    title: `${services} services of ${instances} instances on each registry`,
    method: [
      `resident memory of control ${settleMs / 1000} s after every list was heard, with ${services} configured services, against the same host before it, with none, while the registry was empty; NODE_ENV=production, one worker`,
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

/** So many services that a host may need; answers their names. */
export async function fill(registry: Pick<RunningRegistry, 'put'>): Promise<string[]> {
  const names = Array.from({ length: services }, (_, index) => `service-${index}`)
  for (const [service, name] of names.entries())
    for (let index = 0; index < instances; index++)
      await registry.put(name, {
        address: `10.${1 + (service >> 8)}.${service & 255}.${index + 1}`,
        port: 80,
        weight: 1,
      })
  return names
}

async function residentOf(bench: HostsBench, registry: RunningRegistry, names: readonly string[]): Promise<Resident> {
  const host = hostOn(bench, registry, `${registry.name}-${names.length}`, names)
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

export function hostOn(
  bench: HostsBench,
  registry: Pick<RunningRegistry, 'section'>,
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
    // a machine that others use: the start is not what is measured
    watchdog: { startDeadline: '120s' },
  })
}
