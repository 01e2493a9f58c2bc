/** An agent that registers is replaced again and again under a watching client. */
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../../test/support/registry-listener.ts'
import { atMost } from '../scenario.ts'
import { listener, openAdapter, serviceOf } from './measure.ts'
import type { NacosMeasure } from './measure.ts'

const rounds = 20
/** Longer than the server's merge window: what it would still tell has come by then. */
const afterMs = 1500

export const restarts: NacosMeasure = {
  name: 'restarts',
  title: `${rounds} restarts of an agent under a watching client`,
  isDisruptive: false,
  run: async (bench) => {
    const service = serviceOf(bench, 'restarted')
    const watcher = openAdapter(bench.address, bench.namespace)
    const seen: number[] = []
    watcher.subscribe(
      service,
      listener((set) => seen.push(set.endpoints.length)),
    )
    try {
      for (let round = 0; round < rounds; round++) {
        const agent = openAdapter(bench.address, bench.namespace)
        const handle = agent.register({
          service,
          address: '10.9.0.1',
          port: 80,
          weight: 1 + round,
          cluster: 'DEFAULT',
          healthy: true,
          enabled: true,
          metadata: {},
        })
        await eventually(() => handle.state === 'registered', 'the registration', 20_000)
        await delay(200)
        if (round % 2 === 0) handle.release()
        await agent.close()
      }
      await eventually(() => seen.includes(1), 'the application', 20_000)
      await delay(afterMs)
    } finally {
      await watcher.close()
    }
    const vanished = seen.slice(seen.indexOf(1)).filter((length) => length !== 1).length
    return {
      name: restarts.name,
      title: restarts.title,
      method: [
        'every other restart is a crash: nothing is released; the watcher is a client of its own, subscribed over gRPC',
      ],
      columns: ['restarts', 'lists seen', 'without the application'],
      rows: [[String(rounds), String(seen.length), String(vanished)]],
      goals: [atMost('lists in which the application was missing', vanished, 0, 'times')],
      remarks: [],
      raw: { seen },
    }
  },
}
