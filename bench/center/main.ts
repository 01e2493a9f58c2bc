/**
 * npm run bench:center -- [agents] [services per agent] [services] [--list]
 *
 * Discovery at scale: real agents' adapters (500 in one process, each with a connection of its own) at one center,
 * first at its discovery alone, then at a whole one. Prints the time from a change to the last agent that uses the
 * service, memory, bytes, and a mass reconnect after a SIGKILL of what serves discovery. A goal that is not met is a
 * result, not a failure.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../contracts/clock.ts'
import { type EndpointSet, parseServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createCenterAdapter } from '../../registry-adapters/center/index.ts'
import { encodeAssignment } from '../../registry-adapters/center/wire/load-assignment.ts'
import type { CenterUnderTest } from './center-under-test.ts'
import { DiscoveryAlone } from './discovery-alone.ts'
import { WholeCenter } from './whole-center.ts'

const sizes = process.argv.slice(2).filter((word) => word !== '--list')
const [agents, perAgent, services] = [500, 20, 10_000].map((value, at) => Number(sizes[at] ?? value)) as [
  number,
  number,
  number,
]
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
const serviceOf = (index: number): string => `service-${index}`

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

async function measure(center: CenterUnderTest): Promise<void> {
  console.log(`\n${center.what}`)
  await center.start()
  const fleet: RegistryAdapter[] = []
  /** By service: how many agents use it, and when each change was heard. */
  const users = new Map<string, number>()
  const heard = new Map<string, { at: number; count: number; last: number }>()
  let newest: EndpointSet | undefined
  let answers = 0
  const from = performance.now()
  for (let agent = 0; agent < agents; agent++) {
    const adapter = createCenterAdapter(
      {
        name: 'center',
        servers: [{ host: '127.0.0.1', port: center.port }],
        node: `host-${agent}`,
        tls: () => undefined,
        token: () => center.token,
        maxEndpoints: 10_000,
      },
      deps,
    )
    adapter.start()
    fleet.push(adapter)
    const names = new Set(Array.from({ length: common }, (_, index) => serviceOf(index)))
    while (names.size < perAgent) names.add(serviceOf(common + Math.floor(Math.random() * (services - common))))
    for (const name of names) {
      users.set(name, (users.get(name) ?? 0) + 1)
      let isKnown = false
      adapter.subscribe(parseServiceName(`public/DEFAULT_GROUP@@${name}`)!, {
        onStale: () => undefined,
        onEndpoints: (told) => {
          const { endpoints } = told
          if (endpoints.length === 0) return
          if (!isKnown) answers++
          isKnown = true
          const at = Number(endpoints.find(({ metadata }) => metadata['at'] !== undefined)?.metadata['at'] ?? 0)
          const change = heard.get(name)
          if (change === undefined || change.at > at) return
          newest = told
          change.count++
          change.last = Math.max(change.last, Date.now())
        },
      })
    }
  }
  await until('first answers', () => answers === agents * perAgent)
  console.log(
    `${agents} agents x ${perAgent} of ${services} services: all answered after ${Math.round(performance.now() - from)} ms`,
  )

  await pause(2000)
  const before = await center.figures()
  const used = [...users.keys()]
  const late: number[] = []
  let sent = 0
  for (let index = 0; index < changes; index++) {
    const isCommon = index % 2 === 0
    const name = isCommon ? serviceOf((index / 2) % common) : used[Math.floor(Math.random() * used.length)]!
    const change = { at: Date.now(), count: 0, last: 0 }
    heard.set(name, change)
    sent += users.get(name)!
    center.change(name, change.at)
    const next = pause(1000 / changesPerSecond)
    await until(`change ${index}`, () => change.count >= users.get(name)!)
    late.push(change.last - change.at)
    await next
  }
  const after = await center.figures()
  const perResource = Math.round((after.sentBytes - before.sentBytes) / sent)
  console.log(
    `change to the last agent, ${changes} changes at ${changesPerSecond}/s: p50 ${quantile(late, 0.5)} ms, p99 ${quantile(late, 0.99)} ms, worst ${Math.max(...late)} ms (goal: p99 1,000 ms)`,
  )
  console.log(
    `bytes: ${perResource} for one agent and change of a service of 10 instances, which is ${encodeAssignment(newest!.service, newest!).length} bytes (goal: + 10 % at most)`,
  )
  console.log(`center: ${after.residentMiB} MiB resident, at most ${after.peakMiB} MiB (goal: 600 MiB)`)

  await center.kill()
  await until('every agent knows', () => fleet.every((one) => !one.status().connected))
  await center.start()
  const back = await until('the reconnect', () => fleet.every((one) => one.status().connected))
  await pause(2000)
  const again = await center.figures()
  console.log(
    `mass reconnect after SIGKILL: all back ${back} ms after the center (goal: 60,000 ms), ${again.sentBytes} bytes sent to all, at most ${again.peakMiB} MiB (goal: ${Math.round(after.residentMiB * 1.5)} MiB)`,
  )
  await Promise.all(fleet.map((one) => one.close()))
  await center.close()
}

await measure(new DiscoveryAlone(services))
await measure(new WholeCenter(services))
process.exit(0)
