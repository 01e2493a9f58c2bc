/** Callers in Bolt that always have requests in flight, on a host whose generations are replaced under them. */
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { WatchdogHost } from '../continuity/watchdog-host.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import { boltFrame, boltRequest } from './bolt-frames.ts'
import { afterWork, RpcCaller, startApplication } from './far-sides.ts'
import type { Replied, RpcApplication } from './far-sides.ts'

const codec = new BoltCodec()
export const slowMs = 7000

/** Keeps so many requests in flight over one connection until it is told to stop. */
export class Asking {
  answered = 0
  /** Of the fast calls, ms. */
  slowest = 0
  /** Requests that got no reply because the connection ended. */
  cut = 0
  readonly failures: string[] = []
  private readonly caller: RpcCaller
  private readonly inFlight: number
  private isOver = false
  private readonly done: Promise<unknown>

  private constructor(caller: RpcCaller, inFlight: number) {
    this.caller = caller
    this.inFlight = inFlight
    this.done = Promise.all(Array.from({ length: inFlight }, (_, at) => this.run(at)))
  }

  static async start(port: number, inFlight: number): Promise<Asking> {
    return new Asking(await RpcCaller.connect(codec, port), inFlight)
  }

  get isClosed(): boolean {
    return this.caller.isClosed
  }

  private async run(lane: number): Promise<void> {
    for (let at = 0; !this.isOver; at++) {
      const words = `${lane} ${at}`.padEnd(16)
      const sentAt = performance.now()
      const content = Buffer.from(words)
      const reply = await this.caller.send(boltRequest('orders', 'place', { timeoutMs: 30_000, content }))
      if (reply === 'closed') this.cut++
      else if (reply.frame.status !== 200) this.failures.push(`status ${reply.frame.code}`)
      else if (!reply.bytes.subarray(-16).equals(content)) this.failures.push('the reply of somebody else')
      if (this.cut > 0 || this.failures.length > 0) return
      this.slowest = Math.max(this.slowest, performance.now() - sentAt)
      this.answered++
    }
  }

  /** A call that takes seconds, beside the others. */
  callSlowly(): Promise<Replied | 'closed'> {
    return this.caller.send(boltRequest('orders', 'slow', { timeoutMs: 20_000, content: Buffer.alloc(16, 's') }))
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.done
    if (this.cut > this.inFlight) this.failures.push(`${this.cut} requests cut of ${this.inFlight}`)
    this.caller.close()
  }
}

export interface BoltHost {
  readonly host: WatchdogHost
  readonly provider: RpcApplication
}

/** Two workers; each reply takes its time, so that there is always something in flight. */
export async function startBoltHost(): Promise<BoltHost> {
  const provider = await startApplication(codec, ({ bytes }) =>
    afterWork(
      bytes.at(-1) === 0x73 ? slowMs : 5 + (bytes.at(-9)! % 15),
      boltFrame({ type: 0, className: 'R', content: bytes.subarray(-16) }),
    ),
  )
  const endpoints = [{ address: '127.0.0.1', port: provider.port }]
  const pool = { ...defaultTrafficPolicy.pool, maxRequests: 100_000, maxPending: 100_000 }
  const host = await WatchdogHost.start({
    workers: 2,
    snapshot: ({ httpPort, tcpPort }) =>
      snapshotOf({
        services: [
          { name: 'orders', protocol: 'bolt' as RpcProtocol, endpoints, policy: { pool } },
          { name: 'web', endpoints: [] },
        ],
        listen: { web: { address: '127.0.0.1', port: httpPort } },
        rpc: { bolt: { address: '127.0.0.1', port: tcpPort } },
      }),
  })
  return { host, provider }
}

export interface Throughout {
  readonly answered: number
  readonly failures: readonly string[]
  readonly cut: number
  /** Connections that each restart moved, and cut. */
  readonly moved: readonly number[]
  readonly lost: number
}

export async function throughRestarts(
  host: WatchdogHost,
  load: { readonly connections: number; readonly inFlight: number; readonly restarts: number },
): Promise<Throughout> {
  const { connections, inFlight, restarts } = load
  const asking = await Promise.all(Array.from({ length: connections }, () => Asking.start(host.tcpPort, inFlight)))
  const moved: number[] = []
  let lost = 0
  for (let round = 0; round < restarts; round++) {
    const report = await host.reload()
    if (report.outcome !== 'done') throw new Error(`restart ${round}: ${report.outcome}, ${report.cause}`)
    const counts = report.counts.filter(({ protocol }) => protocol === 'rpc')
    moved.push(counts.reduce((sum, count) => sum + count.moved, 0))
    lost += counts.reduce((sum, count) => sum + count.cut, 0)
  }
  await Promise.all(asking.map((one) => one.stop()))
  return {
    answered: asking.reduce((sum, { answered }) => sum + answered, 0),
    failures: asking.flatMap(({ failures }) => failures),
    cut: asking.reduce((sum, { cut }) => sum + cut, 0),
    moved,
    lost,
  }
}
