/** What access log, tracing headers and a hundred routes cost on top of our own plain figure. */
import { join } from 'node:path'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { scratchFolder } from '../processes.ts'
import { atMost } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { againstPlain, againstPlainColumns } from './against-plain.ts'
import { methodOf } from './http1.ts'

export const features: Scenario = {
  name: 'features',
  title: 'Access log, tracing headers and 100 routes: CPU µs per request against our own plain figure',
  run: async (options) => {
    const folder = scratchFolder('log')
    const origin = await startOrigin(options.loadCpu)
    const common = oneWorker(options, origin.port, 'http')
    const plain = await startMesh(common)
    const full = await startMesh({
      ...common,
      extraRoutes: 100,
      traces: true,
      accessLog: { format: 'text', path: join(folder.path, 'access.log'), share: 1 },
    })
    try {
      const contenders = [
        { name: 'plain', peer: plain, path: '/' },
        { name: 'with everything', peer: full, path: '/' },
      ]
      const figures = await runWindows(contenders, 64, options)
      const ratio = figures[1]!.median / figures[0]!.median
      return {
        name: 'features',
        title: features.title,
        method: [
          ...methodOf(options),
          'every request logged to a file, traceparent made, the last of 101 routes matches',
        ],
        columns: againstPlainColumns,
        rows: againstPlain(figures),
        goals: [atMost('with access log, tracing and 100 routes', ratio, 1.2, 'x plain')],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      await plain.close()
      await full.close()
      await origin.close()
      folder.close()
    }
  },
}
