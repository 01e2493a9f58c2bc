/**
 * A real agent with many services at a real server: what its control costs, how soon it has them, and how soon it
 * serves them from disk.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import { nacosDriver } from '../../test/support/nacos/driver.ts'
import { cpuNanoseconds, residentBytes } from '../cpu.ts'
import { scratchFolder } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import { Caller } from '../load/keep-alive.ts'
import { serviceOf } from './measure.ts'
import type { NacosBench, NacosMeasure } from './measure.ts'

const services = 1000
const instances = 20
const coldStarts = 3
const diskStarts = 5
const fillers = 24
const settleMs = 40_000
const idleSeconds = 20
const applicationPort = 8080
const mebi = 1024 * 1024

export const host: NacosMeasure = {
  name: 'host',
  title: `A host with ${services} services of ${instances} instances each: cold, from disk, idle`,
  isDisruptive: false,
  run: async (bench) => {
    const found = await measure(bench)
    const whole = median(found.disk.map((one) => one.fromCommandMs))
    const own = median(found.disk.map((one) => one.fromWorkerMs))
    return {
      name: host.name,
      title: host.title,
      method: [
        `release build, one worker, ${services} configured outbound services, each with ${instances} instances at the server, all of them live addresses of one application`,
        `cold: from the start of the command, with an empty state directory, until /ready says yes, which needs every list; median of ${coldStarts}; and the part of it since control was started`,
        `from disk: the registry does not answer (its address refuses); from the start of the worker process until a request to the localhost port of the last service is answered by an instance; median of ${diskStarts}.`,
        'Beside it the same from the start of the command, which starts the watchdog first; control is started together with the worker and is not waited for.',
        `idle: resident memory, and processor time over ${idleSeconds} s, ${settleMs / 1000} s after the last list`,
      ],
      columns: ['what', 'worker', 'control', 'command'],
      rows: [
        [
          'cold, ms',
          '',
          format(median(found.cold.map((one) => one.fromControlMs))),
          format(median(found.cold.map((one) => one.fromCommandMs))),
        ],
        ['from disk, ms', format(own), '', format(whole)],
        ['resident MiB', format(found.idle.worker.residentMib), format(found.idle.control.residentMib), ''],
        ['idle, % of a core', format(found.idle.worker.corePercent), format(found.idle.control.corePercent), ''],
      ],
      goals: [
        atMost('cold load, from the start of control', median(found.cold.map((one) => one.fromControlMs)), 3000, 'ms'),
        atMost('from disk to serving, from the start of the worker', own, 500, 'ms'),
        atMost('control, resident', (found.idle.control.residentMib * mebi) / 1e6, 150, 'MB'),
        atMost('control, idle', found.idle.control.corePercent, 1, '% of a core'),
      ],
      remarks: [`the snapshot on disk has ${format(found.snapshotBytes / mebi)} MiB`],
      raw: found,
    }
  },
}

interface Idle {
  readonly residentMib: number
  readonly corePercent: number
}

interface Start {
  readonly fromCommandMs: number
  readonly fromControlMs: number
  readonly fromWorkerMs: number
}

interface Found {
  readonly cold: readonly Start[]
  readonly disk: readonly Start[]
  readonly idle: { readonly worker: Idle; readonly control: Idle }
  readonly snapshotBytes: number
}

const longLife = { 'preserved.heart.beat.timeout': '3600000', 'preserved.ip.delete.timeout': '7200000' }

const nameOf = (index: number): string => `held-${index}`

async function measure(bench: NacosBench): Promise<Found> {
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('nacos-host')
  const addresses = Array.from({ length: instances }, (_, index) => block.address(100 + index))
  const application = await startApplication(addresses)
  const hostAt = (directory: string, server: string): DemoHost =>
    new DemoHost({
      name: 'many',
      role: 'agent',
      address: block.address(1),
      directory: join(folder.path, directory),
      registries: [{ name: 'main', type: 'nacos', servers: [server], namespace: bench.namespace }],
      applications: [],
      outbound: Array.from({ length: services }, (_, index) => ({ service: nameOf(index), protocol: 'http' })),
      centers: [],
      command: [join(bench.releaseFolder, 'cli/main.js')],
    })
  let running: DemoHost | undefined
  try {
    bench.log(`  putting ${services * instances} instances`)
    await fill(bench, addresses)
    bench.log('  cold')
    const cold: Start[] = []
    for (let round = 0; round < coldStarts; round++) {
      running = hostAt(`cold-${round}`, bench.address)
      cold.push(await timeStart(running, () => running!.ready()))
      if (round < coldStarts - 1) await running.stop()
    }
    bench.log('  idle')
    const idle = await idleOf(running!)
    const port = await running!.port(nameOf(services - 1))
    await running!.stop()
    bench.log('  from disk')
    const silent = hostAt(`cold-${coldStarts - 1}`, `${block.address(99)}:8848`)
    running = silent
    const disk: Start[] = []
    for (let round = 0; round < diskStarts; round++) {
      disk.push(await timeStart(silent, () => answers(silent.options.address, port)))
      await silent.ready()
      await sleep(2000)
      await silent.stop()
    }
    return { cold, disk, idle, snapshotBytes: statSync(join(silent.stateDir, stateFiles.snapshot)).size }
  } finally {
    await running?.stop()
    await application.close()
    folder.close()
    await block.release()
  }
}

async function fill(bench: NacosBench, addresses: readonly string[]): Promise<void> {
  const driver = nacosDriver(bench.url, bench.namespace)
  const work = Array.from({ length: services * instances }, (_, index) => index)
  await Promise.all(
    Array.from({ length: fillers }, async () => {
      for (let index = work.pop(); index !== undefined; index = work.pop())
        await driver.put(serviceOf(bench, nameOf(Math.floor(index / instances))), {
          address: addresses[index % instances]!,
          port: applicationPort,
          // nobody sends heartbeats for them
          metadata: { ...longLife, version: 'v1', zone: `zone-${index % 3}`, started: String(index) },
        })
    }),
  )
  // the last ones are merged and told
  await sleep(3000)
}

async function startApplication(addresses: readonly string[]): Promise<{ close(): Promise<void> }> {
  const servers: Server[] = []
  for (const address of addresses) {
    const server = createServer((_request, response) => response.end('ok'))
    server.listen(applicationPort, address)
    await once(server, 'listening')
    servers.push(server)
  }
  return {
    close: async () => {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

async function timeStart(subject: DemoHost, until: () => Promise<void>): Promise<Start> {
  const from = performance.now()
  subject.start()
  await until()
  const end = performance.now()
  const [worker, control] = await pidsOf(subject)
  const now = performance.now()
  return {
    fromCommandMs: end - from,
    fromWorkerMs: ageMs(worker) - (now - end),
    fromControlMs: ageMs(control) - (now - end),
  }
}

/** Polls without a pause worth mentioning: the answer of the last service is the end of the start. */
async function answers(address: string, port: number): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    try {
      const caller = await Caller.dial(port, address)
      const body = await caller.get('Host: bench')
      caller.close()
      if (body === 'ok') return
    } catch {
      // not yet
    }
    if (performance.now() > deadline) throw new Error('no answer from disk within 20 s')
    await sleep(2)
  }
}

async function pidsOf(subject: DemoHost): Promise<[worker: number, control: number]> {
  const { generations } = await subject.watchdogState()
  const children = generations.flatMap((generation) => generation.children)
  return [children.find(({ role }) => role === 'worker')!.pid, children.find(({ role }) => role === 'control')!.pid]
}

/** Of a process, to 10 ms: field 22 of its stat, in ticks since the machine started (proc_pid_stat(5)). */
function ageMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  return (Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]) - started / 100) * 1000
}

async function idleOf(subject: DemoHost): Promise<Found['idle']> {
  await sleep(settleMs)
  const pids = await pidsOf(subject)
  const before = pids.map((pid) => cpuNanoseconds([pid]))
  await sleep(idleSeconds * 1000)
  const of = (index: 0 | 1): Idle => ({
    residentMib: residentBytes([pids[index]]) / mebi,
    corePercent: (cpuNanoseconds([pids[index]]) - before[index]!) / (idleSeconds * 1e7),
  })
  return { worker: of(0), control: of(1) }
}
