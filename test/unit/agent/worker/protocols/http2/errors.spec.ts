import { expect } from 'chai'

import { Flow, nobody } from '../../../../../../agent/worker/protocols/http2/flow.ts'
import { Http2Session } from '../../../../../../agent/worker/protocols/http2/session.ts'
import {
  block,
  errorIn,
  Flags,
  frame,
  get,
  getFields,
  magic,
  postFields,
  settings,
  Type,
  word,
} from '../../../../../support/http2/frames.ts'
import { http2Deps } from '../../../../../support/http2/deps.ts'
import { MemoryTransport } from '../../../../../support/memory-transport.ts'

const code = { protocol: 1, flowControl: 3, streamClosed: 5, frameSize: 6, refused: 7, compression: 9, calm: 11 }
const endHeaders = Flags.endHeaders
const open = (id = 1, fields = postFields): Buffer => frame(Type.headers, endHeaders, id, block(fields))
const window = (id: number, by: number): Buffer => frame(Type.windowUpdate, 0, id, word(by))
const data = (id: number, text: string, flags = 0): Buffer => frame(Type.data, flags, id, Buffer.from(text))
const reset = (id: number): Buffer => frame(Type.rstStream, 0, id, word(8))
const fields = (...more: readonly (readonly [string, string])[]): Buffer =>
  frame(Type.headers, endHeaders | Flags.endStream, 1, block([...getFields, ...more]))
const only = (...all: readonly (readonly [string, string])[]): Buffer =>
  frame(Type.headers, endHeaders | Flags.endStream, 1, block(all))

/** What RFC 9113 says about frames that must not come, by what the peer sends behind its preface and SETTINGS. */
const cases: readonly (readonly [why: string, sent: readonly Buffer[], answer: string])[] = [
  ['a GET', [get(1)], 'nothing'],
  ['an unknown type', [frame(0x42, 0xff, 7, Buffer.alloc(9)), get(1)], 'nothing'],
  ['unknown flags and a reserved bit', [frame(Type.ping, 0xfe, 0x80000000, Buffer.alloc(8)), get(1)], 'nothing'],
  ['a frame longer than we said', [frame(Type.data, 0, 1, Buffer.alloc(16_385))], `connection ${code.frameSize}`],
  [
    'a frame inside a block',
    [frame(Type.headers, 0, 1, block(getFields)), frame(Type.ping, 0, 0, Buffer.alloc(8))],
    `connection ${code.protocol}`,
  ],
  [
    'an unknown frame inside a block',
    [frame(Type.headers, 0, 1, block(getFields)), frame(0x42, 0, 0)],
    `connection ${code.protocol}`,
  ],
  [
    'a block of two streams',
    [frame(Type.headers, 0, 1, block(getFields)), frame(Type.continuation, endHeaders, 3)],
    `connection ${code.protocol}`,
  ],
  ['CONTINUATION behind nothing', [frame(Type.continuation, endHeaders, 1)], `connection ${code.protocol}`],
  [
    'CONTINUATION behind a whole block',
    [open(), frame(Type.continuation, endHeaders, 1)],
    `connection ${code.protocol}`,
  ],
  [
    'a block that cannot be decoded',
    [frame(Type.headers, endHeaders, 1, Buffer.from([0xff, 0xff]))],
    `connection ${code.compression}`,
  ],
  [
    'nine CONTINUATION frames',
    [frame(Type.headers, 0, 1, block(getFields)), ...Array.from({ length: 9 }, () => frame(Type.continuation, 0, 1))],
    `connection ${code.calm}`,
  ],
  ['HEADERS on stream 0', [frame(Type.headers, endHeaders, 0, block(getFields))], `connection ${code.protocol}`],
  ['HEADERS on an even stream', [frame(Type.headers, endHeaders, 2, block(getFields))], `connection ${code.protocol}`],
  ['HEADERS on a lower stream', [get(5), get(3)], `connection ${code.protocol}`],
  [
    'HEADERS that depend on themselves',
    [frame(Type.headers, endHeaders | Flags.priority, 1, Buffer.concat([word(1), Buffer.from([0]), block(getFields)]))],
    `stream ${code.protocol}`,
  ],
  [
    'padding longer than its HEADERS',
    [frame(Type.headers, endHeaders | Flags.padded, 1, Buffer.concat([Buffer.from([200]), block(getFields)]))],
    `connection ${code.protocol}`,
  ],
  [
    'padding longer than its DATA',
    [open(), frame(Type.data, Flags.padded, 1, Buffer.from([3, 1, 1]))],
    `connection ${code.protocol}`,
  ],
  [
    'padding as long as it may be',
    [open(), frame(Type.data, Flags.padded | Flags.endStream, 1, Buffer.from([2, 1, 1]))],
    'nothing',
  ],
  ['DATA on stream 0', [data(0, 'a')], `connection ${code.protocol}`],
  ['DATA on an idle stream', [data(1, 'a')], `connection ${code.protocol}`],
  ['DATA behind the end', [get(1), data(1, 'a')], `stream ${code.streamClosed}`],
  ['HEADERS behind the end', [get(1), get(1)], `stream ${code.streamClosed}`],
  ['DATA on a stream that the peer reset', [open(), reset(1), data(1, 'a')], `stream ${code.streamClosed}`],
  ['HEADERS on a stream that the peer reset', [open(), reset(1), get(1)], `connection ${code.streamClosed}`],
  [
    'trailers that do not end',
    [open(), frame(Type.headers, endHeaders, 1, block([['x-a', '1']]))],
    `stream ${code.protocol}`,
  ],
  [
    'trailers with a pseudo field',
    [open(), frame(Type.headers, endHeaders | Flags.endStream, 1, block([[':path', '/']]))],
    `stream ${code.protocol}`,
  ],
  ['RST_STREAM on stream 0', [reset(0)], `connection ${code.protocol}`],
  ['RST_STREAM on an idle stream', [reset(1)], `connection ${code.protocol}`],
  ['RST_STREAM of three bytes', [open(), frame(Type.rstStream, 0, 1, Buffer.alloc(3))], `connection ${code.frameSize}`],
  ['PRIORITY on stream 0', [frame(Type.priority, 0, 0, Buffer.alloc(5))], `connection ${code.protocol}`],
  ['PRIORITY of four bytes', [open(), frame(Type.priority, 0, 1, Buffer.alloc(4))], `stream ${code.frameSize}`],
  [
    'PRIORITY that depends on itself',
    [frame(Type.priority, 0, 1, Buffer.concat([word(1), Buffer.from([0])]))],
    `stream ${code.protocol}`,
  ],
  ['SETTINGS on a stream', [frame(Type.settings, 0, 1)], `connection ${code.protocol}`],
  ['SETTINGS of five bytes', [frame(Type.settings, 0, 0, Buffer.alloc(5))], `connection ${code.frameSize}`],
  [
    'an acknowledgement with settings',
    [frame(Type.settings, Flags.ack, 0, Buffer.alloc(6))],
    `connection ${code.frameSize}`,
  ],
  ['ENABLE_PUSH 2', [settings([2, 2])], `connection ${code.protocol}`],
  ['a window of 2^31', [settings([4, 0x80000000])], `connection ${code.flowControl}`],
  ['a frame size of 16,383', [settings([5, 16_383])], `connection ${code.protocol}`],
  ['a frame size of 2^24', [settings([5, 0x1000000])], `connection ${code.protocol}`],
  ['an unknown setting', [settings([0xff, 1])], 'nothing'],
  [
    'PUSH_PROMISE',
    [frame(Type.pushPromise, endHeaders, 1, Buffer.concat([word(2), block(getFields)]))],
    `connection ${code.protocol}`,
  ],
  ['PING on a stream', [frame(Type.ping, 0, 1, Buffer.alloc(8))], `connection ${code.protocol}`],
  ['PING of seven bytes', [frame(Type.ping, 0, 0, Buffer.alloc(7))], `connection ${code.frameSize}`],
  ['a PING answer that nobody asked for', [frame(Type.ping, Flags.ack, 0, Buffer.alloc(8))], 'nothing'],
  ['GOAWAY on a stream', [frame(Type.goAway, 0, 1, Buffer.alloc(8))], `connection ${code.protocol}`],
  ['GOAWAY of seven bytes', [frame(Type.goAway, 0, 0, Buffer.alloc(7))], `connection ${code.frameSize}`],
  ['WINDOW_UPDATE of three bytes', [frame(Type.windowUpdate, 0, 0, Buffer.alloc(3))], `connection ${code.frameSize}`],
  ['WINDOW_UPDATE by 0 on the connection', [window(0, 0)], `connection ${code.protocol}`],
  ['WINDOW_UPDATE by 0 on a stream', [open(), window(1, 0)], `stream ${code.protocol}`],
  ['WINDOW_UPDATE on an idle stream', [window(1, 1)], `connection ${code.protocol}`],
  ['a connection window over 2^31 - 1', [window(0, 0x7fffffff)], `connection ${code.flowControl}`],
  ['a stream window over 2^31 - 1', [open(), window(1, 0x7fffffff)], `stream ${code.flowControl}`],
  [
    'a stream window over 2^31 - 1 by SETTINGS',
    [open(), window(1, 0x7fffffff - 65_535), settings([4, 65_536])],
    `connection ${code.flowControl}`,
  ],
  ['a name in upper case', [fields(['X-A', '1'])], `stream ${code.protocol}`],
  ['a name with a space', [fields(['x a', '1'])], `stream ${code.protocol}`],
  ['a name with a colon', [fields(['x:a', '1'])], `stream ${code.protocol}`],
  ['an empty name', [fields(['', '1'])], `stream ${code.protocol}`],
  ['a line end in a value', [fields(['x-a', '1\r\nx-evil: 1'])], `stream ${code.protocol}`],
  ['NUL in a value', [fields(['x-a', '1\0'])], `stream ${code.protocol}`],
  ['a space around a value', [fields(['x-a', ' 1'])], `stream ${code.protocol}`],
  ['a pseudo field that does not exist', [fields([':x', '1'])], `stream ${code.protocol}`],
  ['a pseudo field of replies', [fields([':status', '200'])], `stream ${code.protocol}`],
  [
    'a pseudo field behind others',
    [only(...getFields.slice(1), ['x-a', '1'], [':method', 'GET'])],
    `stream ${code.protocol}`,
  ],
  ['a pseudo field twice', [only(...getFields, [':path', '/'])], `stream ${code.protocol}`],
  ['no :method', [only(...getFields.slice(1))], `stream ${code.protocol}`],
  ['no :scheme', [only(getFields[0]!, ...getFields.slice(2))], `stream ${code.protocol}`],
  [
    'an empty :path',
    [only([':method', 'GET'], [':scheme', 'http'], [':path', ''], [':authority', 'a'])],
    `stream ${code.protocol}`,
  ],
  [
    'a :path with a space',
    [only([':method', 'GET'], [':scheme', 'http'], [':path', '/a b'], [':authority', 'a'])],
    `stream ${code.protocol}`,
  ],
  ['no host at all', [only(...getFields.slice(0, 3))], `stream ${code.protocol}`],
  ['Host that differs (R40)', [fields(['host', 'other'])], `stream ${code.protocol}`],
  ['Host that agrees', [fields(['host', 'Orders'])], 'nothing'],
  ['userinfo in :authority', [only(...getFields.slice(0, 3), [':authority', 'me@orders'])], `stream ${code.protocol}`],
  ['Connection', [fields(['connection', 'x'])], `stream ${code.protocol}`],
  ['Transfer-Encoding', [fields(['transfer-encoding', 'chunked'])], `stream ${code.protocol}`],
  ['TE other than trailers', [fields(['te', 'gzip'])], `stream ${code.protocol}`],
  ['TE: trailers', [fields(['te', 'trailers'])], 'nothing'],
  ['Content-Length without content', [fields(['content-length', '1'])], `stream ${code.protocol}`],
  [
    'less content than announced',
    [open(1, [...postFields, ['content-length', '3']]), data(1, 'ab', Flags.endStream)],
    `stream ${code.protocol}`,
  ],
  [
    'more content than announced',
    [open(1, [...postFields, ['content-length', '3']]), data(1, 'abcd')],
    `stream ${code.protocol}`,
  ],
  [
    'Content-Length twice',
    [open(1, [...postFields, ['content-length', '1'], ['content-length', '1']])],
    `stream ${code.protocol}`,
  ],
  ['a malformed Content-Length', [open(1, [...postFields, ['content-length', '+1']])], `stream ${code.protocol}`],
  [
    'more content than the window of a stream',
    [open(), ...Array.from({ length: 5 }, () => frame(Type.data, 0, 1, Buffer.alloc(16_384)))],
    `stream ${code.flowControl}`,
  ],
  ['more streams than we said', Array.from({ length: 101 }, (_, n) => open(n * 2 + 1)), `stream ${code.refused}`],
]

const silentOwner = { onStreamEnd() {}, onSettings() {}, onPong() {}, onGoAway() {}, onClosed() {} }

describe('what an HTTP/2 session answers to', () => {
  const answerTo = async (...sent: readonly Buffer[]): Promise<{ wire: MemoryTransport; users: number }> => {
    const wire = new MemoryTransport()
    let users = 0
    const session = new Http2Session(http2Deps(), wire, true, {
      ...silentOwner,
      takeFlow() {
        users++
        // Takes nothing, answers nothing.
        return new Flow({
          onHead() {},
          onFault() {},
          accepts: () => false,
          onContent() {},
          onEnd() {},
          onPause() {},
          onReset() {},
          onDrained() {},
        })
      },
    })
    session.open(null)
    for (const bytes of sent) wire.send(bytes)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    return { wire, users }
  }

  for (const [why, sent, answer] of cases) {
    it(why, async () => {
      const { wire } = await answerTo(magic, settings(), ...sent)
      expect(errorIn(wire.received)).to.equal(answer)
      expect(wire.hasSentEnd, 'FIN').to.equal(answer.startsWith('connection'))
    })
    it(`${why}, byte by byte`, async () => {
      const all = Buffer.concat([magic, settings(), ...sent])
      if (all.length > 3000) return
      const { wire } = await answerTo(...Array.from(all, (byte) => Buffer.from([byte])))
      expect(errorIn(wire.received)).to.equal(answer)
    })
  }

  it('a preface that is none, and frames before SETTINGS', async () => {
    expect(errorIn((await answerTo(Buffer.from('PRI * HTTP/2.1\r\n\r\n'))).wire.received)).to.equal('connection 1')
    expect(errorIn((await answerTo(magic, get(1))).wire.received)).to.equal('connection 1')
  })

  it('heads over a bound: the stream only, whose user may answer, and nothing of them is kept', async () => {
    for (const head of [
      block([...getFields, ['x-large', 'v'.repeat(61_300)]]),
      block([...getFields, ...Array.from({ length: 100 }, (_, n) => [`x-${n}`, ''] as const)]),
      block([...getFields, ...Array.from({ length: 100 }, () => ['cookie', 'a'] as const)]),
    ]) {
      const parts = Array.from({ length: Math.ceil(head.length / 16_384) }, (_, n) =>
        head.subarray(n * 16_384, (n + 1) * 16_384),
      )
      const frames = parts.map((part, n) =>
        frame(
          n === 0 ? Type.headers : Type.continuation,
          (n === 0 ? Flags.endStream : 0) | (n === parts.length - 1 ? endHeaders : 0),
          1,
          part,
        ),
      )
      const { wire, users } = await answerTo(magic, settings(), ...frames, frame(Type.ping, 0, 0, Buffer.alloc(8)))
      expect([users, errorIn(wire.received), wire.hasSentEnd]).to.deep.equal([1, 'stream 1', false])
    }
  })

  const ping = frame(Type.ping, 0, 0, Buffer.alloc(8))

  for (const [what, perData, answer] of [
    ['one PING behind each DATA frame that it gets is no flood', 1, 'nothing'],
    ['two behind each are one', 2, `connection ${code.calm}`],
  ] as const) {
    it(what, async () => {
      const wire = new MemoryTransport()
      const flow = new Flow(nobody)
      const owner = { ...silentOwner, takeFlow: () => flow }
      const session = new Http2Session(http2Deps(), wire, true, owner)
      session.open(null)
      wire.send(Buffer.concat([magic, settings(), open()]))
      await new Promise((resolve) => setImmediate(resolve))
      session.sender.beginHead()
      session.sender.endHead(flow, false)
      for (let n = 0; n < 600 && !session.isEnding; n++) {
        flow.data(Buffer.from('x'), 0, 1)
        session.sender.write()
        for (let k = 0; k < perData; k++) wire.send(ping)
      }
      await new Promise((resolve) => setImmediate(resolve))
      expect([errorIn(wire.received), session.isEnding]).to.deep.equal([answer, answer !== 'nothing'])
    })
  }
})
