import { expect } from 'chai'

import type { StreamOwner } from '../../../../../../agent/worker/forward/streams.ts'
import type { Accepted } from '../../../../../../agent/worker/listen/accepted.ts'
import { LiveTable } from '../../../../../../agent/worker/listen/live-table.ts'
import { Tallies } from '../../../../../../agent/worker/observe/tallies.ts'
import type { RpcConnectionDeps } from '../../../../../../agent/worker/protocols/rpc/deps.ts'
import { RpcConnection } from '../../../../../../agent/worker/protocols/rpc/connection.ts'
import { Detection } from '../../../../../../agent/worker/protocols/rpc/detection.ts'
import { rpcDownstreamStreams } from '../../../../../../agent/worker/protocols/rpc/downstream-stream.ts'
import type { RpcDownstreamStream } from '../../../../../../agent/worker/protocols/rpc/downstream-stream.ts'
import { idleMs, noticeMs, partialFrameMs } from '../../../../../../agent/worker/protocols/rpc/limits.ts'
import { rpcParts } from '../../../../../../agent/worker/protocols/rpc/parts.ts'
import { Clock } from '../../../../../../agent/worker/transport/clock.ts'
import { OutputPool } from '../../../../../../agent/worker/transport/output-pool.ts'
import { TimerWheel } from '../../../../../../agent/worker/transport/timer-wheel.ts'
import { BoltCodec } from '../../../../../../rpc/bolt/bolt.ts'
import { ThriftCodec } from '../../../../../../rpc/thrift/thrift.ts'
import type { RpcCodec } from '../../../../../../rpc/codec.ts'
import { MemoryTransport } from '../../../../../support/memory-transport.ts'
import { boltRequest } from '../../../../../support/rpc/bolt-frames.ts'
import { binaryMessage, thriftFrame } from '../../../../../support/rpc/thrift-frames.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a caller’s connection in private RPC', () => {
  let now: number
  let wheel: TimerWheel
  let transport: MemoryTransport
  let tallies: Tallies
  let warned: string[]
  /** Requests that were begun and are not answered. */
  let begun: RpcDownstreamStream[]
  let parts: ReturnType<typeof rpcParts>
  const accepted = { listener: { name: 'rpc', virtualHost: null, port: 1 }, onEnd() {} } as unknown as Accepted

  beforeEach(() => {
    now = 1000
    wheel = new TimerWheel(
      () => now,
      () => () => undefined,
    )
    transport = new MemoryTransport()
    tallies = new Tallies()
    warned = []
    begun = []
    const clock = new Clock(() => now)
    const outputs = new OutputPool((flush) => setImmediate(flush))
    parts = rpcParts({ clock, wheel, outputs, tallies, warn: (line) => void warned.push(line) })
  })

  const depsOfCallers = (): RpcConnectionDeps => {
    const account = { name: 'a' } as never
    return { ...parts, live: new LiveTable(), accountOf: () => account }
  }
  const open = (codec: RpcCodec, received: Buffer | null = null): RpcConnection => {
    const streams = rpcDownstreamStreams(parts, (stream) => {
      const owner: Partial<StreamOwner> = {
        start: () => void begun.push(stream as RpcDownstreamStream),
        onContentEnd() {},
        cancel() {},
      }
      return owner as StreamOwner
    })
    const connection = new RpcConnection(depsOfCallers(), streams, codec, accepted, transport)
    connection.open(received)
    return connection
  }
  const pass = async (ms: number): Promise<void> => {
    now += ms
    wheel.advance()
    await turn()
  }
  const come = async (bytes: Buffer): Promise<void> => {
    transport.send(bytes)
    await turn()
  }

  const request = boltRequest('orders', 'place')
  const part = request.subarray(0, 20)

  for (const [how, begin] of [
    ['came with it from another process', async () => void open(new BoltCodec(), Buffer.from(part))],
    [
      'came behind a whole one',
      async () => {
        open(new BoltCodec())
        await come(Buffer.concat([request, part]))
      },
    ],
  ] as const)
    it(`ends when a frame stops coming that ${how}`, async () => {
      await begin()
      for (const stream of begun.splice(0)) stream.done()
      await pass(partialFrameMs - 1000)
      expect(transport.isClosed).to.equal(false)
      await pass(2000)
      expect([transport.isClosed, tallies.rpcBrokenFrames]).to.deep.equal([true, 1])
      expect(warned.join()).to.include('a frame stopped coming')
    })

  it('goes on with a frame of another process whose rest comes', async () => {
    open(new BoltCodec(), Buffer.from(part))
    await come(request.subarray(20))
    expect(begun).to.have.length(1)
    await pass(partialFrameMs * 2)
    expect([transport.isClosed, warned]).to.deep.equal([false, []])
  })

  it('begins nothing more once its notice is over, and ends behind what it has', async () => {
    const call = thriftFrame(binaryMessage(1, 'orders:m', 1, Buffer.from([0])))
    const connection = open(new ThriftCodec())
    await come(call)
    connection.drain()
    await come(call)
    expect(begun, 'within the notice').to.have.length(2)
    begun[0]!.done()
    await pass(noticeMs + 100)
    await come(call)
    expect([begun.length, transport.hasSentEnd]).to.deep.equal([2, false])
    begun[1]!.done()
    await pass(100)
    expect([begun.length, transport.hasSentEnd]).to.deep.equal([2, true])
    expect(transport.isClosed, 'a reset would destroy the reply on its way').to.equal(false)
    await come(call)
    await pass(noticeMs + 100)
    expect([begun.length, transport.isClosed]).to.deep.equal([2, true])
  })

  for (const isRead of [true, false])
    it(`ends behind a last reply that the caller ${isRead ? 'takes late' : 'never takes'}`, async () => {
      const connection = open(new BoltCodec())
      transport.stopReading()
      connection.writer.append(Buffer.alloc(100_000))
      connection.writer.append(Buffer.alloc(50_000))
      connection.drain()
      await pass(noticeMs + 100)
      expect([transport.hasSentEnd, transport.isClosed]).to.deep.equal([false, false])
      if (isRead) {
        transport.readAgain()
        await turn()
        await turn()
        expect([transport.hasSentEnd, transport.isClosed]).to.deep.equal([true, false])
        expect(transport.received.length).to.be.above(150_000)
        transport.sendEnd()
        await turn()
      } else {
        for (let waited = 0; waited <= partialFrameMs; waited += noticeMs) await pass(noticeMs)
        expect(transport.hasSentEnd).to.equal(false)
      }
      expect(transport.isClosed).to.equal(true)
    })

  const detect = (): Detection => {
    const detection = new Detection(depsOfCallers(), [new BoltCodec()], accepted, transport, () => undefined)
    detection.open(null)
    return detection
  }

  it('whose protocol is to be found may rest before its first byte, as any other', async () => {
    detect()
    await pass(idleMs - 1000)
    expect(transport.isClosed).to.equal(false)
    await pass(2000)
    expect([transport.isClosed, warned, tallies.undetectedProtocols]).to.deep.equal([true, [], 0])
    expect(tallies.keepAliveTimeouts).to.equal(1)
  })

  it('whose protocol is to be found ends soon when the first bytes tell nothing', async () => {
    detect()
    await pass(100_000)
    await come(part.subarray(0, 1))
    await pass(9000)
    expect(transport.isClosed).to.equal(false)
    await pass(2000)
    expect([transport.isClosed, tallies.undetectedProtocols]).to.deep.equal([true, 1])
    expect(warned.join()).to.include('said too little in 10 s')
  })
})
