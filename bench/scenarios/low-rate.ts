/** CPU per request where little happens: each request finds a proxy asleep. */
import { allPeers, startPeers } from '../contenders.ts'
import { cpuNanoseconds } from '../cpu.ts'
import { runOpenLoop } from '../load/open-loop.ts'
import { startOrigin } from '../origin.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const rate = 500
const connections = 4

export const lowRate: Scenario = {
  name: 'low-rate',
  title: `CPU µs per request at ${rate} requests/s on ${connections} connections`,
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers(allPeers, oneWorker(options, origin.port, 'http'), options)
    try {
      const costs = new Map<string, number[]>(started.peers.map(({ name }) => [name, []]))
      for (let round = 0; round <= options.windows; round++) {
        for (const { name, peer } of started.peers) {
          const seconds = round === 0 ? options.warmSeconds : options.windowSeconds
          const before = cpuNanoseconds(peer.pids)
          const { failed } = await runOpenLoop(options.loadCpu, peer.port, rate, seconds, connections)
          const each = (cpuNanoseconds(peer.pids) - before) / 1000 / (rate * seconds)
          options.log(`  ${round}/${options.windows} ${name}: ${format(each)} µs, ${failed} failed`)
          if (round > 0 && failed === 0) costs.get(name)!.push(each)
        }
      }
      const costOf = (name: string): number => median(costs.get(name) ?? [])
      return {
        name: 'low-rate',
        title: lowRate.title,
        method: [
          `proxy alone on cpu ${options.proxyCpu}; generator and origin on cpu ${options.loadCpu}; requests leave at their time, whatever the answers do`,
          `medians of ${options.windows} interleaved windows of ${options.windowSeconds} s; timers of the proxy count`,
        ],
        columns: ['proxy', 'median µs', 'to HAProxy', 'windows'],
        rows: started.peers.map(({ name }) => [
          name,
          format(costOf(name)),
          format(costOf(name) / costOf('HAProxy')),
          `${costs.get(name)!.length} of ${options.windows}`,
        ]),
        goals: [atMost('sockets of our own against raw handles', costOf('Hostmesh') / costOf('Hostmesh-raw'), 1, 'x')],
        remarks: started.remarks,
        raw: Object.fromEntries(costs),
      }
    } finally {
      await started.close()
      await origin.close()
    }
  },
}
