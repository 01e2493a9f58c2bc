import { expect } from 'chai'

import { noEdits } from '../../../../../../agent/worker/connect/own-request.ts'
import { Outcome } from '../../../../../../agent/worker/forward/streams.ts'
import type { UpstreamOwner } from '../../../../../../agent/worker/forward/streams.ts'
import { Setting } from '../../../../../../agent/worker/protocols/http2/frames.ts'
import { Http2Link } from '../../../../../../agent/worker/protocols/http2/upstream-link.ts'
import { http2UpstreamStreams } from '../../../../../../agent/worker/protocols/http2/upstream-stream.ts'
import { http2Deps } from '../../../../../support/http2/deps.ts'
import { block, Flags, frame, framesOf, magic, settings, Type } from '../../../../../support/http2/frames.ts'
import { MemoryTransport } from '../../../../../support/memory-transport.ts'
import { PlainRequest } from '../../../../../support/plain-messages.ts'

const { ack, endHeaders, none } = Flags
const edits = { ...noEdits, keepsAsks: true }

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('an endpoint of HTTP/2', () => {
  const time = { now: 1000 }
  let deps: ReturnType<typeof http2Deps>
  let wire: MemoryTransport
  let link: Http2Link
  let home: string[]
  let heard: string[]

  beforeEach(async () => {
    time.now = 1000
    home = []
    heard = []
    deps = http2Deps(time)
    wire = new MemoryTransport()
    link = new Http2Link(deps, http2UpstreamStreams(deps), wire, {
      linkFreed: () => home.push('freed'),
      linkWidened: () => home.push('widened'),
      linkSpent: () => home.push('spent'),
      linkEnded: () => home.push('ended'),
      linkLost: () => home.push('lost'),
      place: null,
      scheme: 'http',
      linkLeft: () => home.push('left'),
    })
    wire.send(settings())
    await turns()
  })

  const ask = async (request = new PlainRequest()): Promise<void> => {
    const owner: UpstreamOwner = {
      onInterim() {},
      onReply: () => 'pass',
      onContent() {},
      onPause() {},
      onEnd: () => heard.push('end'),
      onSwitch() {},
      onBroken: (outcome, why) => heard.push(`${outcome === Outcome.reset ? 'reset' : outcome}: ${why}`),
      onDrained() {},
      contentTarget: null,
      onMoved() {},
      caller: null,
    }
    const stream = link.open(owner, false)
    stream.send(request, edits)
    stream.end(null)
    stream.flush()
    await turns()
  }
  const pass = async (seconds: number): Promise<void> => {
    for (let step = 0; step < seconds; step++) {
      time.now += 1000
      deps.clock.refresh()
      deps.wheel.advance()
      await turns()
    }
  }
  const pings = (): number =>
    framesOf(wire.received.subarray(magic.length)).filter(({ flags, type }) => type === Type.ping && flags === none)
      .length
  const pong = (): void => wire.send(frame(Type.ping, ack, 0, Buffer.alloc(8)))

  it('is asked after 10 s of silence; without an answer for as long again its connection is reset and its requests are told', async () => {
    await ask()
    await ask()
    await pass(9)
    expect(pings()).to.equal(0)
    await pass(2)
    expect([pings(), heard, wire.isClosed]).to.deep.equal([1, [], false])
    await pass(10)
    expect([heard, home]).to.deep.equal([['reset: given up', 'reset: given up'], ['spent']])
    expect([wire.wasReset, link.freeStreams, pings()]).to.deep.equal([true, 0, 1])
  })

  it('that answers keeps its requests, and is asked no oftener than servers of gRPC bear: twice after a minute, then after 310 s', async () => {
    await ask()
    const at: number[] = []
    for (let second = 1; second <= 1200; second++) {
      await pass(1)
      if (pings() === at.length) continue
      at.push(second)
      pong()
    }
    const gaps = at.map((second, index) => second - (at[index - 1] ?? 0))
    const least = [10, 60, 60, 310, 310, 310]
    expect(gaps, String(gaps)).to.have.length(least.length)
    for (const [index, gap] of gaps.entries()) expect(gap, String(gaps)).to.be.within(least[index]!, least[index]! + 22)
    expect([heard, home, wire.isClosed]).to.deep.equal([[], [], false])
    await pass(350)
    expect([heard, home]).to.deep.equal([['reset: given up'], ['spent']])
  })

  it('that answers a PING and hangs later is found out by the next one, a minute later', async () => {
    await ask()
    await pass(11)
    pong()
    await pass(90)
    expect([pings(), heard, wire.wasReset]).to.deep.equal([2, ['reset: given up'], true])
  })

  it('that answers a PING, says something on a stream, and hangs is found out in 30 s', async () => {
    await ask()
    await pass(11)
    pong()
    wire.send(frame(Type.headers, endHeaders, 1, block([[':status', '200']])))
    await pass(31)
    expect([pings(), heard, wire.wasReset]).to.deep.equal([2, ['reset: given up'], true])
  })

  it('is given what waits when it takes more streams than before', async () => {
    wire.send(settings([Setting.maxConcurrentStreams, 1]))
    await ask()
    expect([link.freeStreams, home]).to.deep.equal([0, []])
    wire.send(settings([Setting.maxConcurrentStreams, 2]))
    await turns()
    expect([link.freeStreams, home]).to.deep.equal([1, ['widened']])
  })

  it('that is asked for a WebSocket on a connection that is there already may hear more of it', async () => {
    const { enableConnectProtocol } = Setting
    wire.send(settings([enableConnectProtocol, 1]))
    await turns()
    await ask(new PlainRequest({ asksUpgrade: true }))
    const heads = framesOf(wire.received.subarray(magic.length)).filter(({ type }) => type === Type.headers)
    expect(heads.map(({ flags }) => flags)).to.deep.equal([endHeaders])
  })

  it('is not asked while anything of a reply comes, nor when nobody waits for one', async () => {
    await pass(60)
    expect(pings()).to.equal(0)
    await ask()
    wire.send(frame(Type.headers, endHeaders, 1, block([[':status', '200']])))
    for (let i = 0; i < 10; i++) {
      await pass(8)
      wire.send(frame(Type.data, none, 1, Buffer.from('still here')))
    }
    expect([pings(), heard]).to.deep.equal([0, []])
  })
})
