/**
 * What spans and log records cost: the worker and the process that sends them to a collector, on top of a worker that
 * only writes trace headers.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runFiles } from '../../contracts/run-directory.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import { cpuNanoseconds, residentBytes } from '../cpu.ts'
import { runWrk } from '../load/wrk.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { RunningMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { freePort, startProgram, untilExists, untilListening } from '../processes.ts'
import type { Program } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'
import { ratioOfRounds, remarksOn, runWindows } from '../windows.ts'
import type { Contender } from '../windows.ts'
import { methodOf } from './http1.ts'

/** What is recorded. */
interface Records {
  readonly sampledShare: number
  readonly logs?: boolean
}
interface Plan extends Records {
  readonly name: string
  readonly isCollectorGone?: boolean
}
export interface WithSender {
  readonly mesh: RunningMesh
  readonly sender: Program | undefined
}

const main = fileURLToPath(new URL('../telemetry-main.ts', import.meta.url))
const connections = 64
const mebibyte = 1024 * 1024

export const telemetry: Scenario = {
  name: 'telemetry',
  title:
    'Spans and log records to a collector: CPU µs per request of worker and sender against a worker that writes trace headers only',
  run: async (options) => {
    const origin = await startOrigin(options.loadCpu)
    const sinkPort = await freePort()
    const sink = startProgram(options.loadCpu, process.execPath, [main, 'sink', String(sinkPort)])
    const plans: readonly Plan[] = [
      { name: 'headers only', sampledShare: 0 },
      { name: 'traces 1 %', sampledShare: 0.01 },
      { name: 'traces 100 %', sampledShare: 1 },
      { name: 'access log by OTLP', sampledShare: 0, logs: true },
      { name: 'traces 100 %, collector gone', sampledShare: 1, isCollectorGone: true },
    ]
    const started: WithSender[] = []
    try {
      await untilListening(sinkPort, sink)
      for (const plan of plans) {
        const port = plan.isCollectorGone === true ? await freePort() : sinkPort
        started.push(await startWithSender(options, origin.port, plan, port))
      }
      const before = started.map(memoryOf)
      const shares = plans.map((): number[] => [])
      const contenders = plans.map(({ name }, index) => contender(name, started[index]!, shares[index]!, options))
      const figures = await runWindows(contenders, connections, options)
      const after = started.map(memoryOf)
      const ratio = (at: number): number => ratioOfRounds(figures[at]!, figures[0]!)
      const grown = after.map((bytes, at) => (bytes - before[at]!) / mebibyte)
      return {
        name: 'telemetry',
        title: telemetry.title,
        method: [
          ...methodOf(options),
          'the figure holds the worker and the process that sends; the collector reads and answers',
          'to headers only: the median of the ratios of each round',
          'memory: growth of both while the load ran, against that of the first line',
        ],
        columns: [
          'worker',
          'median µs',
          'least µs',
          'to headers only',
          'of it the sender, µs',
          'requests/s',
          'MiB more',
          'windows',
        ],
        rows: figures.map((figure, at) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(ratio(at)),
          format(median(shares[at]!)),
          format(figure.requestsPerSecond),
          format(grown[at]! - grown[0]!),
          `${figure.kept} of ${figure.windows.length}`,
        ]),
        goals: [
          atMost('traces at 1 %', ratio(1), 1.05, 'x headers only'),
          atMost('traces at 100 %', ratio(2), 1.25, 'x headers only'),
          atMost('access log by OTLP', ratio(3), 1.15, 'x headers only'),
          atMost('memory with the collector gone', grown[4]! - grown[0]!, 16, 'MiB more'),
        ],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      for (const { mesh, sender } of started) {
        await sender?.stop()
        await mesh.close()
      }
      await sink.stop()
      await origin.close()
    }
  },
}

/** @param shares gets the sender's CPU µs per request of each window. */
function contender(name: string, { mesh, sender }: WithSender, shares: number[], { loadCpu }: BenchOptions): Contender {
  const path = '/items/7?a=b'
  const senders = sender === undefined ? [] : [sender.pid]
  return {
    name,
    path,
    peer: { port: mesh.port, pids: [...mesh.pids, ...senders], close: mesh.close },
    load: async (seconds) => {
      const before = cpuNanoseconds(senders)
      const result = await runWrk({ cpus: loadCpu, url: `http://127.0.0.1:${mesh.port}${path}`, connections, seconds })
      shares.push((cpuNanoseconds(senders) - before) / 1000 / result.requests)
      return result
    },
  }
}

function memoryOf({ mesh, sender }: WithSender): number {
  return residentBytes(sender === undefined ? mesh.pids : [...mesh.pids, sender.pid])
}

/** A worker, and where something is recorded the process that sends it to a collector at that port. */
export async function startWithSender(
  options: BenchOptions,
  originPort: number,
  plan: Records,
  port: number,
): Promise<WithSender> {
  const isExported = plan.sampledShare > 0
  const amend = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    mesh: {
      ...snapshot.mesh,
      tracing: { createMissing: true, sampledShare: plan.sampledShare, isExported },
      accessLog: { format: 'off', path: '-', share: 1, isExported: plan.logs === true },
    },
  })
  const mesh = await startMesh({ ...oneWorker(options, originPort, 'http'), amend })
  if (!isExported && plan.logs !== true) return { mesh, sender: undefined }
  const socket = join(mesh.folder, runFiles.telemetry(1))
  const sender = startProgram(options.proxyCpu, process.execPath, [main, socket, `http://127.0.0.1:${port}`])
  await untilExists(socket, sender)
  return { mesh, sender }
}
