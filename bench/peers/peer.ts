/** What a benchmark needs of a proxy under test. */
import type { BenchOptions } from '../scenario.ts'

/** `http2`: by prior knowledge, on both sides. */
export type Mode = 'http' | 'http2' | 'tcp' | 'udp'

export interface PeerOptions {
  /** As taskset takes them. */
  readonly cpus: string
  readonly originPort: number
  readonly mode: Mode
  readonly workers: number
  /** nginx compresses JSON; the others ignore it. */
  readonly compresses?: boolean
  /** Entry point of our worker; the others ignore it. */
  readonly workerMain: string
}

/** One worker, alone on the CPU of the proxy: how all scenarios run that say nothing else. */
export function oneWorker(options: BenchOptions, originPort: number, mode: Mode): PeerOptions {
  return { cpus: options.proxyCpu, originPort, mode, workers: 1, workerMain: options.workerMain }
}

export interface RunningPeer {
  readonly port: number
  /** Processes that carry traffic: their CPU and memory are what is measured. */
  readonly pids: readonly number[]
  close(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** undefined = not on this machine; `missing` then says how to get it. */
  version(): string | undefined
  readonly missing: string
  readonly modes: readonly Mode[]
  start(options: PeerOptions): Promise<RunningPeer>
}
