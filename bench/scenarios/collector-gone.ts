/**
 * What callers wait when the collector of spans and log records is gone: nothing, against a host without a collector.
 */
import { runOpenLoop } from '../load/open-loop.ts'
import type { OpenLoopResult } from '../load/open-loop.ts'
import { startOrigin } from '../origin.ts'
import { freePort } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { startWithSender } from './telemetry.ts'
import type { WithSender } from './telemetry.ts'

const rate = 2000
const connections = 64
const names = ['no collector', 'collector gone'] as const

export const collectorGone: Scenario = {
  name: 'collector-gone',
  title: 'Latency at 2,000 requests/s, all of them recorded for a collector that is gone, against none at all',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started: WithSender[] = []
    try {
      const nobody = await freePort()
      const plans = [{ sampledShare: 0 }, { sampledShare: 1, logs: true }]
      for (const plan of plans) started.push(await startWithSender(options, origin.port, plan, nobody))
      const results: OpenLoopResult[][] = started.map(() => [])
      for (let round = 0; round <= options.windows; round++)
        for (const [at, { mesh }] of started.entries()) {
          // the queues are full, and records dropped, before the first window
          const seconds = round === 0 ? options.warmSeconds : options.windowSeconds
          const result = await runOpenLoop(options.loadCpu, mesh.port, rate, seconds, connections)
          options.log(
            `  ${round}/${options.windows} ${names[at]}: p50 ${format(result.p50Ms * 1000)} µs, p99 ${format(result.p99Ms * 1000)} µs, ${result.failed} failed`,
          )
          if (round > 0) results[at]!.push(result)
        }
      const ratio = (read: (result: OpenLoopResult) => number): number =>
        median(results[1]!.map((gone, round) => read(gone) / read(results[0]![round]!)))
      const failed = (at: number): number => results[at]!.reduce((sum, result) => sum + result.failed, 0)
      const micros = (at: number, read: (result: OpenLoopResult) => number): string =>
        format(median(results[at]!.map(read)) * 1000)
      return {
        name: 'collector-gone',
        title: collectorGone.title,
        method: [
          `worker and sender on cpu ${options.proxyCpu}; generator and origin on cpu ${options.loadCpu}; ${connections} connections, ${rate} requests/s whatever the answers do`,
          `${options.windows} interleaved windows of ${options.windowSeconds} s; ratios are medians of those of each round`,
        ],
        columns: ['worker', 'p50 µs', 'p99 µs', 'failed', 'generator late p99 µs'],
        rows: names.map((name, at) => [
          name,
          micros(at, (result) => result.p50Ms),
          micros(at, (result) => result.p99Ms),
          String(failed(at)),
          micros(at, (result) => result.latenessP99Ms),
        ]),
        goals: [
          atMost(
            'p50 with the collector gone',
            ratio((result) => result.p50Ms),
            1.1,
            'x no collector',
          ),
          atMost(
            'p99 with the collector gone',
            ratio((result) => result.p99Ms),
            1.1,
            'x no collector',
          ),
          atMost('requests that failed', failed(1), 0, 'of all'),
        ],
        remarks: [],
        raw: results,
      }
    } finally {
      for (const { mesh, sender } of started) {
        await sender?.stop()
        await mesh.close()
      }
      await origin.close()
    }
  },
}
