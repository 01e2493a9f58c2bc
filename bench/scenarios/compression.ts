/** What gzip of a JSON reply of 10 KB costs, against nginx at the same level and against the same worker without it. */
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { nginx } from '../peers/nginx.ts'
import { oneWorker } from '../peers/peer.ts'
import type { RunningPeer } from '../peers/peer.ts'
import { userFilter } from '../user-filter.ts'
import { atMost } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { againstPlain, againstPlainColumns } from './against-plain.ts'
import { methodOf } from './http1.ts'

const gzip = userFilter({
  name: 'gzip',
  builtin: 'compression',
  settings: { encodings: ['gzip'], level: 1, minBytes: 256, contentTypes: ['application/json'] },
})
const origin = { kind: 'MeshPolicy', name: 'public/bench', path: 'spec.filters[0]' }

export const compression: Scenario = {
  name: 'compression',
  title: 'gzip of 10 KB of JSON: CPU µs per request, ours and nginx at level 1',
  run: async (options) => {
    const application = await startOrigin(options.loadCpu)
    const common = { ...oneWorker(options, application.port, 'http'), userFilters: [gzip] }
    const started: RunningPeer[] = []
    try {
      started.push(await startMesh(common))
      started.push(await startMesh({ ...common, filters: [{ kind: 'user', name: 'gzip', origin }] }))
      started.push(await nginx.start({ ...common, compresses: true }))
      const contenders = ['ours, plain', 'ours, gzip', 'nginx, gzip'].map((name, index) => ({
        name,
        peer: started[index]!,
        path: '/10k',
        headers: { 'accept-encoding': 'gzip' },
      }))
      const figures = await runWindows(contenders, 64, options)
      return {
        name: 'compression',
        title: compression.title,
        method: [...methodOf(options), '10 KB of JSON, compressed anew for each request'],
        columns: againstPlainColumns,
        rows: againstPlain(figures),
        goals: [atMost('gzip', figures[1]!.median / figures[2]!.median, 1.2, 'x nginx')],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      for (const peer of started) await peer.close()
      await application.close()
    }
  },
}
