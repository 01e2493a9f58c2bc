/**
 * Hostmesh: real worker processes with a real snapshot over the real link; balancing, retry, breaker, outlier detection
 * and metrics on, access log off.
 */
import { startControlStandIn } from '../control-stand-in.ts'
import type { ControlStandIn } from '../control-stand-in.ts'
import { meshSnapshot } from '../mesh-snapshot.ts'
import type { MeshTraits } from '../mesh-snapshot.ts'
import { freePort, scratchFolder, startProgram, untilListening } from '../processes.ts'
import type { Program } from '../processes.ts'
import { fastCallsFlag } from '../../native/bare-functions.ts'
import type { Snapshot } from '../../contracts/snapshot.ts'
import type { WorkloadCertificates } from '../../contracts/workload-certificate.ts'
import type { Peer, PeerOptions, RunningPeer } from './peer.ts'

const generation = 1

export interface RunningMesh extends RunningPeer {
  readonly control: ControlStandIn
  readonly snapshot: Snapshot
  readonly workers: readonly Program[]
  /** The run directory of the workers. */
  readonly folder: string
}

export type MeshOptions = PeerOptions &
  Partial<Pick<MeshTraits, 'extraRoutes' | 'accessLog' | 'traces' | 'filters' | 'userFilters'>> & {
    /** How its sockets are served; absent: the fastest that this machine proves. */
    readonly transport?: 'epoll' | 'raw' | 'public'
    /** Flags for the engine, such as --trace-gc. */
    readonly nodeFlags?: readonly string[]
    /** For mutual TLS. */
    readonly certificates?: WorkloadCertificates
    /** Changes the snapshot before any worker sees it. */
    readonly amend?: (snapshot: Snapshot) => Snapshot
  }

export async function startMesh(options: MeshOptions): Promise<RunningMesh> {
  const folder = scratchFolder('mesh')
  const port = await freePort()
  const plain = meshSnapshot({ ...options, protocol: options.mode, port })
  const snapshot = options.amend?.(plain) ?? plain
  const control = await startControlStandIn(folder.path, generation, snapshot, options.certificates)
  const workers = Array.from({ length: options.workers }, (_value, index) =>
    startProgram(options.cpus, process.execPath, [
      fastCallsFlag,
      '--expose-gc',
      ...(options.nodeFlags ?? []),
      options.workerMain,
      '--run-dir',
      folder.path,
      '--generation',
      String(generation),
      '--index',
      String(index),
      '--workers',
      String(options.workers),
      '--transport',
      options.transport ?? 'auto',
      '--alone',
    ]),
  )
  const close = async (): Promise<void> => {
    for (const worker of workers) await worker.stop()
    await control.close()
    folder.close()
  }
  try {
    const died = workers.map(
      (worker) =>
        new Promise<never>((_resolve, reject) => {
          worker.child.once('exit', () => reject(new Error(`a worker ended: ${worker.output()}`)))
        }),
    )
    for (const promise of died) promise.catch(() => undefined)
    await Promise.race([control.untilApplied(snapshot.version, workers.length), ...died])
    // whoever takes datagrams accepts nothing: that its port is bound is in what it told control
    if (options.mode !== 'udp') for (const worker of workers) await untilListening(port, worker)
  } catch (error) {
    await close()
    throw error
  }
  return { port, pids: workers.map((worker) => worker.pid), control, snapshot, workers, folder: folder.path, close }
}

export const hostmesh: Peer = {
  name: 'Hostmesh',
  missing: '',
  modes: ['http', 'http2', 'tcp', 'udp'],
  version: () => `Hostmesh on Node ${process.versions.node}`,
  start: startMesh,
}

/** The same on Node's own handles: what sockets of our own gain (decision 0035). */
export const hostmeshRaw: Peer = {
  ...hostmesh,
  name: 'Hostmesh-raw',
  start: (options) => startMesh({ ...options, transport: 'raw' }),
}
