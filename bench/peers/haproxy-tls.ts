/** HAProxy with mutual TLS 1.3 on one side or both: as a contender, and as what stands before and behind one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkloadCertificate } from '../../contracts/workload-certificate.ts'
import { freePort, scratchFolder, startProgram, untilListening } from '../processes.ts'
import type { RunningPeer } from './peer.ts'

export interface TlsProxyOptions {
  readonly cpus: string
  readonly targetPort: number
  readonly certificate: WorkloadCertificate
  /** Of callers, and towards the target. */
  readonly takesTls: boolean
  readonly callsTls: boolean
}

export async function startTlsHaproxy(options: TlsProxyOptions): Promise<RunningPeer> {
  const { callsTls, certificate, cpus, takesTls, targetPort } = options
  const folder = scratchFolder('haproxy-tls')
  const port = await freePort()
  const [file, pair, roots] = ['haproxy.cfg', 'pair.pem', 'roots.pem'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(pair, certificate.chain + certificate.key, { mode: 0o600 })
  writeFileSync(roots, certificate.trustBundle)
  const tls = `ssl crt ${pair} ca-file ${roots} verify required`
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4000
  hard-stop-after 1s
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-server-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout connect 1s
  timeout client 600s
  timeout server 600s
  retries 2
  option http-keep-alive
  http-reuse always
  retry-on conn-failure empty-response
frontend in
  bind 127.0.0.1:${port} backlog 4096 ${takesTls ? tls : ''}
  default_backend out
backend out
  server one 127.0.0.1:${targetPort} ${callsTls ? tls : ''}
`,
  )
  const program = startProgram(cpus, 'haproxy', ['-db', '-f', file])
  await untilListening(port, program)
  return {
    port,
    pids: [program.pid],
    close: async () => {
      await program.stop()
      folder.close()
    },
  }
}
