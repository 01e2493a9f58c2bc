/**
 * A whole host as users run it: how soon it is ready, how soon it hears of an instance of another host, and what it
 * costs while nothing happens.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { startHttpApplication } from '../../cli/traffic/applications.ts'
import { httpAnswers } from '../../cli/traffic/first-answer.ts'
import { startEmbeddedRegistry } from '../../registry-adapters/nacos/embedded/embedded.ts'
import { cpuNanoseconds, residentBytes } from '../cpu.ts'
import { scratchFolder } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const services = 100
const starts = 5
const deployments = 10
const settleMs = 8000
const idleSeconds = 20
const mebi = 1024 * 1024
const sharedPort = 15_001

export const agent: Scenario = {
  name: 'agent',
  title: 'A host with 100 outbound services: start, hearing of instances, and idling',
  isInTurn: true,
  run: async (options) => {
    const found = await measure(options)
    const ready = median(found.readyMs)
    const heard = Math.max(...found.heardMs)
    return {
      name: 'agent',
      title: agent.title,
      method: [
        `release build; ${services} configured outbound services, embedded registry on the same machine (merge window 500 ms as Nacos has), one worker`,
        `ready: from the start of the command until /ready says yes, with a snapshot on disk; median of ${starts} starts; includes the start of the watchdog`,
        `heard: from the moment in which the file of a new application is written on one host until a request on the other host is answered by it; worst of ${deployments}`,
        `idle: resident memory, and processor time over ${idleSeconds} s, ${settleMs / 1000} s after the last activity`,
      ],
      columns: ['what', 'worker', 'control', 'watchdog'],
      rows: [
        ['resident MiB', ...found.idle.map((one) => format(one.residentMib))],
        ['idle, % of a core', ...found.idle.map((one) => format(one.corePercent))],
        ['ready ms (all three)', format(ready), '', ''],
        ['instance heard of, worst ms', format(heard), '', ''],
      ],
      goals: [
        atMost('ready with a warm snapshot', ready, 1000, 'ms'),
        atMost('an instance of another host is called', heard, 1500, 'ms'),
        atMost('worker idle', found.idle[0]!.residentMib, 65, 'MiB'),
        atMost('worker idle', found.idle[0]!.corePercent, 0.3, '% of a core'),
        atMost('control idle', found.idle[1]!.corePercent, 0.3, '% of a core'),
        atMost('watchdog', found.idle[2]!.residentMib, 50, 'MiB'),
        atMost('watchdog idle', found.idle[2]!.corePercent, 0.1, '% of a core'),
      ],
      remarks: [],
      raw: found,
    }
  },
}

interface Idle {
  readonly residentMib: number
  readonly corePercent: number
}

async function measure(
  options: BenchOptions,
): Promise<{ readyMs: number[]; heardMs: number[]; idle: readonly [worker: Idle, control: Idle, watchdog: Idle] }> {
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('agent')
  const registry = await startEmbeddedRegistry({ host: block.address(1), port: 8848 })
  const registries = [{ name: 'main', type: 'nacos', servers: [registry.address] }]
  const application = await startHttpApplication('service-0', 'v0', block.address(3))
  const closers: (() => Promise<unknown>)[] = [() => application.close(), () => registry.close(), () => block.release()]
  const host = (name: string, address: string, own: readonly (typeof application)[]): DemoHost =>
    new DemoHost({
      name,
      role: 'agent',
      address,
      directory: join(folder.path, name),
      registries,
      applications: own,
      outbound: Array.from({ length: services }, (_, index) => ({ service: `service-${index}`, protocol: 'http' })),
      centers: [],
      command: [join(options.releaseFolder, 'cli/main.js')],
    })
  const caller = host('caller', block.address(2), [])
  const callee = host('callee', block.address(3), [application])
  try {
    callee.start()
    caller.start()
    await Promise.all([callee.ready(), caller.ready()])
    await httpAnswers(block.address(2), sharedPort, 'service-0')
    options.log('  starts')
    const readyMs: number[] = []
    for (let count = 0; count < starts; count++) {
      await caller.stop()
      const from = performance.now()
      caller.start()
      await caller.ready()
      readyMs.push(performance.now() - from)
    }
    options.log('  deployments')
    const heardMs: number[] = []
    for (let count = 1; count <= deployments; count++) {
      const service = `deployed-${count}`
      const deployed = await startHttpApplication(service, 'v1', block.address(3))
      closers.unshift(() => deployed.close())
      const from = performance.now()
      callee.addApplication(deployed, service)
      await httpAnswers(block.address(2), sharedPort, service)
      heardMs.push(performance.now() - from)
    }
    options.log('  idling')
    await sleep(settleMs)
    const state = await caller.watchdogState()
    const children = state.generations.flatMap((generation) => generation.children)
    const pids = [
      children.find((child) => child.role === 'worker')!.pid,
      children.find((child) => child.role === 'control')!.pid,
      state.pid,
    ] as const
    const before = pids.map((pid) => cpuNanoseconds([pid]))
    await sleep(idleSeconds * 1000)
    const idleOf = (index: 0 | 1 | 2): Idle => ({
      residentMib: residentBytes([pids[index]]) / mebi,
      corePercent: (cpuNanoseconds([pids[index]]) - before[index]!) / (idleSeconds * 1e7),
    })
    return { readyMs, heardMs, idle: [idleOf(0), idleOf(1), idleOf(2)] }
  } finally {
    await Promise.all([caller.stop(), callee.stop()])
    for (const close of closers) await close()
    folder.close()
  }
}
