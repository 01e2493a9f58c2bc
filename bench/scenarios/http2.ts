/**
 * CPU per request in HTTP/2 on both sides, and per unary call of gRPC, ours against the peers that speak it towards
 * endpoints, in one interleaved run for each kind of load.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { allPeers, startPeers } from '../contenders.ts'
import { h2loadMissing, runH2load } from '../load/h2load.ts'
import { startOrigin } from '../origin.ts'
import { againstEarlier } from '../peers/earlier.ts'
import { oneWorker } from '../peers/peer.ts'
import type { RunningPeer } from '../peers/peer.ts'
import { scratchFolder, versionOf } from '../processes.ts'
import { atMost, format } from '../scenario.ts'
import type { BenchOptions, Goal, Scenario, ScenarioReport } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Figure } from '../windows.ts'

interface Load {
  readonly title: string
  readonly path: string
  readonly connections: number
  readonly streams: number
  readonly kind: 'get' | 'call' | 'paths'
  /** Wanted at most, against HAProxy and against Envoy. */
  readonly goals: readonly [haproxy: number, envoy: number | undefined]
}

const messageBytes = 256
const differentPaths = 3000

const requests: readonly Load[] = [
  { title: 'GET, 32 × 1', path: '/', connections: 32, streams: 1, kind: 'get', goals: [1, 0.35] },
  { title: 'GET, 8 × 32', path: '/', connections: 8, streams: 32, kind: 'get', goals: [1, 0.35] },
  { title: 'GET, 4 × 100', path: '/', connections: 4, streams: 100, kind: 'get', goals: [1, 0.35] },
  { title: '3,000 paths, 8 × 32', path: '/', connections: 8, streams: 32, kind: 'paths', goals: [1.1, undefined] },
  { title: '1 MiB, 8 × 4', path: '/1m', connections: 8, streams: 4, kind: 'get', goals: [1.2, undefined] },
]
const calls: readonly Load[] = [
  { title: 'unary 256 B, 32 × 1', path: '/grpc', connections: 32, streams: 1, kind: 'call', goals: [0.85, undefined] },
  { title: 'unary 256 B, 8 × 32', path: '/grpc', connections: 8, streams: 32, kind: 'call', goals: [0.85, undefined] },
]

const grpcHeaders = { 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': '20S' }

export const http2: Scenario = {
  name: 'http2',
  title: 'HTTP/2 on both sides: CPU µs per request',
  run: (options) => run('http2', http2.title, requests, options),
}

export const grpc: Scenario = {
  name: 'grpc',
  title: 'unary calls of gRPC: CPU µs per call',
  run: (options) => run('grpc', grpc.title, calls, options),
}

async function run(
  name: string,
  title: string,
  loads: readonly Load[],
  options: BenchOptions,
): Promise<ScenarioReport> {
  if (versionOf('h2load', ['--version']) === undefined) throw new Error(`h2load is missing: ${h2loadMissing}`)
  const origin = await startOrigin(options.loadCpu)
  const started = await startPeers(allPeers, oneWorker(options, origin.http2Port, 'http2'), options)
  const folder = scratchFolder('http2')
  const message = join(folder.path, 'message')
  writeFileSync(message, Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), Buffer.alloc(messageBytes, 'm')]))
  const rows: string[][] = []
  const goals: Goal[] = []
  const all: Figure[] = []
  try {
    for (const load of loads) {
      const contenders = started.peers.map(({ name: contender, peer }) => ({
        name: contender,
        peer,
        path: load.path,
        load: (seconds: number) => runH2load({ ...loadOn(load, peer, message, folder.path, options), seconds }),
      }))
      const figures = await runWindows(contenders, load.connections, options)
      all.push(...figures)
      const costOf = (one: string): number => figures.find(({ contender }) => contender === one)?.median ?? NaN
      for (const figure of figures) {
        const { contender, kept, median, requestsPerSecond, windows } = figure
        rows.push([
          load.title,
          contender,
          format(median),
          format(median / costOf('HAProxy')),
          format(requestsPerSecond),
          `${kept} of ${windows.length}`,
        ])
      }
      const [ofHaproxy, ofEnvoy] = load.goals
      goals.push(atMost(`${load.title} against HAProxy`, costOf('Hostmesh') / costOf('HAProxy'), ofHaproxy, 'x'))
      goals.push(...againstEarlier(load.title, costOf))
      if (ofEnvoy !== undefined)
        goals.push(atMost(`${load.title} against Envoy`, costOf('Hostmesh') / costOf('Envoy'), ofEnvoy, 'x'))
    }
  } finally {
    await started.close()
    await origin.close()
    folder.close()
  }
  return {
    name,
    title,
    method: [
      `proxy alone on cpu ${options.proxyCpu}; h2load (1 thread) and an nginx origin that answers from memory on cpu ${options.loadCpu}; cleartext, prior knowledge on both sides`,
      `CPU: schedstat of all threads of the proxy; ${options.warmSeconds} s warm-up, then ${options.windows} interleaved windows of ${options.windowSeconds} s, for each load`,
      'loads: connections × streams at once; nginx speaks no HTTP/2 to endpoints and is no peer here',
    ],
    columns: ['load', 'proxy', 'median µs', 'to HAProxy', 'requests/s', 'windows'],
    rows,
    goals,
    remarks: [...started.remarks, ...remarksOn(all)],
    raw: all,
  }
}

function loadOn(load: Load, peer: RunningPeer, message: string, folder: string, options: BenchOptions) {
  const { connections, kind, path, streams } = load
  const url = `http://127.0.0.1:${peer.port}${path}`
  const common = { cpus: options.loadCpu, url, connections, streams }
  if (kind === 'call') return { ...common, headers: grpcHeaders, contentFile: message }
  if (kind === 'get') return common
  const urlsFile = join(folder, `urls-${peer.port}`)
  const urls = Array.from({ length: differentPaths }, (_value, index) => `${url}orders/${index * 7919}`)
  writeFileSync(urlsFile, urls.join('\n'))
  return { ...common, urlsFile }
}
