/**
 * HAProxy: the calibration row of every run. Keep-alive on both sides, connections reused, retries on; it splices when
 * it finds that worth it.
 *
 * What it finds differs from run to run, by a factor of three in the cost of bulk. So there is a second one that always
 * splices, cheaper for bulk and dearer for what is small.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, scratchFolder, startProgram, untilListening, versionOf } from '../processes.ts'
import type { Mode, Peer, PeerOptions } from './peer.ts'

export const haproxy = peer('HAProxy', ['http', 'http2', 'tcp'], 'splice-auto')
export const splicingHaproxy = peer('HAProxy splicing', ['http', 'tcp'], 'splice-request', 'splice-response')

function peer(name: string, modes: readonly Mode[], ...splice: readonly string[]): Peer {
  return {
    name,
    missing: 'apt-get install haproxy',
    modes,
    version: () => versionOf('haproxy', ['-v']),
    start: async (options) => {
      const folder = scratchFolder('haproxy')
      const port = await freePort()
      const file = join(folder.path, 'haproxy.cfg')
      writeFileSync(file, configuration(options, port, splice))
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
}

function configuration(options: PeerOptions, port: number, splice: readonly string[]): string {
  const perMode =
    options.mode !== 'tcp'
      ? '  option http-keep-alive\n  http-reuse always\n  retry-on conn-failure empty-response\n'
      : ''
  const spliceOptions = splice.map((option) => `  option ${option}\n`).join('')
  const protocol = options.mode === 'http2' ? ' proto h2' : ''
  return `global
  nbthread ${options.workers}
  maxconn 4000
  hard-stop-after 1s
defaults
  mode ${options.mode === 'tcp' ? 'tcp' : 'http'}
  timeout connect 1s
  timeout client 600s
  timeout server 600s
  retries 2
${perMode}${spliceOptions}frontend in
  bind 127.0.0.1:${port} backlog 4096${protocol}
  default_backend out
backend out
  balance roundrobin
  server one 127.0.0.1:${options.originPort}${protocol}
`
}
