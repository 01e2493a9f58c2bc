/** What access log, tracing headers and a hundred routes cost on top of our own plain figure. */
import { join } from 'node:path'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { MeshOptions } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import type { RunningPeer } from '../peers/peer.ts'
import { scratchFolder } from '../processes.ts'
import { atMost } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Contender } from '../windows.ts'
import { againstPlain, againstPlainColumns } from './against-plain.ts'
import { methodOf } from './http1.ts'

export const features: Scenario = {
  name: 'features',
  title: 'Access log, tracing headers and 100 routes: CPU µs per request against our own plain figure',
  run: async (options) => {
    const folder = scratchFolder('log')
    const origin = await startOrigin(options.loadCpu)
    const common = oneWorker(options, origin.port, 'http')
    const everything = (log: string): MeshOptions => ({
      ...common,
      extraRoutes: 100,
      traces: true,
      accessLog: { format: 'text', path: join(folder.path, log), share: 1 },
    })
    const contenders: Contender[] = []
    const begin = async (name: string, started: Promise<RunningPeer>): Promise<void> => {
      contenders.push({ name, peer: await started, path: '/' })
    }
    try {
      await begin('plain', startMesh(common))
      await begin('with everything', startMesh(everything('access.log')))
      if (options.earlier !== undefined) {
        await begin('plain, earlier', options.earlier.startMesh(common))
        await begin('with everything, earlier', options.earlier.startMesh(everything('earlier.log')))
      }
      const figures = await runWindows(contenders, 64, options)
      const ratio = figures[1]!.median / figures[0]!.median
      const before = figures[3]
      return {
        name: 'features',
        title: features.title,
        method: [
          ...methodOf(options),
          'every request logged to a file, traceparent made, the last of 101 routes matches',
        ],
        columns: againstPlainColumns,
        rows: againstPlain(figures),
        goals: [
          atMost('with access log, tracing and 100 routes', ratio, 1.2, 'x plain'),
          ...(before === undefined
            ? []
            : [atMost('the same against the earlier state', figures[1]!.median / before.median, 1.02, 'x earlier')]),
        ],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      for (const { peer } of contenders) await peer.close()
      await origin.close()
      folder.close()
    }
  },
}
