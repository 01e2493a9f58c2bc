/**
 * What is restarted: a host of ours, and HAProxy and nginx as they are reloaded by their own manuals. All forward to
 * the same origin.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FarSide } from '../../test/support/continuity/far-side.ts'
import { startRealWorkers } from '../../test/support/continuity/real-workers.ts'
import { testOptions } from '../../test/support/continuity/watchdog-options.ts'
import { freePort } from '../../test/support/free-port.ts'

/** Longer than in tests, at whose deadlines an overloaded origin's answers would be cut. */
export const tuning = { deadlines: testOptions.deadlines }

export interface RestartedProxy {
  readonly name: string
  readonly httpPort: number
  restart(): Promise<void>
  close(): Promise<void>
}

export async function hostmesh(provider: FarSide): Promise<RestartedProxy> {
  const host = await startRealWorkers(provider, { tuning })
  return {
    name: 'hostmesh',
    httpPort: host.httpPort,
    restart: async () => {
      const report = await host.reload('serving')
      if (report.outcome !== 'done') throw new Error(report.cause)
      await host.until((state) => state.generations.length === 1, 'the old generation is gone', 70_000)
    },
    close: async () => {
      const left = await host.end()
      if (left.length > 0) throw new Error(`processes left: ${left.join(', ')}`)
    },
  }
}

/** undefined when it is not on this machine. */
export async function haproxy(originPort: number): Promise<RestartedProxy | undefined> {
  return reloadable('haproxy', ['-v'], 'SIGUSR2', (folder, port) => {
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  maxconn 4000
  stats socket ${folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend out
backend out
  server one 127.0.0.1:${originPort}
`,
    )
    return ['-W', '-f', file]
  })
}

export async function nginx(originPort: number): Promise<RestartedProxy | undefined> {
  return reloadable('nginx', ['-v'], 'SIGHUP', (folder, port) => {
    const file = join(folder, 'nginx.conf')
    writeFileSync(
      file,
      `daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 2;
events { worker_connections 4000; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  upstream out { server 127.0.0.1:${originPort}; keepalive 64; }
  server { listen 127.0.0.1:${port} backlog=4096; location / { proxy_pass http://out; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`,
    )
    return ['-p', folder, '-c', file]
  })
}

async function reloadable(
  name: string,
  versionArguments: readonly string[],
  signal: NodeJS.Signals,
  configure: (folder: string, port: number) => readonly string[],
): Promise<RestartedProxy | undefined> {
  if (spawnSync(name, versionArguments).error !== undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), `hm-${name}-`))
  const port = await freePort()
  const child = spawn(name, configure(folder, port), { stdio: 'ignore' })
  await untilListening(port, child)
  return {
    name,
    httpPort: port,
    restart: async () => {
      child.kill(signal)
      await new Promise((resolve) => setTimeout(resolve, 300))
    },
    close: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`)
    const socket = net.connect(port, '127.0.0.1')
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
