/** HAProxy: the calibration row of every run. Keep-alive on both sides, connections reused, retries on; splice for raw TCP. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, scratchFolder, startProgram, untilListening, versionOf } from '../processes.ts'
import type { Peer, PeerOptions } from './peer.ts'

export const haproxy: Peer = {
  name: 'HAProxy',
  missing: 'apt-get install haproxy',
  modes: ['http', 'tcp'],
  version: () => versionOf('haproxy', ['-v']),
  start: async (options) => {
    const folder = scratchFolder('haproxy')
    const port = await freePort()
    const file = join(folder.path, 'haproxy.cfg')
    writeFileSync(file, configuration(options, port))
    const program = startProgram(options.cpus, 'haproxy', ['-db', '-f', file])
    await untilListening(port, program)
    return {
      port,
      pids: [program.pid],
      close: async () => {
        await program.stop()
        folder.close()
      },
    }
  },
}

function configuration(options: PeerOptions, port: number): string {
  const perMode =
    options.mode === 'http'
      ? '  option http-keep-alive\n  http-reuse always\n  retry-on conn-failure empty-response\n'
      : '  option splice-auto\n'
  return `global
  nbthread ${options.workers}
  maxconn 4000
  hard-stop-after 1s
defaults
  mode ${options.mode}
  timeout connect 1s
  timeout client 600s
  timeout server 600s
  retries 2
${perMode}frontend in
  bind 127.0.0.1:${port} backlog 4096
  default_backend out
backend out
  balance roundrobin
  server one 127.0.0.1:${options.originPort}
`
}
