/** What it costs when somebody looks: `hostmesh top` and `hostmesh tap` on a whole host at a fixed rate of requests. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoHost } from '../../cli/launch/host.ts'
import { claimLoopbackBlock } from '../../cli/launch/loopback-block.ts'
import { httpAnswers } from '../../cli/traffic/first-answer.ts'
import { cpuNanoseconds } from '../cpu.ts'
import { runOpenLoop } from '../load/open-loop.ts'
import { startOrigin } from '../origin.ts'
import { scratchFolder, startProgram } from '../processes.ts'
import type { Program } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const rate = 10_000
const connections = 64
/** A command has started when it used less than a twentieth of a core for so long; at the latest after that. */
const stillMs = 1000
const startedMs = 20_000
const sharedPort = 15_001

/** Words of the command; none = nobody looks. */
const looks: Readonly<Record<string, readonly string[]>> = {
  'nobody looks': [],
  top: ['top'],
  tap: ['tap', 'orders'],
  'tap, nothing matches': ['tap', 'orders', '--failed'],
}

interface Cost {
  /** Percent of a core: worker, control, the command. */
  readonly worker: number
  readonly control: number
  readonly command: number
}

export const liveViews: Scenario = {
  name: 'live-views',
  title: `hostmesh top and tap at ${rate} requests/s: percent of a core`,
  run: async (options) => {
    const { costs, failed } = await measure(options)
    const middle = (name: string, of: keyof Cost): number => median(costs.get(name)!.map((cost) => cost[of]))
    const more = (name: string): number =>
      middle(name, 'command') + middle(name, 'control') - middle('nobody looks', 'control')
    const ofWorker = costs.get('nobody looks')!.map(({ worker }) => worker)
    const spread = Math.max(...ofWorker) - Math.min(...ofWorker)
    return {
      name: 'live-views',
      title: liveViews.title,
      method: [
        `release build, one worker; ${rate} requests/s on ${connections} connections leave at their time, whatever the answers do`,
        `medians of ${options.windows} interleaved windows of ${options.windowSeconds} s; a command is started before, and has come to rest`,
        'more: control beside one that nobody asks, and the command itself',
        `the worker that nobody looks at: ${format(spread)} % between its windows; less than that says nothing of the others`,
      ],
      columns: ['who looks', 'worker', 'control', 'command', 'more'],
      rows: Object.keys(looks).map((name) => [
        name,
        ...(['worker', 'control', 'command'] as const).map((of) => format(middle(name, of))),
        format(more(name)),
      ]),
      goals: Object.keys(looks)
        .slice(1)
        .map((name) => atMost(name, more(name), 1, '% of a core more, beside the worker')),
      remarks: failed > 0 ? [`${failed} requests could not be sent at their time, or failed`] : [],
      raw: Object.fromEntries(costs),
    }
  },
}

async function measure(options: BenchOptions): Promise<{ costs: Map<string, Cost[]>; failed: number }> {
  const block = await claimLoopbackBlock(Math.random)
  const folder = scratchFolder('live-views')
  const origin = await startOrigin(options.loadCpu)
  const directory = join(folder.path, 'endpoints')
  mkdirSync(directory)
  const endpoints = [{ address: '127.0.0.1', port: origin.port }]
  writeFileSync(join(directory, 'orders.json'), JSON.stringify({ service: 'orders', endpoints }))
  const cli = join(options.releaseFolder, 'cli/main.js')
  const host = new DemoHost({
    name: 'looked-at',
    role: 'agent',
    address: block.address(1),
    directory: join(folder.path, 'host'),
    registries: [{ name: 'files', type: 'file', directory }],
    applications: [],
    outbound: [{ service: 'orders', protocol: 'http' }],
    centers: [],
    command: [cli],
    extra: { workers: 1 },
  })
  const costs = new Map<string, Cost[]>(Object.keys(looks).map((name) => [name, []]))
  let failed = 0
  try {
    host.start()
    await host.ready()
    await httpAnswers(block.address(1), sharedPort, 'orders')
    const port = await host.port('orders')
    const load = (seconds: number) =>
      runOpenLoop(options.loadCpu, port, rate, seconds, connections, host.options.address)
    await load(options.warmSeconds)
    const { generations } = await host.watchdogState()
    const pidOf = (role: string): number =>
      generations.flatMap(({ children }) => children).find((child) => child.role === role)!.pid
    for (let round = 1; round <= options.windows; round++)
      for (const [name, words] of Object.entries(looks)) {
        const command = words.length === 0 ? undefined : start(options, cli, words, host.configPath)
        if (command !== undefined) await untilStarted(command.pid)
        const pids = [pidOf('worker'), pidOf('control'), command?.pid ?? 0]
        const used = (): number[] => pids.map((pid) => (pid === 0 ? 0 : cpuNanoseconds([pid])))
        const before = used()
        const result = await load(options.windowSeconds)
        const [worker = 0, control = 0, own = 0] = used().map(
          (ns, at) => (ns - before[at]!) / (options.windowSeconds * 1e7),
        )
        await command?.stop()
        failed += result.failed
        costs.get(name)!.push({ worker, control, command: own })
        options.log(`  ${round}/${options.windows} ${name}: ${[worker, control, own].map(format).join(', ')} %`)
      }
    return { costs, failed }
  } finally {
    await host.stop()
    await origin.close()
    await block.release()
    folder.close()
  }
}

async function untilStarted(pid: number): Promise<void> {
  for (const until = performance.now() + startedMs; performance.now() < until;) {
    const before = cpuNanoseconds([pid])
    await sleep(stillMs)
    const used = cpuNanoseconds([pid]) - before
    // it has begun, and is not busy with that any more
    if (before > 1e8 && used < stillMs * 1e6 * 0.05) return
  }
}

/** What it prints is taken and thrown away, as a terminal would. */
function start(options: BenchOptions, cli: string, words: readonly string[], config: string): Program {
  return startProgram(options.loadCpu, process.execPath, [cli, ...words, '-c', config])
}
