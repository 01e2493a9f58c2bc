/**
 * The application behind the proxies: an nginx that answers from memory, so that it costs less than any proxy before
 * it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, scratchFolder, startProgram, untilListening } from './processes.ts'

export interface Origin {
  readonly port: number
  /** The same in HTTP/2 without TLS. */
  readonly http2Port: number
  /** All of them; the same application answers on each. */
  readonly ports: readonly number[]
  /**
   * Paths: `/` two bytes, `/1k` 1 KiB, `/10k` 10 KB of JSON, `/1m` 1 MiB, `/grpc` a message of 256 bytes with its
   * status.
   */
  close(): Promise<void>
}

export async function startOrigin(cpus: string, count = 1): Promise<Origin> {
  const folder = scratchFolder('origin')
  const message = 'm'.repeat(256)
  const ports: number[] = []
  while (ports.length < count) ports.push(await freePort())
  const http2Port = await freePort()
  mkdirSync(join(folder.path, 'files'))
  writeFileSync(join(folder.path, 'files', '1m'), Buffer.alloc(1024 * 1024, 'a'))
  writeFileSync(join(folder.path, 'files', '10k'), jsonOf(10_240))
  writeFileSync(
    join(folder.path, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder.path}/pid; error_log ${folder.path}/error.log;
events { worker_connections 12000; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder.path}/a; proxy_temp_path ${folder.path}/b; fastcgi_temp_path ${folder.path}/c;
  uwsgi_temp_path ${folder.path}/d; scgi_temp_path ${folder.path}/e;
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} backlog=4096;`).join(' ')}
    listen 127.0.0.1:${http2Port} backlog=4096 http2;
    http2_max_requests 1000000000;
    location / { return 200 "ok"; }
    location = /grpc { default_type application/grpc; add_header grpc-status 0; return 200 "${message}"; }
    location = /1k { return 200 "${'k'.repeat(1024)}"; }
    location = /10k { root ${folder.path}/files; default_type application/json; open_file_cache max=10; }
    location = /1m { root ${folder.path}/files; }
  }
}
`,
  )
  const program = startProgram(cpus, 'nginx', ['-p', folder.path, '-c', join(folder.path, 'nginx.conf')])
  for (const port of ports) await untilListening(port, program)
  return {
    port: ports[0]!,
    ports,
    http2Port,
    close: async () => {
      await program.stop()
      folder.close()
    },
  }
}

/** Rows as an API answers them, cut to `bytes`. */
function jsonOf(bytes: number): string {
  const rows = Array.from({ length: 100 }, (_, i) => ({
    id: (i * 7919) % 10_007,
    name: `item ${(i * 31) % 97}`,
    price: ((i * 137) % 9973) / 100,
    tags: [`a${i % 5}`, 'blue', 'stock'],
    note: `seen ${(i * i) % 1013} times by ${(i * 17) % 89} people`,
  }))
  return JSON.stringify(rows).slice(0, bytes)
}
