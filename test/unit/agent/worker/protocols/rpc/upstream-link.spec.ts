import { expect } from 'chai'

import { Outcome } from '../../../../../../agent/worker/forward/streams.ts'
import type { LinkHome, UpstreamOwner } from '../../../../../../agent/worker/forward/streams.ts'
import { partialFrameMs, quietMs } from '../../../../../../agent/worker/protocols/rpc/limits.ts'
import { rpcParts } from '../../../../../../agent/worker/protocols/rpc/parts.ts'
import { RpcLink } from '../../../../../../agent/worker/protocols/rpc/upstream-link.ts'
import { RpcUpstreamStream } from '../../../../../../agent/worker/protocols/rpc/upstream-stream.ts'
import { Tallies } from '../../../../../../agent/worker/observe/tallies.ts'
import { Clock } from '../../../../../../agent/worker/transport/clock.ts'
import { OutputPool } from '../../../../../../agent/worker/transport/output-pool.ts'
import { Spares } from '../../../../../../agent/worker/transport/spares.ts'
import { TimerWheel } from '../../../../../../agent/worker/transport/timer-wheel.ts'
import { BoltCodec } from '../../../../../../rpc/bolt/bolt.ts'
import { FrameKind, RpcFrame } from '../../../../../../rpc/frame.ts'
import { ThriftCodec } from '../../../../../../rpc/thrift/thrift.ts'
import type { RpcCodec } from '../../../../../../rpc/codec.ts'
import { MemoryTransport } from '../../../../../support/memory-transport.ts'
import { boltFrame } from '../../../../../support/rpc/bolt-frames.ts'

const bolt = new BoltCodec()

describe('a connection to an endpoint in private RPC', () => {
  let now: number
  let wheel: TimerWheel
  let transport: MemoryTransport
  let link: RpcLink
  let ends: string[]
  let failures: string[]

  const open = (codec: RpcCodec): void => {
    now = 1000
    ends = []
    failures = []
    wheel = new TimerWheel(
      () => now,
      () => () => undefined,
    )
    const clock = new Clock(() => now)
    const parts = rpcParts({
      clock,
      wheel,
      outputs: new OutputPool((flush) => setImmediate(flush)),
      tallies: new Tallies(),
      warn: () => {},
    })
    const home = {
      linkEnded: () => ends.push('ended'),
      linkSpent: () => ends.push('spent'),
      linkFreed: () => {},
    } as unknown as LinkHome
    transport = new MemoryTransport()
    link = new RpcLink(
      parts,
      new Spares<RpcUpstreamStream>((home) => new RpcUpstreamStream(home), null),
      codec,
      transport,
      home,
    )
  }

  const owner = {
    onBroken: (outcome: Outcome, why: string) => failures.push(`${outcome} ${why}`),
  } as unknown as UpstreamOwner

  const pass = async (ms: number): Promise<void> => {
    now += ms
    wheel.advance()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const come = async (bytes: Buffer): Promise<void> => {
    transport.send(bytes)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const said = (): FrameKind[] => {
    const { received } = transport
    transport.received = Buffer.alloc(0)
    const kinds: FrameKind[] = []
    const frame = new RpcFrame()
    for (let at = 0; at < received.length; at += frame.length) {
      const length = bolt.measure(received, at, received.length, 100_000)
      bolt.read(received, at, at + length, frame)
      kinds.push(frame.kind)
    }
    return kinds
  }
  const beat = boltFrame({ type: 0, command: 0, id: 0x7f_ff_ff_ff })

  it('asks by a heartbeat when it has heard nothing, and stays while it is answered', async () => {
    open(bolt)
    for (let round = 0; round < 3; round++) {
      await pass(quietMs)
      await pass(quietMs)
      expect(said(), `round ${round}`).to.deep.equal([FrameKind.heartbeat])
      await come(beat)
    }
    expect([ends, transport.isClosed]).to.deep.equal([[], false])
  })

  it('says nothing to an endpoint that speaks anyway', async () => {
    open(bolt)
    for (let round = 0; round < 5; round++) {
      await come(boltFrame({ type: 0, id: 5 }))
      await pass(quietMs)
    }
    expect(said()).to.deep.equal([])
  })

  it('is given up when an endpoint is stuck, and its requests are told that it may have read them', async () => {
    open(bolt)
    const stream = link.open(owner, false)
    await pass(quietMs)
    await pass(quietMs)
    expect(said()).to.deep.equal([FrameKind.heartbeat])
    expect(failures).to.deep.equal([])
    link.enter(stream as never)
    await pass(quietMs)
    expect(failures).to.deep.equal([`${Outcome.reset} the endpoint answers no heartbeat`])
    expect((stream as unknown as { mayBeRead: boolean }).mayBeRead).to.equal(true)
    expect([ends, transport.wasReset]).to.deep.equal([['spent'], true])
  })

  it('is given up when an endpoint drips a frame and does not end it', async () => {
    open(bolt)
    const stream = link.open(owner, false)
    link.enter(stream as never)
    const reply = boltFrame({ type: 0, id: 5, content: Buffer.alloc(100) })
    for (let at = 0; at < 12; at++) {
      await come(reply.subarray(at, at + 1))
      expect(failures, `byte ${at}`).to.deep.equal([])
      await pass(quietMs)
    }
    await pass(quietMs)
    expect(failures).to.deep.equal([`${Outcome.reset} a frame stopped coming`])
    expect([ends, transport.wasReset]).to.deep.equal([['spent'], true])
  })

  it('is given up when a frame stops coming where no heartbeat can be asked', async () => {
    open(new ThriftCodec())
    await come(Buffer.from([0, 0, 0, 50, 0x80]))
    for (let waited = 0; waited < partialFrameMs + quietMs; waited += quietMs) await pass(quietMs)
    expect([ends, transport.wasReset]).to.deep.equal([['ended'], true])
  })

  it('asks nothing where its protocol has no heartbeat', async () => {
    open(new ThriftCodec())
    for (let round = 0; round < 5; round++) await pass(quietMs)
    expect([transport.received.length, transport.isClosed, ends]).to.deep.equal([0, false, []])
  })

  it('takes no new requests after a goaway, and closes when it carries none', async () => {
    open(bolt)
    expect(link.freeStreams).to.be.above(100)
    await come(bolt.goAway())
    expect([link.freeStreams, ends, transport.isClosed]).to.deep.equal([0, ['ended'], true])
  })
})
