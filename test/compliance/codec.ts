/**
 * What `agent/worker/forward/streams.ts` means, as a suite that every codec must pass. A codec's own spec says how its
 * messages look on the wire: how a caller and an endpoint of it write and read them. Both sides of it are then driven
 * by an exchange of this suite.
 */
import { noEdits } from '../../agent/worker/connect/own-request.ts'
import { expect } from 'chai'

import { Outcome } from '../../agent/worker/forward/streams.ts'
import type {
  Answer,
  Crossing,
  DownstreamStream,
  Fields,
  LinkHome,
  OpenExchange,
  ReplyEdits,
  ReplyMessage,
  ReplyVerdict,
  RequestEdits,
  RequestFault,
  RequestMessage,
  StreamOwner,
  UpstreamLink,
  UpstreamOwner,
  UpstreamStream,
} from '../../agent/worker/forward/streams.ts'
import type { MemoryTransport } from '../support/memory-transport.ts'
import { PlainReply, PlainRequest } from '../support/plain-messages.ts'
import { eventually } from '../support/worker/eventually.ts'

/** A message as it stands on the wire, read by somebody else than the codec. */
export interface WireMessage {
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly status: number
  readonly fields: ReadonlyMap<string, string>
  readonly content: string
  readonly trailers: ReadonlyMap<string, string>
}

export interface CodecUnderTest {
  /** A caller's connection. `request` writes one; content of unknown length unless the codec must say it. */
  accept(openExchange: OpenExchange): MemoryTransport
  connect(home: LinkHome): { readonly link: UpstreamLink; readonly wire: MemoryTransport }
  request(parts: WireParts): Buffer
  reply(parts: WireParts & { readonly status: number }): Buffer
  /** Something that is no message; of `reply`, some of it may pass as the beginning of one. */
  readonly nonsense: { readonly request: Buffer; readonly reply: Buffer }
  /** Whole messages so far. `methods`: of the requests that are answered. */
  readRequests(bytes: Buffer): readonly WireMessage[]
  readReplies(bytes: Buffer, methods: readonly string[]): readonly WireMessage[]
  /** Whether a caller can tell that what it got is not whole. */
  isSeenBroken(wire: MemoryTransport): boolean
}

export interface WireParts {
  readonly method?: string
  readonly target?: string
  readonly fields?: Fields
  readonly content?: string
  /** Says the length before; else it is known at its end. */
  readonly saysLength?: boolean
  readonly trailers?: Fields
}

const noRequestEdits: RequestEdits = { ...noEdits, keepsAsks: true }
const noReplyEdits: ReplyEdits = { route: null, destination: null, cookie: null, filters: null, isFromAgent: false }

/** Keeps what an upstream stream says, in order. */
class ReplyNotes implements UpstreamOwner {
  readonly said: string[] = []
  content = ''
  status = 0
  fields = new Map<string, string>()
  contentLength = -2
  hasContent = false
  trailers: Fields | null = null
  outcome: Outcome | null = null
  verdict: ReplyVerdict = 'pass'
  readonly contentTarget = null
  readonly caller = null

  onInterim(reply: ReplyMessage): void {
    this.said.push(`interim ${reply.status}`)
  }
  onReply(reply: ReplyMessage): ReplyVerdict {
    this.said.push('reply')
    this.status = reply.status
    this.hasContent = reply.hasContent
    this.contentLength = reply.contentLength
    reply.eachField((name, value) => this.fields.set(name, value))
    return this.verdict
  }
  onContent(buf: Buffer, from: number, to: number): void {
    if (this.said.at(-1) !== 'content') this.said.push('content')
    this.content += buf.toString('latin1', from, to)
  }
  onPause(): void {}
  onEnd(trailers: Fields | null): void {
    this.said.push('end')
    this.trailers = trailers
  }
  onSwitch(): void {
    this.said.push('switch')
  }
  onBroken(outcome: Outcome): void {
    this.said.push('broken')
    this.outcome = outcome
  }
  onDrained(): void {
    this.said.push('drained')
  }
  onMoved(): void {}
}

class HomeNotes implements LinkHome {
  readonly said: string[] = []
  linkFreed(): void {
    this.said.push('freed')
  }
  linkWidened(): void {
    this.said.push('widened')
  }
  linkSpent(): void {
    this.said.push('spent')
  }
  linkEnded(): void {
    this.said.push('ended')
  }
  linkLost(): void {
    this.said.push('lost')
  }
  readonly place = null
  readonly scheme = 'http'
  linkLeft(): void {
    this.said.push('left')
  }
}

/** Keeps what a downstream stream says. */
class RequestNotes implements StreamOwner {
  readonly facts = null
  endBy(): void {}
  readonly stream: DownstreamStream
  readonly said: string[] = []
  content = ''
  trailers: Fields | null = null
  fault: RequestFault | null = null
  takes = true
  isSlow = false
  isSent = true
  hasReply = false
  /** Facts of the head, as they were at `start`. */
  head: Record<string, unknown> = {}

  constructor(stream: DownstreamStream) {
    this.stream = stream
  }

  get crossing(): Crossing {
    throw new Error('a codec asks it only for a move')
  }

  start(): void {
    this.said.push('start')
    const { request } = this.stream
    const { authority, contentLength, hasContent, isIdempotent, method, path, query } = request
    this.head = { method, path, query, authority, hasContent, contentLength, isIdempotent }
  }
  accepts(): boolean {
    return this.takes
  }
  onContent(buf: Buffer, from: number, to: number): void {
    this.content += buf.toString('latin1', from, to)
  }
  onContentEnd(trailers: Fields | null): void {
    this.said.push('whole')
    this.trailers = trailers
  }
  flushContent(): boolean {
    return !this.isSlow
  }
  refuseHead(fault: RequestFault): void {
    this.said.push('refused')
    this.fault = fault
    this.stream.answer(answerOf(fault.status), null)
    this.stream.done()
  }
  refuseContent(fault: RequestFault): void {
    this.said.push('refused content')
    this.fault = fault
    this.stream.answer(answerOf(fault.status), null)
    this.stream.done()
  }
  headTimeOut(): void {}
  contentTimeOut(): void {}
  onDrained(): void {
    this.said.push('drained')
  }
  cancel(): void {
    this.said.push('cancel')
  }
  discard(): void {
    this.said.push('discard')
  }
  retire(): void {}
}

function answerOf(status: number, code?: 'E_BALANCE_NO_ENDPOINT'): Answer {
  const fields = [['content-type', 'text/plain']] as const
  return { kind: 'answer', status, code, flag: '-', fields, body: Buffer.from('because\n') }
}

/** As many turns of the loop as a message through the memory takes. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

const large = 'abcdefghijklm'.repeat(20_000)
/** Any codec lets so much come before some of it is taken. */
const fitting = large.slice(0, 50_000)

export function describeCodec(title: string, setUp: () => CodecUnderTest): void {
  describe(`codec: ${title}`, () => {
    let codec: CodecUnderTest

    beforeEach(() => {
      codec = setUp()
    })

    describe('towards endpoints', () => {
      let home: HomeNotes
      let link: UpstreamLink
      let wire: MemoryTransport
      let notes: ReplyNotes

      const connect = async (): Promise<void> => {
        ;({ link, wire } = codec.connect(home))
        notes = new ReplyNotes()
        await turns()
      }

      beforeEach(async () => {
        home = new HomeNotes()
        await connect()
      })

      const send = (
        request: RequestMessage,
        content: string[] = [],
        trailers: Fields | null = null,
        edits: Partial<RequestEdits> = {},
      ): UpstreamStream => {
        const stream = link.open(notes, false)
        stream.send(request, { ...noRequestEdits, ...edits })
        for (const piece of content) stream.content(Buffer.from(piece, 'latin1'), 0, piece.length)
        stream.end(trailers)
        stream.flush()
        return stream
      }
      const sent = async (): Promise<WireMessage> => {
        await turns()
        const [message, ...more] = codec.readRequests(wire.received)
        expect(more).to.have.length(0)
        return message!
      }
      const reply = async (parts: WireParts & { readonly status: number }): Promise<void> => {
        wire.send(codec.reply(parts))
        await turns()
      }

      it('says a request of any protocol: method, target, authority, fields', async () => {
        send(
          new PlainRequest({
            method: 'DELETE',
            path: '/a/b',
            query: 'c=d',
            fields: [
              ['x-a', '1'],
              ['x-b', '2'],
            ],
          }),
        )
        const message = await sent()
        expect([message.method, message.target, message.authority]).to.deep.equal(['DELETE', '/a/b?c=d', 'orders'])
        expect([message.fields.get('x-a'), message.fields.get('x-b'), message.content]).to.deep.equal(['1', '2', ''])
      })

      it('makes the edits: fields left out and added, target, authority, who calls', async () => {
        const route = { fields: [['x-new', 'n']] as const, drop: new Set(['x-a']) }
        const edits = { route, target: '/other?q', authority: 'billing', source: 'shop' }
        send(
          new PlainRequest({
            fields: [
              ['x-a', '1'],
              ['x-b', '2'],
            ],
          }),
          [],
          null,
          edits,
        )
        const { authority, fields, target } = await sent()
        expect([target, authority]).to.deep.equal(['/other?q', 'billing'])
        expect(['x-a', 'x-b', 'x-new', 'x-mesh-source'].map((name) => fields.get(name))).to.deep.equal([
          undefined,
          '2',
          'n',
          'shop',
        ])
      })

      it('frames content whose length was said, and content whose length was not, with its trailers', async () => {
        send(new PlainRequest({ method: 'PUT', contentLength: 10 }), ['hello', 'world'])
        expect((await sent()).content).to.equal('helloworld')
        await connect()
        send(new PlainRequest({ method: 'PUT', contentLength: -1 }), ['he', 'llo'], [['x-sum', '7']])
        const message = await sent()
        expect([message.content, message.trailers.get('x-sum')]).to.deep.equal(['hello', '7'])
      })

      it('sends nothing that cannot be said, whatever the other protocol let pass', async () => {
        for (const value of ['a\r\nx-evil: 1', 'a\0b', 'ča\u010d\u010ax']) {
          await connect()
          const greeted = wire.received.length
          send(new PlainRequest({ method: 'PUT', contentLength: 5, fields: [['x-a', value]] }), ['GET /'])
          await eventually(() => notes.outcome !== null)
          await turns()
          expect([notes.outcome, wire.received.length]).to.deep.equal([Outcome.protocol, greeted])
        }
      })

      it('tells a reply in order: interim, head, content, end', async () => {
        const stream = send(new PlainRequest())
        wire.send(codec.reply({ status: 103, fields: [['link', 'a']] }))
        await reply({ status: 201, fields: [['x-a', '1']], content: 'hello', saysLength: true })
        expect(notes.said).to.deep.equal(['interim 103', 'reply', 'content', 'end'])
        expect([notes.status, notes.hasContent, notes.contentLength]).to.deep.equal([201, true, 5])
        expect([notes.fields.get('x-a'), notes.content]).to.deep.equal(['1', 'hello'])
        stream.release()
        expect(home.said).to.deep.equal(['freed'])
        expect(link.freeStreams).to.be.above(0)
      })

      it('tells content of unknown length with its trailers, and how long content would be that does not come', async () => {
        send(new PlainRequest({ takesTrailers: true })).hasReply
        await reply({ status: 200, content: large, trailers: [['x-sum', '7']] })
        expect([notes.contentLength, notes.content === large]).to.deep.equal([-1, true])
        expect(notes.trailers).to.deep.equal([['x-sum', '7']])
        await connect()
        send(new PlainRequest({ method: 'HEAD' }))
        await reply({ status: 200, fields: [['content-length', '42']] })
        expect([notes.hasContent, notes.contentLength, notes.said.at(-1)]).to.deep.equal([false, 42, 'end'])
      })

      it('ends a reply that is thrown away by itself, and says nothing more of it', async () => {
        notes.verdict = 'discard'
        send(new PlainRequest())
        await reply({ status: 503, content: 'sorry', saysLength: true })
        expect(notes.said).to.deep.equal(['reply'])
        expect(home.said).to.have.length(1)
      })

      it('tells once that it broke: before a reply, in its middle, by what is no reply', async () => {
        const cases: [Buffer | null, boolean, Outcome][] = [
          [null, false, Outcome.reset],
          [codec.reply({ status: 200, content: 'hello', saysLength: true }).subarray(0, -2), true, Outcome.reset],
          [codec.nonsense.reply, true, Outcome.protocol],
        ]
        for (const [bytes, hasReply, outcome] of cases) {
          home = new HomeNotes()
          await connect()
          const stream = send(new PlainRequest())
          let seen: boolean | null = null
          const told = notes.onBroken.bind(notes)
          notes.onBroken = (how) => {
            seen = stream.hasReply
            told(how)
          }
          if (bytes !== null) wire.send(bytes)
          wire.sendEnd()
          await turns()
          expect([notes.outcome, seen]).to.deep.equal([outcome, hasReply])
          expect(notes.said.filter((word) => word === 'broken' || word === 'end')).to.deep.equal(['broken'])
          expect([home.said, wire.isClosed]).to.deep.equal([['spent'], true])
        }
      })

      it('is silent once it was abandoned', async () => {
        const stream = send(new PlainRequest())
        stream.abandon()
        await reply({ status: 200, content: 'hello', saysLength: true })
        expect(notes.said).to.deep.equal([])
        expect(home.said).to.have.length(1)
      })

      it('says when the endpoint takes no more, and when it does again', async () => {
        wire.stopReading()
        const stream = link.open(notes, false)
        stream.send(new PlainRequest({ method: 'PUT', contentLength: large.length }), noRequestEdits)
        stream.content(Buffer.from(large), 0, large.length)
        expect(stream.flush()).to.equal(false)
        wire.readAgain()
        await turns()
        expect(notes.said).to.deep.equal(['drained'])
      })

      it('tells no content while it is paused, and loses none', async () => {
        const stream = send(new PlainRequest())
        const bytes = codec.reply({ status: 200, content: 'hello', saysLength: true })
        wire.send(bytes.subarray(0, -2))
        await turns()
        stream.pause()
        const before = [notes.said.join(), notes.content]
        wire.send(bytes.subarray(-2))
        await turns()
        expect([notes.said.join(), notes.content]).to.deep.equal(before)
        expect(notes.said[0]).to.equal('reply')
        stream.resume()
        await turns()
        expect([notes.content, notes.said.at(-1)]).to.deep.equal(['hello', 'end'])
      })

      it('notices that an endpoint closes a connection that nobody uses', async () => {
        link.rest()
        wire.sendEnd()
        await turns()
        expect([home.said, wire.isClosed]).to.deep.equal([['ended'], true])
      })
    })

    describe('towards callers', () => {
      const exchanges: RequestNotes[] = []
      let wire: MemoryTransport

      beforeEach(() => {
        exchanges.length = 0
        wire = codec.accept((stream) => {
          const notes = new RequestNotes(stream)
          exchanges.push(notes)
          return notes
        })
      })

      const last = (): RequestNotes => exchanges.at(-1)!
      const ask = async (parts: WireParts = {}): Promise<RequestNotes> => {
        wire.send(codec.request(parts))
        await turns()
        return last()
      }
      const got = async (...methods: string[]): Promise<WireMessage[]> => {
        await turns()
        return [...codec.readReplies(wire.received, methods)]
      }

      it('tells the facts of a request, and that it is whole', async () => {
        const notes = await ask({ method: 'GET', target: '/a/b?c=d', fields: [['x-a', '1']] })
        expect([...notes.said].sort()).to.deep.equal(['start', 'whole'])
        expect(notes.head).to.deep.equal({
          method: 'GET',
          path: '/a/b',
          query: 'c=d',
          authority: 'orders',
          hasContent: false,
          contentLength: 0,
          isIdempotent: true,
        })
        const { request } = notes.stream
        expect([request.header('x-a'), request.header('x-b')]).to.deep.equal(['1', undefined])
        const copy = request.copy()
        expect([copy.method, copy.path, copy.header('x-a')]).to.deep.equal(['GET', '/a/b', '1'])
      })

      it('tells content whole, with its length or its trailers', async () => {
        let notes = await ask({ method: 'POST', content: 'hello', saysLength: true })
        expect([notes.content, notes.head['contentLength'], notes.head['isIdempotent']]).to.deep.equal([
          'hello',
          5,
          false,
        ])
        notes.stream.answer(answerOf(200), null)
        notes.stream.done()
        notes = await ask({ method: 'POST', content: large, trailers: [['x-sum', '7']] })
        expect([notes.content.endsWith(large), notes.head['contentLength'], notes.trailers]).to.deep.equal([
          true,
          -1,
          [['x-sum', '7']],
        ])
      })

      it('gives content only to who takes it, and the rest later', async () => {
        const bytes = codec.request({ method: 'POST', content: fitting, saysLength: true })
        wire.send(bytes.subarray(0, bytes.length - fitting.length))
        await turns()
        last().takes = false
        wire.send(bytes.subarray(bytes.length - fitting.length))
        await turns()
        expect(last().content).to.equal('')
        last().takes = true
        last().stream.resumeSoon()
        await turns()
        expect(last().content === fitting).to.equal(true)
        expect(last().said).to.deep.equal(['start', 'whole'])
      })

      it('passes a reply of any protocol on, with its edits, and serves the next request behind it', async () => {
        for (const [index, contentLength] of [5, -1].entries()) {
          const { stream } = await ask()
          const route = { fields: [['x-new', 'n']] as const, drop: new Set(['x-a']) }
          const cookie = { fields: [['set-cookie', 'k=v']] as const, drop: new Set<string>() }
          stream.begin(
            new PlainReply({
              status: 201,
              fields: [
                ['x-a', '1'],
                ['x-b', '2'],
              ],
              contentLength,
            }),
            {
              ...noReplyEdits,
              route,
              cookie,
            },
          )
          for (const piece of ['he', 'llo']) stream.content(Buffer.from(piece), 0, piece.length)
          stream.end(null)
          expect(stream.flush()).to.equal(true)
          stream.done()
          const message = (await got('GET', 'GET'))[index]!
          expect([message.status, message.content]).to.deep.equal([201, 'hello'])
          expect(['x-a', 'x-b', 'x-new', 'set-cookie'].map((name) => message.fields.get(name))).to.deep.equal([
            undefined,
            '2',
            'n',
            'k=v',
          ])
        }
      })

      it('says nothing of a reply that it cannot say, and answers instead', async () => {
        const { stream } = await ask()
        const reply = new PlainReply({ status: 200, fields: [['x-a', 'a\r\nx-evil: 1']], contentLength: 5 })
        expect(stream.begin(reply, noReplyEdits)).to.equal(false)
        stream.answer(answerOf(502), null)
        stream.done()
        expect((await got('GET')).map(({ status }) => status)).to.deep.equal([502])
      })

      it('passes interim replies on before the reply', async () => {
        const { stream } = await ask()
        stream.interim(new PlainReply({ status: 103, fields: [['link', 'a']], hasContent: false }), noReplyEdits)
        stream.answer(answerOf(200), null)
        stream.done()
        expect((await got('GET')).map(({ status }) => status)).to.deep.equal([103, 200])
      })

      it('answers for the mesh: status, code, fields, edits of filters; no content to HEAD', async () => {
        let { stream } = await ask()
        stream.answer(answerOf(503, 'E_BALANCE_NO_ENDPOINT'), [{ fields: [['vary', 'origin']], drop: new Set() }])
        stream.done()
        ;({ stream } = await ask({ method: 'HEAD' }))
        stream.answer(answerOf(404), null)
        stream.done()
        const [first, second] = await got('GET', 'HEAD')
        expect([first!.status, first!.content]).to.deep.equal([503, 'because\n'])
        expect(['x-mesh-error', 'content-type', 'vary'].map((name) => first!.fields.get(name))).to.deep.equal([
          'E_BALANCE_NO_ENDPOINT',
          'text/plain',
          'origin',
        ])
        expect([second!.status, second!.content]).to.deep.equal([404, ''])
      })

      it('shows a reply that broke as broken', async () => {
        for (const contentLength of [100, -1]) {
          wire = codec.accept((stream) => {
            exchanges.push(new RequestNotes(stream))
            return last()
          })
          const { stream } = await ask()
          stream.begin(new PlainReply({ status: 200, contentLength }), noReplyEdits)
          stream.content(Buffer.from('some'), 0, 4)
          stream.flush()
          stream.breakOff()
          await turns()
          expect(codec.isSeenBroken(wire)).to.equal(true)
        }
      })

      it('tells once that the caller is gone', async () => {
        const notes = await ask()
        wire.breakNow()
        await turns()
        expect(notes.said.filter((word) => word === 'cancel')).to.have.length(1)
      })

      it('refuses what is no request, with a status, and starts nothing', async () => {
        wire.send(codec.nonsense.request)
        await turns()
        expect([last().said, last().fault!.status]).to.deep.equal([['refused'], 400])
        expect((await got('GET'))[0]!.status).to.equal(400)
      })

      it('says when the caller takes no more, and when it does again', async () => {
        const notes = await ask()
        const { stream } = notes
        wire.stopReading()
        stream.begin(new PlainReply({ status: 200, contentLength: large.length }), noReplyEdits)
        stream.content(Buffer.from(large), 0, large.length)
        expect(stream.flush()).to.equal(false)
        wire.readAgain()
        await turns()
        expect(notes.said.at(-1)).to.equal('drained')
      })
    })
  })
}
