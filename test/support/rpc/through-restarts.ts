/** Callers that always have requests in flight, on a host whose generations are replaced under them. */
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import type { MeshSpec } from '../../../contracts/snapshot.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import type { RpcCodec } from '../../../rpc/codec.ts'
import { DeclaredCodec } from '../../../rpc/declared/declared.ts'
import { DubboCodec } from '../../../rpc/dubbo/dubbo.ts'
import { ThriftCodec } from '../../../rpc/thrift/thrift.ts'
import { WatchdogHost } from '../continuity/watchdog-host.ts'
import { snapshotOf } from '../worker/snapshots.ts'
import { boltFrame, boltRequest } from './bolt-frames.ts'
import { dubboReply, dubboRequest, hessianText } from './dubbo-frames.ts'
import { afterWork, RpcCaller, startApplication } from './far-sides.ts'
import type { Replied, RpcApplication } from './far-sides.ts'
import { mainstayDescription, mainstayFrame, mainstayRequest } from './mainstay.ts'
import { binaryMessage, thriftFrame } from './thrift-frames.ts'

/** A protocol as these callers and their provider speak it. `words`: 16 letters in brackets, to be said back. */
export interface Speech {
  readonly codec: RpcCodec
  readonly mesh?: Partial<MeshSpec>
  request(words: Buffer, timeoutMs: number): Buffer
  reply(words: Buffer): Buffer
}

export const boltSpeech: Speech = {
  codec: new BoltCodec(),
  request: (content, timeoutMs) => boltRequest('orders', 'place', { timeoutMs, content }),
  reply: (content) => boltFrame({ type: 0, className: 'R', content }),
}

const dubboSpeech: Speech = {
  codec: new DubboCodec(),
  request: (words) => dubboRequest('orders', 'place', { arguments: hessianText(words.toString()) }),
  reply: (words) => dubboReply(0, words.toString()),
}

const thriftSpeech: Speech = {
  codec: new ThriftCodec(),
  request: (words) => thriftFrame(binaryMessage(1, 'orders:place', 1, words)),
  reply: (words) => thriftFrame(binaryMessage(2, 'place', 1, words)),
}

const mainstay = mainstayDescription()
const describedSpeech: Speech = {
  codec: new DeclaredCodec('mainstay', mainstay),
  mesh: { rpcProtocols: { mainstay } },
  request: (content, timeoutMs) => mainstayRequest('orders', 'place', { timeoutMs, content }),
  reply: (content) => mainstayFrame({ type: 3, content }),
}

/** Those that Bolt has a suite of its own for. */
export const otherSpeeches: readonly Speech[] = [dubboSpeech, thriftSpeech, describedSpeech]

export const slowMs = 7000
const slowly = 'slowly'

function wordsIn(frame: Buffer): string {
  const found = /\[[ \d]{14}\]|\[slowly {8}\]/.exec(frame.toString('latin1'))
  return found === null ? '' : found[0]
}

const wordsOf = (text: string): Buffer => Buffer.from(`[${text.padEnd(14)}]`)

/** Keeps so many requests in flight over one connection until it is told to stop. */
export class Asking {
  answered = 0
  /** Of the fast calls, ms. */
  slowest = 0
  /** Requests that got no reply because the connection ended. */
  cut = 0
  readonly failures: string[] = []
  private readonly speech: Speech
  private readonly caller: RpcCaller
  private readonly inFlight: number
  private isOver = false
  private readonly done: Promise<unknown>

  private constructor(speech: Speech, caller: RpcCaller, inFlight: number) {
    this.speech = speech
    this.caller = caller
    this.inFlight = inFlight
    this.done = Promise.all(Array.from({ length: inFlight }, (_, at) => this.run(at)))
  }

  static async start({ host, speech }: RpcHost, inFlight: number): Promise<Asking> {
    return new Asking(speech, await RpcCaller.connect(speech.codec, host.tcpPort), inFlight)
  }

  get isClosed(): boolean {
    return this.caller.isClosed
  }

  private async run(lane: number): Promise<void> {
    for (let at = 0; !this.isOver; at++) {
      const words = wordsOf(`${lane} ${at}`)
      const sentAt = performance.now()
      const reply = await this.caller.send(this.speech.request(words, 30_000))
      if (reply === 'closed') this.cut++
      else if (reply.frame.status !== 200) this.failures.push(`status ${reply.frame.code}`)
      else if (wordsIn(reply.bytes) !== words.toString()) this.failures.push('the reply of somebody else')
      if (this.cut > 0 || this.failures.length > 0) return
      this.slowest = Math.max(this.slowest, performance.now() - sentAt)
      this.answered++
    }
  }

  /** A call that takes seconds, beside the others. */
  callSlowly(): Promise<Replied | 'closed'> {
    return this.caller.send(this.speech.request(wordsOf(slowly), 20_000))
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.done
    if (this.cut > this.inFlight) this.failures.push(`${this.cut} requests cut of ${this.inFlight}`)
    this.caller.close()
  }
}

export interface RpcHost {
  readonly speech: Speech
  readonly host: WatchdogHost
  readonly provider: RpcApplication
}

/**
 * Two workers; each reply takes its time, so that there is always something in flight. `port`: whether it finds out
 * what callers speak.
 */
export async function startRpcHost(speech: Speech, port: 'auto' | 'its own' = 'its own'): Promise<RpcHost> {
  const { name } = speech.codec
  const provider = await startApplication(speech.codec, ({ bytes }) => {
    const words = wordsIn(bytes)
    const ms = words.includes(slowly) ? slowMs : 5 + (words.trimEnd().length % 15)
    return afterWork(ms, speech.reply(Buffer.from(words)))
  })
  const endpoints = [{ address: '127.0.0.1', port: provider.port }]
  const pool = { ...defaultTrafficPolicy.pool, maxRequests: 100_000, maxPending: 100_000 }
  const host = await WatchdogHost.start({
    workers: 2,
    snapshot: ({ httpPort, tcpPort }) =>
      snapshotOf({
        services: [
          { name: 'orders', protocol: name as RpcProtocol, endpoints, policy: { pool } },
          { name: 'web', endpoints: [] },
        ],
        listen: { web: { address: '127.0.0.1', port: httpPort } },
        ...(speech.mesh === undefined ? {} : { mesh: speech.mesh }),
        rpc: { [port === 'auto' ? port : name]: { address: '127.0.0.1', port: tcpPort } },
      }),
  })
  return { speech, host, provider }
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
  through: RpcHost,
  load: { readonly connections: number; readonly inFlight: number; readonly restarts: number },
): Promise<Throughout> {
  const { connections, inFlight, restarts } = load
  const asking = await Promise.all(Array.from({ length: connections }, () => Asking.start(through, inFlight)))
  const moved: number[] = []
  let lost = 0
  for (let round = 0; round < restarts; round++) {
    const report = await through.host.reload()
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
