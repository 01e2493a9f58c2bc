/** CPU per datagram of UDP and its answer, beside nginx's stream module. */
import { fastCallsFlag } from '../../native/bare-functions.ts'
import { startPeers } from '../contenders.ts'
import { hostmesh, hostmeshRaw } from '../peers/hostmesh.ts'
import { nginx } from '../peers/nginx.ts'
import { oneWorker } from '../peers/peer.ts'
import { freePort, startProgram } from '../processes.ts'
import { atMost, format } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Figure, LoadResult } from '../windows.ts'

const loadMain = 'bench/load/udp-main.ts'
const callers = 64

export const udp: Scenario = {
  name: 'udp',
  title: 'UDP: CPU µs per datagram of 1 KB and its answer',
  run: async (options) => {
    const port = await freePort()
    const words = (...args: readonly (string | number)[]): string[] => [fastCallsFlag, loadMain, ...args.map(String)]
    const application = startProgram(options.loadCpu, process.execPath, words('serve', port))
    const started = await startPeers([hostmesh, hostmeshRaw, nginx], oneWorker(options, port, 'udp'), options)
    const load = async (at: number, seconds: number): Promise<LoadResult> => {
      const program = startProgram(options.loadCpu, process.execPath, words('load', at, callers, seconds))
      await new Promise((resolve) => program.child.once('close', resolve))
      return JSON.parse(program.output()) as LoadResult
    }
    try {
      const contenders = started.peers.map(({ name, peer }) => ({
        name,
        peer,
        path: '',
        load: (seconds: number) => load(peer.port, seconds),
      }))
      const figures = await runWindows(contenders, callers, options)
      return {
        name: 'udp',
        title: udp.title,
        method: [
          `proxy alone on cpu ${options.proxyCpu}; callers and application on cpu ${options.loadCpu}; loopback`,
          `${callers} callers, each with one datagram on its way`,
          `CPU: schedstat of all threads; ${options.warmSeconds} s warm-up, then ${options.windows} interleaved windows of ${options.windowSeconds} s`,
        ],
        columns: ['proxy', 'median µs', 'least', 'to nginx', 'datagrams/s', 'windows'],
        rows: figures.map((figure) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(toNginx(figures, figure.contender)),
          format(figure.requestsPerSecond),
          `${figure.kept} of ${options.windows}`,
        ]),
        goals: [atMost('a datagram of 1 KB and its answer', toNginx(figures, 'Hostmesh'), 1.5, 'x nginx')],
        remarks: [...started.remarks, ...remarksOn(figures)],
        raw: figures,
      }
    } finally {
      await started.close()
      await application.stop()
    }
  },
}

function toNginx(figures: readonly Figure[], name: string): number {
  const costOf = (of: string): number => figures.find((figure) => figure.contender === of)?.median ?? NaN
  return costOf(name) / costOf('nginx')
}
