/** A whole host as users run it that knows very much: start, memory, and what it costs while nothing happens. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { startHttpApplication } from '../../cli/traffic/applications.ts'
import { httpAnswers } from '../../cli/traffic/first-answer.ts'
import { startEmbeddedRegistry } from '../../registry-adapters/nacos/embedded/embedded.ts'
import { cpuNanoseconds, residentBytes } from '../cpu.ts'
import { endpointsPerService, nameOf } from '../many-services.ts'
import { scratchFolder } from '../processes.ts'
import { format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const services = 2000
const starts = 3
const settleMs = 40_000
const idleSeconds = 30
const mebi = 1024 * 1024
const sharedPort = 15_001

export const largeHost: Scenario = {
  name: 'large-host',
  title: `A host with ${services.toLocaleString('en')} outbound services and ${(services * endpointsPerService).toLocaleString('en')} endpoints`,
  isInTurn: true,
  run: async (options) => {
    const found = await measure(options)
    return {
      name: 'large-host',
      title: largeHost.title,
      method: [
        `release build; ${services} configured outbound services with a port each and ${endpointsPerService} endpoints each, embedded registry of Nacos's protocol in another process, one worker`,
        `first start: nothing on disk, until a request to the last of the services is answered; ready: from the start of the command until /ready says yes, with a snapshot on disk, median of ${starts}`,
        `idle: resident memory, and processor time over ${idleSeconds} s, ${settleMs / 1000} s after the last start`,
      ],
      columns: ['what', 'worker', 'control', 'watchdog', 'all'],
      rows: [
        ['resident MiB', ...withSum(found.idle.map((one) => one.residentMib))],
        ['idle, % of a core', ...withSum(found.idle.map((one) => one.corePercent))],
        ['first start ms', '', '', '', format(found.firstMs)],
        ['ready ms', '', '', '', format(median(found.readyMs))],
      ],
      goals: [],
      remarks: [],
      raw: found,
    }
  },
}

const withSum = (values: readonly number[]): string[] =>
  [...values, values.reduce((sum, value) => sum + value, 0)].map(format)

interface Found {
  readonly firstMs: number
  readonly readyMs: number[]
  /** Of worker, control and watchdog. */
  readonly idle: readonly { readonly residentMib: number; readonly corePercent: number }[]
}

async function measure(options: BenchOptions): Promise<Found> {
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('large-host')
  const last = nameOf(services - 1)
  const application = await startHttpApplication(last, 'v0', block.address(3))
  const file = join(folder.path, 'registry.json')
  writeFileSync(file, JSON.stringify(storeOf(application.address, application.port)))
  const registry = await startEmbeddedRegistry({ host: block.address(1), port: 8848, file })
  const host = new DemoHost({
    name: 'caller',
    role: 'agent',
    address: block.address(2),
    directory: join(folder.path, 'caller'),
    registries: [{ name: 'main', type: 'nacos', servers: [registry.address] }],
    applications: [],
    outbound: Array.from({ length: services }, (_, index) => ({ service: nameOf(index), protocol: 'http' })),
    centers: [],
    command: [join(options.releaseFolder, 'cli/main.js')],
  })
  try {
    options.log('  first start')
    const from = performance.now()
    host.start()
    await host.ready()
    await httpAnswers(block.address(2), sharedPort, last)
    const firstMs = performance.now() - from
    options.log('  starts')
    const readyMs: number[] = []
    for (let count = 0; count < starts; count++) {
      await host.stop()
      const begun = performance.now()
      host.start()
      await host.ready()
      readyMs.push(performance.now() - begun)
    }
    options.log('  idling')
    await sleep(settleMs)
    const state = await host.watchdogState()
    const children = state.generations.flatMap((generation) => generation.children)
    const pidOf = (role: string): number => children.find((child) => child.role === role)!.pid
    const pids = [pidOf('worker'), pidOf('control'), state.pid]
    const before = pids.map((pid) => cpuNanoseconds([pid]))
    await sleep(idleSeconds * 1000)
    const idle = pids.map((pid, index) => ({
      residentMib: residentBytes([pid]) / mebi,
      corePercent: (cpuNanoseconds([pid]) - before[index]!) / (idleSeconds * 1e7),
    }))
    return { firstMs, readyMs, idle }
  } finally {
    await host.stop()
    await registry.close()
    await application.close()
    await block.release()
    folder.close()
  }
}

/** What the embedded registry keeps on disk; the application is the one endpoint that answers. */
function storeOf(address: string, port: number): object {
  const kept = Array.from({ length: services }, (_, index) => {
    const answers = index === services - 1
    const network = `10.${index >> 8}.${index & 255}`
    const others = Array.from({ length: endpointsPerService - 1 }, (_value, nth) => ({
      ip: `${network}.${nth + 1}`,
      port: 8080,
      weight: answers ? 0 : 1,
      ephemeral: false,
    }))
    const own = answers ? { ip: address, port } : { ip: `${network}.250`, port: 8080 }
    return {
      service: { namespace: 'public', group: 'DEFAULT_GROUP', name: nameOf(index) },
      settings: { protectThreshold: 0, metadata: {} },
      isKept: false,
      instances: [...others, { ...own, ephemeral: false }],
    }
  })
  return { version: 1, services: kept, configs: [] }
}
