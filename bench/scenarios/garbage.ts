/** Scavenges per 100,000 requests: the alarm for garbage on the hot path. */
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { runWrk } from '../load/wrk.ts'
import { format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

export const garbage: Scenario = {
  name: 'garbage',
  title: 'Scavenges per 100,000 requests (--trace-gc)',
  isInTurn: true,
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const mesh = await startMesh({ ...oneWorker(options, origin.port, 'http'), nodeFlags: ['--trace-gc'] })
    let scavenges = 0
    let majors = 0
    let millis = 0
    let rest = ''
    mesh.workers[0]!.child.stdout?.on('data', (chunk: Buffer) => {
      const lines = `${rest}${chunk.toString('latin1')}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const pause = / ms: (Scavenge|Mark-Compact).*?\) MB, (?:pooled: [\d.]+ MB, )?([\d.]+) \//.exec(line)
        if (pause === null) continue
        if (pause[1] === 'Scavenge') scavenges++
        else majors++
        millis += Number(pause[2])
      }
    })
    try {
      const url = `http://127.0.0.1:${mesh.port}/`
      await runWrk({ cpus: options.loadCpu, url, connections: 64, seconds: options.warmSeconds })
      scavenges = 0
      majors = 0
      millis = 0
      const seconds = options.windows * options.windowSeconds
      const { requests } = await runWrk({ cpus: options.loadCpu, url, connections: 64, seconds })
      const per = 100_000 / requests
      return {
        name: 'garbage',
        title: garbage.title,
        method: [`64 keep-alive connections for ${seconds} s after ${options.warmSeconds} s of warm-up`],
        columns: ['requests', 'scavenges per 100,000', 'full collections per 100,000', 'pause ms per 100,000'],
        rows: [[String(requests), format(scavenges * per), format(majors * per), format(millis * per)]],
        goals: [],
        remarks: [],
        raw: { requests, scavenges, majors, millis },
      }
    } finally {
      await mesh.close()
      await origin.close()
    }
  },
}
