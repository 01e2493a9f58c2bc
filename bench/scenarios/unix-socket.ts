/** What a caller's unix socket saves beside TCP over loopback: CPU of the worker per request, on the same path. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ListenerSpec, Snapshot } from '../../contracts/snapshot.ts'
import { h2loadMissing, runH2load } from '../load/h2load.ts'
import { benchService } from '../mesh-snapshot.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { freePort, scratchFolder, startProgram, untilListening, versionOf } from '../processes.ts'
import { atMost, format, median } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import type { Figure } from '../windows.ts'
import { methodOf } from './http1.ts'

const connections = 64

/** An nginx that calls the worker in both ways, as applications with pools of connections do. */
async function startCaller(cpus: string, folder: string, workerPort: number, socket: string) {
  const port = await freePort()
  writeFileSync(
    join(folder, 'caller.conf'),
    `daemon off; master_process off; pid ${folder}/caller.pid; error_log ${folder}/caller.log;
events { worker_connections 4096; }
http {
  access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host bench;
  upstream by_tcp { server 127.0.0.1:${workerPort}; keepalive 128; keepalive_requests 1000000000; }
  upstream by_unix { server unix:${socket}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location /tcp { proxy_pass http://by_tcp/; }
    location /unix { proxy_pass http://by_unix/; }
  }
}
`,
  )
  const program = startProgram(cpus, 'nginx', ['-p', folder, '-c', join(folder, 'caller.conf')])
  await untilListening(port, program)
  return { port, stop: () => program.stop() }
}

export const unixSocket: Scenario = {
  name: 'unix-socket',
  title: 'Callers at a unix socket: CPU µs of the worker per request against TCP over loopback',
  run: async (options) => {
    if (versionOf('h2load', ['--version']) === undefined) throw new Error(`h2load is missing: ${h2loadMissing}`)
    const origin = await startOrigin(options.loadCpu)
    const folder = scratchFolder('unix')
    const socket = join(folder.path, 'out.sock')
    const name = 'outbound-socket'
    const listener: ListenerSpec = {
      name,
      kind: 'shared-http',
      address: socket,
      port: 0,
      proxyProtocol: 'off',
      access: { mode: 0o666 },
    }
    const amend = (snapshot: Snapshot): Snapshot => ({
      ...snapshot,
      listeners: { ...snapshot.listeners, [name]: listener },
      names: { bench: benchService },
    })
    const mesh = await startMesh({ ...oneWorker(options, origin.port, 'http'), amend })
    const caller = await startCaller(options.loadCpu, folder.path, mesh.port, socket)
    try {
      const peer = { port: caller.port, pids: mesh.pids, close: async () => {} }
      const direct = (to: string) => (seconds: number) =>
        runH2load({ cpus: options.loadCpu, url: 'http://bench/', connections, streams: 1, isHttp1: true, to, seconds })
      const contenders = [
        { name: 'TCP over loopback', peer, path: '/', load: direct(`127.0.0.1:${mesh.port}`) },
        { name: 'unix socket', peer, path: '/', load: direct(socket) },
        { name: 'nginx, TCP over loopback', peer, path: '/tcp' },
        { name: 'nginx, unix socket', peer, path: '/unix' },
      ]
      const figures = await runWindows(contenders, connections, options)
      const [tcp, unix, nginxTcp, nginxUnix] = figures
      return {
        name: 'unix-socket',
        title: unixSocket.title,
        method: [
          ...methodOf(options),
          'ratios: medians of those of each round, whose windows stand side by side',
          'here h2load (HTTP/1.1) is the generator and calls in both ways; nginx rows: an nginx with kept connections calls, beside wrk on one cpu, and keeps the worker half busy',
        ],
        columns: ['caller', 'median µs', 'least µs', 'requests/s', 'windows'],
        rows: figures.map((figure) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(figure.requestsPerSecond),
          `${figure.kept} of ${figure.windows.length}`,
        ]),
        goals: [
          atMost('unix socket', ofRounds(unix!, tcp!), 0.8, 'x TCP'),
          atMost('unix socket, called by nginx', ofRounds(nginxUnix!, nginxTcp!), 0.8, 'x TCP'),
        ],
        remarks: remarksOn(figures),
        raw: figures,
      }
    } finally {
      await caller.stop()
      await mesh.close()
      await origin.close()
      folder.close()
    }
  },
}

/** Cost of one against the other in the same round, the median of all rounds: the machine's speed is not in it. */
function ofRounds(one: Figure, other: Figure): number {
  const costs = ({ windows }: Figure): number[] =>
    windows.map(({ cpuMicroseconds, isDropped, requests }) => (isDropped ? NaN : cpuMicroseconds / requests))
  const against = costs(other)
  return median(
    costs(one)
      .map((cost, round) => cost / against[round]!)
      .filter((ratio) => !Number.isNaN(ratio)),
  )
}
