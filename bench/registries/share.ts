/** Our own share of a change: what control does with the registry's bytes until a worker has the new list. */
import { on } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { runFiles } from '../../contracts/run-directory.ts'
import { atMost, format, percentile, type ScenarioReport } from '../scenario.ts'
import { fill, hostOn, type HostsBench } from './hosts.ts'
import type { RunningRegistry } from '../../test/support/registries/running-registry.ts'
import type { FromProbe, ToProbe } from './share-probe.ts'

const changes = 400
const instances = 20
const wantedMs = 5
/** Before each change, ms: many come so soon after the last that whoever waits before it looks again would be seen. */
const pauseMs = { least: 1, most: 200 } as const
const patienceMs = 10_000

interface Share {
  /** Epoch ms of its end. */
  readonly at: number
  readonly ms: number
  /** Of it: control was ready to run, and something else had the processor. */
  readonly waitedMs: number
  /** Processor time of control's main thread, ms. */
  readonly ranMs: number
}

/** `isCrowded`: the host needs 1,000 other services there. */
export async function share(bench: HostsBench, isCrowded: boolean): Promise<ScenarioReport> {
  const measured: { readonly registry: RunningRegistry; readonly shares: Share[] }[] = []
  for (const registry of bench.registries.filter(({ isPushing }) => isPushing)) {
    bench.log(`share: ${registry.name}`)
    const others = isCrowded ? await fill(registry) : []
    measured.push({ registry, shares: await measure(bench, registry, others) })
  }
  return {
    name: isCrowded ? 'crowded' : 'share',
    title: `Our own share of a change, from the bytes of the registry until a worker has the new list${isCrowded ? ', beside 1,000 other services that the host needs' : ''}`,
    method: [
      `a whole host from its first second on, its registry behind a relay that notes the time of every piece; ${changes} changes of weight of one of ${instances} instances, one after the other, ${pauseMs.least} to ${pauseMs.most} ms apart`,
      'counted is the time in which control had the word: from a piece of the registry until the question before the next piece, each time, and from the last piece of all until the delta has come at the socket of a worker, whatever was asked meanwhile;',
      'relay and worker are in a thread of the benchmark that does nothing else, whose own delays count as ours; the registry and the client that writes to it have a process of their own; DNS tells nobody of a change and is left out',
      'while it ran: without the time in which control was ready to run and another process had the processor (schedstat)',
      'work: processor time of the main thread of control from the change until the worker has it, whatever else it does meanwhile',
    ],
    columns: ['ms', 'p50', 'p90', 'p99', 'max', 'p99 while it ran', 'work, p50', 'work, p99', 'behind it'],
    rows: measured.map(({ registry, shares }) => [
      registry.name,
      ...[0.5, 0.9, 0.99, 1].map((part) => format(percentile(timesOf(shares), part))),
      format(percentile(runningOf(shares), 0.99)),
      ...[0.5, 0.99].map((part) =>
        format(
          percentile(
            shares.map(({ ranMs }) => ranMs),
            part,
          ),
        ),
      ),
      registry.what,
    ]),
    goals: measured.map(({ registry, shares }) =>
      atMost(`${registry.name}, p99`, percentile(timesOf(shares), 0.99), wantedMs, 'ms'),
    ),
    remarks: [],
    raw: measured.map(({ registry, shares }) => ({ name: registry.name, shares })),
  }
}

async function measure(bench: HostsBench, registry: RunningRegistry, others: readonly string[]): Promise<Share[]> {
  const probe = new Worker(new URL('./share-probe.ts', import.meta.url))
  const say = (message: ToProbe): void => probe.postMessage(message)
  const heard = async <T extends FromProbe['type']>(type: T): Promise<Extract<FromProbe, { type: T }>> => {
    for await (const [message] of on(probe, 'message', { signal: AbortSignal.timeout(patienceMs) }) as AsyncIterable<
      [FromProbe]
    >)
      if (message.type === type) return message as Extract<FromProbe, { type: T }>
    throw new Error(`the probe ended without ${type}`)
  }
  const told = heard('relay')
  say({ type: 'relay', target: registry.port })
  const { port } = await told
  const host = hostOn(bench, { section: await registry.sectionBy(port) }, `${registry.name}-share-${others.length}`, [
    'shared',
    ...others,
  ])
  const shares: Share[] = []
  const put = (weight: number): Promise<void> => registry.put('shared', { address: '10.0.0.1', port: 80, weight })
  try {
    for (let index = 2; index <= instances; index++)
      await registry.put('shared', { address: `10.0.0.${index}`, port: 80, weight: 1 })
    await put(1)
    host.start()
    await host.ready(120_000)
    const ready = heard('ready')
    say({ type: 'worker', path: join(host.runDir, runFiles.control(1)), service: 'shared', patienceMs })
    await ready
    const { generations } = await host.watchdogState()
    const control = generations.flatMap((one) => one.children).find(({ role }) => role === 'control')!
    for (let round = 0; round < changes; round++) {
      await sleep(pauseMs.least + Math.random() * (pauseMs.most - pauseMs.least))
      const begun = heard('ready')
      say({ type: 'begin', weight: round + 2 })
      await begun
      const arrived = heard('arrived')
      const before = scheduled(control.pid)
      const [, { at, ms }] = await Promise.all([put(round + 2), arrived])
      const after = scheduled(control.pid)
      shares.push({
        at: Math.round(at),
        ms,
        waitedMs: after.waitedMs - before.waitedMs,
        ranMs: after.ranMs - before.ranMs,
      })
    }
  } finally {
    await host.stop()
    say({ type: 'end' })
  }
  return shares
}

/** Of the main thread of a process, since its start, ms. */
function scheduled(pid: number): { ranMs: number; waitedMs: number } {
  const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')
  return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6 }
}

function runningOf(shares: readonly Share[]): number[] {
  return shares.map(({ ms, waitedMs: waited }) => Math.max(0, ms - waited))
}

function timesOf(shares: readonly Share[]): number[] {
  return shares.map(({ ms }) => ms)
}
