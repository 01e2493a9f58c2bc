/** nginx as a reverse proxy: keep-alive on both sides, one worker process per requested worker. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childrenOf, freePort, scratchFolder, startProgram, untilListening, versionOf } from '../processes.ts'
import type { Peer, PeerOptions } from './peer.ts'

export const nginx: Peer = {
  name: 'nginx',
  missing: 'apt-get install nginx, and libnginx-mod-stream for UDP',
  modes: ['http', 'udp'],
  version: () => versionOf('nginx', ['-v']),
  start: async (options) => {
    const folder = scratchFolder('nginx')
    const port = await freePort()
    writeFileSync(join(folder.path, 'nginx.conf'), configuration(options, port, folder.path))
    const program = startProgram(options.cpus, 'nginx', ['-p', folder.path, '-c', join(folder.path, 'nginx.conf')])
    if (options.mode !== 'udp') await untilListening(port, program)
    let workers = childrenOf(program.pid)
    while (workers.length < options.workers) {
      await sleep(20)
      workers = childrenOf(program.pid)
    }
    return {
      port,
      pids: workers,
      close: async () => {
        await program.stop()
        folder.close()
      },
    }
  },
}

/** Where its dynamic modules are; HOSTMESH_NGINX_MODULES names another folder. */
const modules = process.env['HOSTMESH_NGINX_MODULES'] ?? '/usr/lib/nginx/modules'

function configuration(options: PeerOptions, port: number, folder: string): string {
  const reuse = options.workers > 1 ? ' reuseport' : ''
  if (options.mode === 'udp')
    return `load_module ${modules}/ngx_stream_module.so;
daemon off; worker_processes ${options.workers}; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 12000; }
stream {
  upstream out { server 127.0.0.1:${options.originPort}; }
  server { listen 127.0.0.1:${port} udp${reuse}; proxy_pass out; proxy_timeout 60s; }
}
`
  return `daemon off; worker_processes ${options.workers}; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 12000; }
http {
  ${options.compresses === true ? 'gzip on; gzip_types application/json; gzip_min_length 256; gzip_comp_level 1; gzip_proxied any;' : ''}
  access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  upstream out { server 127.0.0.1:${options.originPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${reuse} backlog=4096;
    location / { proxy_pass http://out; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`
}
