/** What ten thousand idle keep-alive connections cost in memory. */
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '../cpu.ts'
import { Caller } from '../load/keep-alive.ts'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const connections = 10_000
const batch = 100
const mebi = 1024 * 1024

export const idle: Scenario = {
  name: 'idle',
  title: '10,000 idle connections: memory of one worker',
  isInTurn: true,
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const mesh = await startMesh(oneWorker(options, origin.port, 'http'))
    const callers: Caller[] = []
    try {
      const atStart = residentBytes(mesh.pids)
      const url = `http://127.0.0.1:${mesh.port}/`
      await runWrk({ cpus: options.loadCpu, url, connections: 64, seconds: options.windowSeconds })
      await sleep(2000)
      const base = residentBytes(mesh.pids)
      while (callers.length < connections) {
        const dialled = await Promise.all(Array.from({ length: batch }, () => Caller.dial(mesh.port)))
        callers.push(...dialled)
        for (const caller of dialled) await caller.get('Host: bench')
      }
      await sleep(3000)
      const held = residentBytes(mesh.pids)
      const first = await callers[0]!.get('Host: bench')
      return {
        name: 'idle',
        title: idle.title,
        method: [
          `each connection made one request and then stays idle; resident memory of the worker 3 s later, against the same worker after ${options.windowSeconds} s of load`,
        ],
        columns: ['moment', 'resident MiB', 'per connection KiB'],
        rows: [
          ['started', format(atStart / mebi), ''],
          ['after load', format(base / mebi), ''],
          [`with ${connections} idle`, format(held / mebi), format((held - base) / connections / 1024)],
        ],
        goals: [atMost('10,000 idle connections on top of base', (held - base) / mebi, 60, 'MiB')],
        remarks: first === 'ok' ? [] : [`the oldest connection no longer answers: ${first}`],
        raw: { atStart, base, held },
      }
    } finally {
      for (const caller of callers) caller.close()
      await mesh.close()
      await origin.close()
    }
  },
}
