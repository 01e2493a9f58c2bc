/** CPU per keep-alive HTTP/1.1 request, ours against the peers, in one interleaved run. */
import { allPeers, startPeers } from '../contenders.ts'
import { startOrigin } from '../origin.ts'
import { againstEarlier } from '../peers/earlier.ts'
import { oneWorker } from '../peers/peer.ts'
import { atMost, format } from '../scenario.ts'
import type { BenchOptions, Scenario, ScenarioReport } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Figure } from '../windows.ts'

const connections = 64

export const http1: Scenario = {
  name: 'http1',
  title: 'HTTP/1.1, 64 keep-alive connections: CPU µs per request',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const started = await startPeers(allPeers, oneWorker(options, origin.port, 'http'), options)
    try {
      const contenders = started.peers.map(({ name, peer }) => ({ name, peer, path: '/' }))
      const figures = await runWindows(contenders, connections, options)
      const versions = new Map(started.peers.map(({ name, version }) => [name, version]))
      return report(figures, versions, started.remarks, options)
    } finally {
      await started.close()
      await origin.close()
    }
  },
}

function report(
  figures: readonly Figure[],
  versions: ReadonlyMap<string, string>,
  remarks: readonly string[],
  options: BenchOptions,
): ScenarioReport {
  const costOf = (name: string): number => figures.find((figure) => figure.contender === name)?.median ?? NaN
  const reference = costOf('HAProxy')
  const ours = costOf('Hostmesh')
  return {
    name: 'http1',
    title: http1.title,
    method: methodOf(options),
    columns: ['proxy', 'median µs', 'least µs', 'to HAProxy', 'requests/s', 'windows', 'version'],
    rows: figures.map((figure) => [
      figure.contender,
      format(figure.median),
      format(figure.least),
      format(figure.median / reference),
      format(figure.requestsPerSecond),
      `${figure.kept} of ${figure.windows.length}`,
      versions.get(figure.contender) ?? '',
    ]),
    goals: [
      atMost('must: CPU per request against HAProxy', ours / reference, 0.75, 'x HAProxy'),
      atMost('aim: CPU per request against nginx', ours / costOf('nginx'), 1, 'x nginx'),
      ...againstEarlier('CPU per request', costOf),
      atMost('must: CPU per request against Envoy', ours / costOf('Envoy'), 0.27, 'x Envoy'),
    ],
    remarks: [...remarks, ...remarksOn(figures)],
    raw: figures,
  }
}

export function methodOf(options: BenchOptions): string[] {
  return [
    `proxy alone on cpu ${options.proxyCpu}; wrk (1 thread) and an nginx origin that answers from memory on cpu ${options.loadCpu}; loopback`,
    `CPU: schedstat of all threads of the proxy; ${options.warmSeconds} s warm-up, then ${options.windows} interleaved windows of ${options.windowSeconds} s`,
    'windows with more than 1 % stolen CPU or a failed request are dropped; figures of different machines or runs do not compare, ratios do',
  ]
}
