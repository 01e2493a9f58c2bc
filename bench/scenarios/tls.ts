/** CPU per request with mutual TLS on one side and on both, beside HAProxy, and what TLS adds to each. */
import type { Snapshot } from '../../contracts/snapshot.ts'
import type { WorkloadCertificate } from '../../contracts/workload-certificate.ts'
import { Authority } from '../../test/support/tls/authority.ts'
import { startOrigin } from '../origin.ts'
import { startMesh } from '../peers/hostmesh.ts'
import { startTlsHaproxy } from '../peers/haproxy-tls.ts'
import { oneWorker } from '../peers/peer.ts'
import type { RunningPeer } from '../peers/peer.ts'
import { versionOf } from '../processes.ts'
import { atMost, format } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'
import { remarksOn, runWindows } from '../windows.ts'
import { methodOf } from './http1.ts'

const connections = 64
const paths = ['/1k', '/1m'] as const

export const tls: Scenario = {
  name: 'tls',
  title: 'Mutual TLS 1.3, AES-128-GCM, 64 keep-alive connections: CPU µs per request',
  run: async (options) => {
    const closers: (() => Promise<void>)[] = []
    const opened = <T extends { close(): Promise<void> }>(one: T): T => {
      closers.unshift(() => one.close())
      return one
    }
    try {
      const origin = opened(await startOrigin(options.loadCpu))
      const certificate = benchCertificate()
      const back = opened(
        await startTlsHaproxy({
          cpus: options.loadCpu,
          targetPort: origin.port,
          certificate,
          takesTls: true,
          callsTls: false,
        }),
      )
      const before = async (peer: RunningPeer): Promise<RunningPeer> => {
        const parts = { cpus: options.loadCpu, targetPort: peer.port, certificate, takesTls: false, callsTls: true }
        const front = opened(await startTlsHaproxy(parts))
        return { ...front, pids: peer.pids }
      }
      const contenders = []
      for (const isOut of [false, true]) {
        const targetPort = isOut ? back.port : origin.port
        const haproxy = opened(
          await startTlsHaproxy({
            cpus: options.proxyCpu,
            targetPort,
            certificate,
            takesTls: true,
            callsTls: isOut,
          }),
        )
        const ours = opened(await startTlsMesh(options, targetPort, certificate, isOut))
        for (const [name, peer] of [
          ['HAProxy', await before(haproxy)],
          ['Hostmesh', await before(ours)],
        ] as const)
          for (const path of paths) contenders.push({ name: nameOf(name, isOut, path), peer, path })
      }
      const figures = await runWindows(contenders, connections, options)
      const cost = (name: string, isOut: boolean, path: string): number =>
        figures.find((one) => one.contender === nameOf(name, isOut, path))?.median ?? NaN
      const ratio = (isOut: boolean, path: string): number =>
        cost('Hostmesh', isOut, path) / cost('HAProxy', isOut, path)
      return {
        name: 'tls',
        title: tls.title,
        method: [
          ...methodOf(options),
          'callers are a HAProxy on the CPU of the load that speaks mutual TLS with the proxy; with TLS out another one stands before the origin',
        ],
        columns: ['proxy', 'median µs', 'least µs', 'to HAProxy', 'requests/s', 'windows'],
        rows: figures.map((figure) => [
          figure.contender,
          format(figure.median),
          format(figure.least),
          format(figure.median / (figures.find((one) => one.contender === haproxyOf(figure.contender))?.median ?? NaN)),
          format(figure.requestsPerSecond),
          `${figure.kept} of ${figure.windows.length}`,
        ]),
        goals: [
          atMost('TLS in, plain out, 1 KiB', ratio(false, '/1k'), 0.9, 'x HAProxy'),
          atMost('TLS in and out, 1 KiB', ratio(true, '/1k'), 0.95, 'x HAProxy'),
          atMost('TLS in, plain out, 1 MiB', ratio(false, '/1m'), 0.7, 'x HAProxy'),
        ],
        remarks: [`HAProxy ${versionOf('haproxy', ['-v']) ?? 'unknown'}`, ...remarksOn(figures)],
        raw: figures,
      }
    } finally {
      for (const close of closers) await close()
    }
  },
}

const nameOf = (name: string, isOut: boolean, path: string): string =>
  `${name} TLS in${isOut ? ' and out' : ''} ${path}`

const haproxyOf = (contender: string): string => contender.replace('Hostmesh', 'HAProxy')

function benchCertificate(): WorkloadCertificate {
  const authority = new Authority()
  const id = 'spiffe://bench.test/ns/default/sa/bench'
  const { certificate: chain, key } = authority.leaf(id, { dns: ['localhost'] })
  return { id, chain, key, trustBundle: authority.certificate, notAfter: Date.now() + 3_600_000 }
}

function startTlsMesh(
  options: BenchOptions,
  originPort: number,
  certificate: WorkloadCertificate,
  isOut: boolean,
): Promise<RunningPeer> {
  return startMesh({
    ...oneWorker(options, originPort, 'http'),
    certificates: [certificate],
    amend: (snapshot) => withTls(snapshot, isOut),
  })
}

/** The one listener takes mutual TLS alone, and so does the one endpoint. */
function withTls(snapshot: Snapshot, isOut: boolean): Snapshot {
  const listeners = Object.entries(snapshot.listeners).map(([name, spec]) => [
    name,
    spec.kind === 'service' ? { ...spec, kind: 'inbound', app: 'bench', mtls: 'strict' } : spec,
  ])
  const services = Object.entries(snapshot.services).map(([key, service]) => {
    const tlsOut = { mode: 'mutual', sni: '', subjectAltNames: [], roots: '' } as const
    return [key, { ...service, policy: { ...service.policy, tls: isOut ? tlsOut : undefined } }]
  })
  return {
    ...snapshot,
    listeners: Object.fromEntries(listeners) as Snapshot['listeners'],
    services: Object.fromEntries(services) as Snapshot['services'],
  }
}
