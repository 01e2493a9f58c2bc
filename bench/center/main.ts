/**
 * npm run bench:center -- [agents] [services per agent] [services] [--list]
 *
 * Discovery at scale: real agents' adapters (500 in one process, each with a connection of its own) at one center over
 * a registry in memory. Prints the time from a change to the last agent that uses the service, memory, bytes, and a
 * mass reconnect after a SIGKILL of the center. A goal that is not met is a result, not a failure.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../contracts/clock.ts'
import { parseServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createCenterAdapter } from '../../registry-adapters/center/index.ts'

const sizes = process.argv.slice(2).filter((word) => word !== '--list')
const [agents, perAgent, services] = [500, 20, 10_000].map((value, at) => Number(sizes[at] ?? value))
if (process.argv.includes('--list')) {
  console.log(`${agents} agents with ${perAgent} of ${services} services: changes, memory, bytes, mass reconnect`)
  process.exit(0)
}
const changesPerSecond = 10
const changes = 300
/** Of those of an agent, used by every one. */
const common = 2
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const deps = { clock: systemClock, random: Math.random, log: silent, metrics: { count() {}, gauge() {} } }
const nameOf = (index: number): string => `public/DEFAULT_GROUP@@service-${index}`

class Center {
  private child: ChildProcess | undefined
  private lines: Interface | undefined
  private isKilled = false
  port = 0
  peak = 0

  async start(): Promise<void> {
    const argv = [join(import.meta.dirname, 'server.ts'), String(this.port), String(services)]
    const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child = child
    // whatever is waited for would never come
    child.once('exit', (code, signal) => {
      if (this.isKilled) return
      console.error(`the center ended by itself: ${signal ?? `exit code ${code}`}`)
      process.exit(1)
    })
    this.isKilled = false
    this.lines = createInterface({ input: child.stdout })
    const [line] = (await once(this.lines, 'line')) as [string]
    this.port = Number(line.split(' ')[1])
  }

  say(line: string): void {
    this.child!.stdin!.write(`${line}\n`)
  }

  async figures(): Promise<Record<string, number>> {
    this.say('figures')
    const [line] = (await once(this.lines!, 'line')) as [string]
    return JSON.parse(line) as Record<string, number>
  }

  /** MiB; the highest so far. */
  peakMiB(): number {
    const status = readFileSync(`/proc/${this.child!.pid}/status`, 'utf8')
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024)
  }

  async kill(): Promise<void> {
    this.isKilled = true
    const ended = once(this.child!, 'exit')
    this.child!.kill('SIGKILL')
    await ended
  }
}

const MiB = (bytes: number): number => Math.round(bytes / 1024 / 1024)
const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN

async function until(what: string, condition: () => boolean): Promise<number> {
  const from = performance.now()
  while (!condition()) {
    if (performance.now() - from > 120_000) throw new Error(`${what}: not within 120 s`)
    await pause(5)
  }
  return Math.round(performance.now() - from)
}

const center = new Center()
await center.start()
const fleet: RegistryAdapter[] = []
/** By service: how many agents use it, and when each change was heard. */
const users = new Map<string, number>()
const heard = new Map<string, { at: number; count: number; last: number }>()
let answers = 0
const from = performance.now()
for (let agent = 0; agent < agents!; agent++) {
  const adapter = createCenterAdapter(
    {
      name: 'center',
      servers: [{ host: '127.0.0.1', port: center.port }],
      node: `host-${agent}`,
      tls: () => undefined,
      token: () => undefined,
      maxEndpoints: 10_000,
    },
    deps,
  )
  adapter.start()
  fleet.push(adapter)
  const names = new Set(Array.from({ length: common }, (_, index) => nameOf(index)))
  while (names.size < perAgent!) names.add(nameOf(common + Math.floor(Math.random() * (services! - common))))
  for (const name of names) {
    users.set(name, (users.get(name) ?? 0) + 1)
    let isKnown = false
    adapter.subscribe(parseServiceName(name)!, {
      onStale: () => undefined,
      onEndpoints: ({ endpoints }) => {
        if (!isKnown) answers++
        isKnown = true
        const at = Number(endpoints[0]?.metadata['at'] ?? 0)
        const change = heard.get(name)
        if (change === undefined || change.at > at) return
        change.count++
        change.last = Math.max(change.last, Date.now())
      },
    })
  }
}
await until('first answers', () => answers === agents! * perAgent!)
console.log(
  `${agents} agents x ${perAgent} of ${services} services: all answered after ${Math.round(performance.now() - from)} ms`,
)

await pause(2000)
const before = await center.figures()
const used = [...users.keys()]
const late: number[] = []
let sent = 0
for (let index = 0; index < changes; index++) {
  const name =
    index % 2 === 0 ? nameOf(index % (2 * common) === 0 ? 0 : 1) : used[Math.floor(Math.random() * used.length)]!
  const change = { at: Date.now(), count: 0, last: 0 }
  heard.set(name, change)
  sent += users.get(name)!
  center.say(`change ${name}`)
  const next = pause(1000 / changesPerSecond)
  await until(`change ${index}`, () => change.count >= users.get(name)!)
  late.push(change.last - change.at)
  await next
}
const after = await center.figures()
const perResource = Math.round((after['xds_bytes']! - before['xds_bytes']!) / sent)
console.log(
  `change to the last agent, ${changes} changes at ${changesPerSecond}/s: p50 ${quantile(late, 0.5)} ms, p99 ${quantile(late, 0.99)} ms, worst ${Math.max(...late)} ms (goal: p99 1,000 ms)`,
)
console.log(
  `bytes: ${perResource} for one agent and change of a service of 10 instances, which is ${after['resource']!} bytes (goal: + 10 % at most)`,
)
const steadyMiB = MiB(after['rss']!)
console.log(`center: ${steadyMiB} MiB resident, at most ${center.peakMiB()} MiB (goal: 600 MiB)`)

await center.kill()
await until('every agent knows', () => fleet.every((one) => !one.status().connected))
await center.start()
const back = await until('the reconnect', () => fleet.every((one) => one.status().connected))
await pause(2000)
const again = await center.figures()
console.log(
  `mass reconnect after SIGKILL: all back ${back} ms after the center (goal: 60,000 ms), ${again['xds_bytes']} bytes sent to all, at most ${center.peakMiB()} MiB (goal: ${Math.round(steadyMiB * 1.5)} MiB)`,
)
await Promise.all(fleet.map((one) => one.close()))
await center.kill()
process.exit(0)
