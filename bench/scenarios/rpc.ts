/** CPU per request in private RPC over one connection, beside our own HTTP/1.1 in the same run. */
import type { AppProtocol, RpcProtocol } from '../../contracts/protocols.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { mainstayOfExample } from '../load/rpc-frames.ts'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { freePort, startProgram, untilListening } from '../processes.ts'
import { atMost, format } from '../scenario.ts'
import type { BenchOptions, Scenario, ScenarioReport } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Contender, Figure, LoadResult } from '../windows.ts'

const loadMain = 'bench/load/rpc-main.ts'
const protocols = ['bolt', 'mainstay'] as const

export const rpc: Scenario = {
  name: 'rpc',
  title: 'Private RPC, one connection, 256 B requests: CPU µs per request',
  run: async (options) => {
    const closers: (() => Promise<void>)[] = []
    try {
      const contenders = await start(options, closers)
      return report(await runWindows(contenders, 1, options), options)
    } finally {
      for (const close of closers.toReversed()) await close()
    }
  },
}

async function start(options: BenchOptions, closers: (() => Promise<void>)[]): Promise<Contender[]> {
  const origin = await startOrigin(options.loadCpu)
  closers.push(() => origin.close())
  const web = await startMesh(oneWorker(options, origin.port, 'http'))
  closers.push(() => web.close())
  const contenders: Contender[] = [1, 64].map((connections) => ({
    name: `HTTP/1.1, ${connections} connection${connections === 1 ? '' : 's'}`,
    peer: web,
    path: '/',
    load: (seconds) => {
      return runWrk({ cpus: options.loadCpu, url: `http://127.0.0.1:${web.port}/`, connections, seconds })
    },
  }))
  for (const protocol of protocols) {
    const port = await freePort()
    const application = startProgram(options.loadCpu, process.execPath, [loadMain, 'serve', String(port), protocol])
    closers.push(() => application.stop())
    await untilListening(port, application)
    const amend = (snapshot: Snapshot): Snapshot => speaking(snapshot, protocol as string as RpcProtocol)
    const mesh = await startMesh({ ...oneWorker(options, port, 'http'), amend })
    closers.push(() => mesh.close())
    for (const depth of [1, 100]) {
      const load = (seconds: number): Promise<LoadResult> => loadOf(options, mesh.port, protocol, depth, seconds)
      contenders.push({ name: `${protocol}, depth ${depth}`, peer: mesh, path: '', load })
    }
  }
  return contenders
}

function speaking(snapshot: Snapshot, protocol: RpcProtocol): Snapshot {
  const spoken = <T extends { readonly protocol?: AppProtocol }>(all: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(all).map(([key, one]) => [key, { ...one, protocol }]))
  return {
    ...snapshot,
    mesh: { ...snapshot.mesh, rpcProtocols: { mainstay: mainstayOfExample() } },
    listeners: spoken(snapshot.listeners as Snapshot['listeners'] & Record<string, { protocol?: AppProtocol }>),
    services: spoken(snapshot.services),
  }
}

async function loadOf(
  options: BenchOptions,
  port: number,
  protocol: string,
  depth: number,
  seconds: number,
): Promise<LoadResult> {
  const args = [loadMain, 'load', String(port), protocol, String(depth), String(seconds)]
  const program = startProgram(options.loadCpu, process.execPath, args)
  await new Promise((resolve) => program.child.once('close', resolve))
  return JSON.parse(program.output()) as LoadResult
}

function report(figures: readonly Figure[], options: BenchOptions): ScenarioReport {
  const costOf = (name: string): number => figures.find((figure) => figure.contender === name)?.median ?? NaN
  const web = costOf('HTTP/1.1, 1 connection')
  const against = (name: string): number => costOf(name) / web
  return {
    name: 'rpc',
    title: rpc.title,
    method: [
      `one worker alone on cpu ${options.proxyCpu}; generator and application on cpu ${options.loadCpu}; loopback`,
      'depth: requests in flight on the one connection of the caller; HTTP/1.1: wrk and an nginx origin',
      `CPU: schedstat of all threads; ${options.warmSeconds} s warm-up, then ${options.windows} interleaved windows of ${options.windowSeconds} s`,
    ],
    columns: ['contender', 'median µs', 'least µs', 'to HTTP/1.1', 'requests/s', 'windows'],
    rows: figures.map((figure) => [
      figure.contender,
      format(figure.median),
      format(figure.least),
      format(figure.median / web),
      format(figure.requestsPerSecond),
      `${figure.kept} of ${figure.windows.length}`,
    ]),
    goals: [
      atMost('Bolt at depth 1', against('bolt, depth 1'), 0.8, 'x HTTP/1.1'),
      atMost('Bolt at depth 100', against('bolt, depth 100'), 0.35, 'x HTTP/1.1'),
      atMost('described protocol', costOf('mainstay, depth 100') / costOf('bolt, depth 100'), 1.3, 'x Bolt'),
    ],
    remarks: remarksOn(figures),
    raw: figures,
  }
}
