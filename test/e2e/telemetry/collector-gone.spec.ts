/**
 * A collector that is gone costs bounded memory and no waiting. The bounds are reached within seconds; `npm run
 * soak:collector` goes on for an hour (HOSTMESH_GONE_MINUTES) behind them.
 */
import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { counted } from '../../support/mesh/host-facts.ts'
import { sharedPort } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'
import { StandInCollector } from '../../support/otlp/collector.ts'

const minutes = Number(process.env['HOSTMESH_GONE_MINUTES'] ?? 0)
const mebibyte = 1024 * 1024
const callers = 4
/** What a span holds of it fills the queues with few requests. */
const path = `/${'x'.repeat(2000)}`

interface Calls {
  readonly durations: number[]
  failed: number
}

describe('a collector that is gone', function () {
  this.timeout(180_000 + minutes * 60_000)
  let collector: StandInCollector | undefined
  let pair: TracedPair | undefined

  before(async () => {
    collector = await StandInCollector.start()
    const { url } = collector
    pair = await tracedPair({
      tracing: { sampledShare: 1, collector: { url } },
      accessLog: { format: 'off', collector: { url } },
    })
  })
  after(async () => {
    await pair?.close()
    await collector?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(pair?.mesh.report())
  })

  /** `times` calls as fast as they can, or at a pace that a machine bears for an hour, until `end`. */
  async function call(calls: Calls, { times = Infinity, end = Infinity }): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: callers })
    const one = (): Promise<number | undefined> =>
      new Promise((resolve) => {
        const headers = { host: 'orders' }
        request({ agent, host: pair!.alpha.options.address, port: sharedPort, path, headers }, (reply) => {
          reply.resume().once('end', () => resolve(reply.statusCode))
        })
          .once('error', () => resolve(undefined))
          .end()
      })
    let left = times
    const caller = async (): Promise<void> => {
      while (left-- > 0 && performance.now() < end) {
        const startedAt = performance.now()
        if ((await one()) !== 200) calls.failed++
        calls.durations.push(performance.now() - startedAt)
        if (end < Infinity) await delay(20)
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    agent.destroy()
  }

  /** What control has no room for waits in the workers; what they have none for is dropped. */
  async function isFull(): Promise<boolean> {
    const dropped = ['hostmesh_spans_dropped_total', 'hostmesh_log_records_dropped_total']
    const counts = await Promise.all(dropped.map((metric) => counted(pair!.alpha, metric)))
    return counts.every((count) => count > 0)
  }

  /** In rounds, each with a look, so that looking costs the same memory in each part. */
  async function calls(rounds: number, isDone: (isFull: boolean) => boolean = () => false): Promise<Calls> {
    const made: Calls = { durations: [], failed: 0 }
    for (let round = 0; round < rounds; round++) {
      await call(made, { times: 500 })
      if (isDone(await isFull())) break
    }
    return made
  }

  /** Resident, of all processes of the host that carry or send something. */
  async function memory(): Promise<number> {
    const { generations } = await pair!.alpha.watchdogState()
    const pids = generations.flatMap(({ children }) => children.map(({ pid }) => pid))
    const resident = (pid: number): number =>
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
    return pids.reduce((sum, pid) => sum + resident(pid) * 1024, 0)
  }

  const p = (share: number, { durations }: Calls): number =>
    durations.toSorted((one, two) => one - two)[Math.floor(share * (durations.length - 1))]!

  it('costs no request, no waiting, and no more than 16 MiB', async function () {
    const there = await calls(16)
    const before = await memory()
    await collector!.close()
    collector = undefined
    const filling = await calls(100, (full) => full)
    expect(await isFull()).to.equal(true)
    const gone: Calls = minutes === 0 ? await calls(4) : { durations: [], failed: 0 }
    if (minutes > 0) await call(gone, { end: performance.now() + minutes * 60_000 })
    const grown = ((await memory()) - before) / mebibyte
    const figures = [there, filling, gone].map(
      (made) => `${made.durations.length} calls, p50 ${p(0.5, made).toFixed(2)} ms, p99 ${p(0.99, made).toFixed(2)} ms`,
    )
    this.test!.title += ` (there: ${figures[0]}; filling: ${figures[1]}; gone: ${figures[2]}; ${grown.toFixed(1)} MiB more)`
    expect([there.failed, filling.failed, gone.failed]).to.deep.equal([0, 0, 0])
    expect(p(0.99, gone)).to.be.below(Math.max(1000, 2 * p(0.99, there)))
    expect(grown).to.be.below(16)
  })
})
