/** Large HTTP/1.1 replies of known length. */
import { startPeers } from '../contenders.ts'
import { startOrigin } from '../origin.ts'
import { againstEarlier } from '../peers/earlier.ts'
import { envoy } from '../peers/envoy.ts'
import { haproxy, splicingHaproxy } from '../peers/haproxy.ts'
import { hostmesh, hostmeshRaw } from '../peers/hostmesh.ts'
import { nginx } from '../peers/nginx.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { methodOf } from './http1.ts'
import { ratioToHaproxy } from './tcp.ts'

const connections = 8

export const bulk: Scenario = {
  name: 'bulk',
  title: 'HTTP/1.1 replies of 1 MiB: CPU µs per request',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers(
      [hostmesh, hostmeshRaw, haproxy, splicingHaproxy, nginx, envoy],
      oneWorker(options, origin.port, 'http'),
      options,
    )
    try {
      const contenders = started.peers.map(({ name, peer }) => ({ name, peer, path: '/1m' }))
      const figures = await runWindows(contenders, connections, options)
      return {
        name: 'bulk',
        title: bulk.title,
        method: [...methodOf(options), `${connections} keep-alive connections; ratios to the cheaper HAProxy`],
        columns: ['proxy', 'median µs', 'least µs', 'to HAProxy', 'requests/s', 'windows'],
        rows: figures.map((figure) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(ratioToHaproxy(figures, figure.contender)),
          format(figure.requestsPerSecond),
          `${figure.kept} of ${figure.windows.length}`,
        ]),
        goals: [
          atMost('1 MiB replies against HAProxy', ratioToHaproxy(figures, 'Hostmesh'), 1, 'x HAProxy'),
          ...againstEarlier('1 MiB replies', (name) => figures.find((one) => one.contender === name)?.median ?? NaN),
        ],
        remarks: [...started.remarks, ...remarksOn(figures)],
        raw: figures,
      }
    } finally {
      await started.close()
      await origin.close()
    }
  },
}
