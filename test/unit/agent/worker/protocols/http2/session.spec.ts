import { expect } from 'chai'

import type { Fields } from '../../../../../../agent/worker/forward/streams.ts'
import { Flow } from '../../../../../../agent/worker/protocols/http2/flow.ts'
import type { FlowUser } from '../../../../../../agent/worker/protocols/http2/flow.ts'
import { H2Error } from '../../../../../../agent/worker/protocols/http2/frames.ts'
import type { Http2Head } from '../../../../../../agent/worker/protocols/http2/head.ts'
import { writeField, writeStatus } from '../../../../../../agent/worker/protocols/http2/hpack/encoder.ts'
import { Http2Session } from '../../../../../../agent/worker/protocols/http2/session.ts'
import type { SessionOwner } from '../../../../../../agent/worker/protocols/http2/session-core.ts'
import { http2Deps } from '../../../../../support/http2/deps.ts'
import { WirePair } from '../../../../../support/http2/wire.ts'

class Notes implements FlowUser {
  readonly flow: Flow = new Flow(this)
  readonly said: string[] = []
  head: Http2Head | null = null
  content = ''
  trailers: Fields | null = null
  takes = true

  onHead(head: Http2Head, isWhole: boolean): void {
    this.head = head
    this.said.push(`head ${head.status || head.method}${isWhole ? ' whole' : ''}`)
  }
  onFault(fault: { reason: string }): void {
    this.said.push(`fault: ${fault.reason}`)
  }
  accepts(): boolean {
    return this.takes
  }
  onContent(buf: Buffer, from: number, to: number): void {
    this.content += buf.toString('latin1', from, to)
  }
  onEnd(trailers: Fields | null): void {
    this.trailers = trailers
    this.said.push('end')
  }
  onPause(): void {}
  onReset(code: number, isUnprocessed: boolean): void {
    this.said.push(`reset ${code}${isUnprocessed ? ' unprocessed' : ''}`)
  }
  onDrained(): void {
    this.said.push('drained')
  }
}

class Ends implements SessionOwner {
  readonly opened: Notes[] = []
  readonly said: string[] = []
  takeFlow(): Flow | null {
    const notes = new Notes()
    this.opened.push(notes)
    return notes.flow
  }
  onStreamEnd(): void {
    this.said.push('stream end')
  }
  onSettings(): void {}
  onPong(): void {
    this.said.push('pong')
  }
  onGoAway(code: number): void {
    this.said.push(`goaway ${code}`)
  }
  onClosed(why: string): void {
    this.said.push(`closed: ${why}`)
  }
}

/** A client and a server that are each other's peer. */
function pair() {
  const wire = new WirePair()
  const deps = http2Deps()
  const callers = new Ends()
  const served = new Ends()
  const client = new Http2Session(deps, wire.left, false, callers)
  const server = new Http2Session(deps, wire.right, true, served)
  client.open(null)
  server.open(null)
  return { wire, client, server, callers, served }
}

function ask(client: Http2Session, fields: Fields = [], isWhole = true): Notes {
  const notes = new Notes()
  client.begin(notes.flow)
  const out = client.sender.beginHead()
  for (const [name, value] of [
    [':method', isWhole ? 'GET' : 'POST'],
    [':scheme', 'http'],
    [':authority', 'orders'],
    [':path', '/a?b'],
    ...fields,
  ] as const) {
    writeField(out, name, value)
  }
  client.sender.endHead(notes.flow, isWhole)
  return notes
}

function reply(session: Http2Session, notes: Notes, content: string | null, trailers: Fields | null = null): void {
  const out = session.sender.beginHead()
  writeStatus(out, 200)
  writeField(out, 'x-a', '1')
  session.sender.endHead(notes.flow, content === null)
  if (content === null) return
  notes.flow.data(Buffer.from(content), 0, content.length)
  notes.flow.end(trailers)
}

describe('an HTTP/2 session', () => {
  it('carries heads, content and trailers both ways, and frees the stream at its end', async () => {
    const { wire, client, server, callers, served } = pair()
    const asked = ask(client, [['x-q', '1']], false)
    asked.flow.data(Buffer.from('question'), 0, 8)
    asked.flow.end([['x-sum', '9']])
    await wire.settle()
    const got = served.opened[0]!
    expect([
      got.head!.method,
      got.head!.path,
      got.head!.query,
      got.head!.authority,
      got.head!.header('x-q'),
    ]).to.deep.equal(['POST', '/a', 'b', 'orders', '1'])
    expect([got.content, got.trailers]).to.deep.equal(['question', [['x-sum', '9']]])
    reply(server, got, 'answer', [['grpc-status', '0']])
    got.flow.release()
    await wire.settle()
    expect(asked.said).to.deep.equal(['head 200', 'end'])
    expect([asked.content, asked.trailers]).to.deep.equal(['answer', [['grpc-status', '0']]])
    asked.flow.release()
    expect([client.openStreams, server.openStreams]).to.deep.equal([0, 0])
    expect([callers.said, served.said]).to.deep.equal([['stream end'], ['stream end']])
  })

  it('sends no more than the windows allow, and the rest when they open', async () => {
    const { wire, client, server, served } = pair()
    const asked = ask(client)
    asked.takes = false
    await wire.settle()
    const got = served.opened[0]!
    const large = 'x'.repeat(200_000)
    reply(server, got, large)
    expect(got.flow.flush()).to.equal(false)
    await wire.settle()
    expect([asked.content.length, asked.flow.untold.length, got.flow.unsent.length]).to.deep.equal([0, 65_536, 134_464])
    asked.takes = true
    asked.flow.resume()
    await wire.settle()
    expect([asked.content === large, asked.said.at(-1)]).to.deep.equal([true, 'end'])
  })

  for (const [bytes, count, said] of [
    [1, 700, 'reset 11'],
    [5, 13_000, 'head POST'],
  ] as const) {
    it(`${count} frames of ${bytes} bytes that wait: ${said}`, async () => {
      const { wire, client, served, server } = pair()
      const first = ask(client)
      const asked = ask(client, [], false)
      await wire.settle()
      const got = served.opened[1]!
      got.takes = false
      for (let n = 0; n < count && asked.flow.isOpen; n++) {
        asked.flow.data(Buffer.alloc(bytes, 97), 0, bytes)
        // a frame of its own
        client.sender.frames()
        if (n % 100 === 0) await wire.settle()
      }
      await wire.settle()
      expect(got.said.at(-1)).to.equal(said)
      reply(server, served.opened[0]!, 'fine')
      if (said === 'head POST') {
        got.takes = true
        got.flow.resume()
        expect(got.content).to.have.length(bytes * count)
      }
      await wire.settle()
      expect([first.content, server.isEnding]).to.deep.equal(['fine', false])
    })
  }

  it('keeps the small frames of an endpoint, whose connection serves others too', async () => {
    const { wire, client, server, served } = pair()
    const asked = ask(client)
    asked.takes = false
    await wire.settle()
    const got = served.opened[0]!
    writeStatus(server.sender.beginHead(), 200)
    server.sender.endHead(got.flow, false)
    for (let n = 0; n < 2000; n++) {
      got.flow.data(Buffer.from('x'), 0, 1)
      server.sender.frames()
    }
    got.flow.end(null)
    await wire.settle()
    asked.takes = true
    asked.flow.resume()
    expect([asked.content.length, asked.said.at(-1)]).to.deep.equal([2000, 'end'])
  })

  it('lets other streams pass one that is not read', async () => {
    const { wire, client, server, served } = pair()
    const slow = ask(client)
    const quick = ask(client)
    slow.takes = false
    await wire.settle()
    for (const got of served.opened) reply(server, got, 'x'.repeat(300_000))
    await wire.settle()
    expect([slow.content.length, quick.content.length, quick.said.at(-1)]).to.deep.equal([0, 300_000, 'end'])
  })

  it('releases a stream whose reply is still on its way, and sends the rest of it', async () => {
    const { wire, client, server, served } = pair()
    const asked = ask(client)
    await wire.settle()
    const got = served.opened[0]!
    reply(server, got, 'x'.repeat(100_000))
    expect(got.flow.release()).to.equal(false)
    await wire.settle()
    expect([asked.content.length, asked.said.at(-1), server.openStreams]).to.deep.equal([100_000, 'end', 0])
  })

  it('tells a reset with its code, and what a GOAWAY leaves unanswered', async () => {
    const { wire, client, server, callers, served } = pair()
    const first = ask(client)
    await wire.settle()
    served.opened[0]!.flow.reset(H2Error.refusedStream)
    await wire.settle()
    expect(first.said).to.deep.equal([`reset ${H2Error.refusedStream} unprocessed`])
    server.goAway()
    const late = ask(client)
    await wire.settle()
    expect(late.said).to.deep.equal(['reset 0 unprocessed'])
    expect([callers.said.includes('goaway 0'), client.canOpen]).to.deep.equal([true, false])
  })

  it('answers pings', async () => {
    const { wire, client, callers } = pair()
    client.ping()
    await wire.settle()
    expect(callers.said).to.deep.equal(['pong'])
  })

  it('splits a head that fits no frame', async () => {
    const { wire, client, served } = pair()
    ask(client, [['x-long', 'v'.repeat(40_000)]])
    await wire.settle()
    expect(served.opened[0]!.head!.header('x-long')).to.have.length(40_000)
  })
})
