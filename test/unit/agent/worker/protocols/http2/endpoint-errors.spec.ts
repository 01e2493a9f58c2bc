import { expect } from 'chai'

import { Flow, nobody } from '../../../../../../agent/worker/protocols/http2/flow.ts'
import { writeField } from '../../../../../../agent/worker/protocols/http2/hpack/encoder.ts'
import { Http2Session } from '../../../../../../agent/worker/protocols/http2/session.ts'
import {
  block,
  errorIn,
  Flags,
  frame,
  magic,
  postFields,
  settings,
  Type,
  word,
} from '../../../../../support/http2/frames.ts'
import { http2Deps } from '../../../../../support/http2/deps.ts'
import { MemoryTransport } from '../../../../../support/memory-transport.ts'

const { endHeaders, endStream, none } = Flags
const head = (id: number, flags = 0, status = '200', ...more: (readonly [string, string])[]): Buffer =>
  frame(Type.headers, endHeaders | flags, id, block([[':status', status], ...more]))
const data = (id: number, text: string, flags: number = none): Buffer => frame(Type.data, flags, id, Buffer.from(text))
const reset = (id: number, code: number): Buffer => frame(Type.rstStream, none, id, word(code))
const window = (id: number, by: number): Buffer => frame(Type.windowUpdate, none, id, word(by))
const goAway = (last: number, code: number): Buffer =>
  frame(Type.goAway, none, 0, Buffer.concat([word(last), word(code)]))
const fine = [head(1), data(1, 'fine', endStream)]
const many = (count: number, one: (n: number) => Buffer): Buffer[] => Array.from({ length: count }, (_, n) => one(n))

/**
 * What an endpoint may say that it must not, to a client that has asked a GET on stream 1 and is in the middle of a
 * POST on stream 3: our answer, and what the GET hears.
 */
const cases: readonly (readonly [why: string, sent: readonly Buffer[], answer: string, heard: string])[] = [
  ['a reply', fine, 'nothing', 'head 200,fine,end'],
  ['an interim reply before it', [head(1, 0, '103'), ...fine], 'nothing', 'head 103,head 200,fine,end'],
  ['a reply without content', [head(1, endStream, '204')], 'nothing', 'head 204,end'],
  ['trailers', [head(1), data(1, 'a'), frame(Type.headers, 5, 1, block([['x-t', '1']]))], 'nothing', 'head 200,a,end'],
  ['an interim reply that ends the stream', [head(1, endStream, '103')], 'stream 1', 'reset 1'],
  ['content before a head', [data(1, 'x')], 'stream 1', 'reset 1'],
  ['a head behind the end', [...fine, head(1)], 'stream 5', 'head 200,fine,end,reset 5'],
  ['content behind the end', [...fine, data(1, 'x')], 'stream 5', 'head 200,fine,end,reset 5'],
  [
    'more content than said',
    [head(1, 0, '200', ['content-length', '2']), data(1, 'abc')],
    'stream 1',
    'head 200,fault,reset 1',
  ],
  [
    'less content than said',
    [head(1, 0, '200', ['content-length', '9']), data(1, 'abc', endStream)],
    'stream 1',
    'head 200,fault,reset 1',
  ],
  [
    'trailers before the content that it said',
    [
      head(1, 0, '200', ['content-length', '9']),
      data(1, 'abc'),
      frame(Type.headers, endHeaders | endStream, 1, block([['x-t', '1']])),
    ],
    'stream 1',
    'head 200,abc,fault,reset 1',
  ],
  ['a status that is none', [head(1, endStream, '20')], 'stream 1', 'fault,reset 1'],
  ['no status', [frame(Type.headers, 5, 1, block([['x-a', '1']]))], 'stream 1', 'fault,reset 1'],
  ['a head of a request', [frame(Type.headers, 5, 1, block(postFields))], 'stream 1', 'fault,reset 1'],
  ['a field of HTTP/1.1', [head(1, endStream, '200', ['connection', 'close'])], 'stream 1', 'fault,reset 1'],
  ['a name in upper case', [head(1, endStream, '200', ['X-A', '1'])], 'stream 1', 'fault,reset 1'],
  [
    'trailers that do not end it',
    [head(1), frame(Type.headers, 4, 1, block([['x-t', '1']]))],
    'stream 1',
    'head 200,fault,reset 1',
  ],
  ['a stream that we never opened', [head(9)], 'connection 1', 'reset 1'],
  ['a stream of its own', [head(2)], 'connection 1', 'reset 1'],
  [
    'a push that we forbade',
    [frame(Type.pushPromise, endHeaders, 1, Buffer.concat([word(2), block(postFields)]))],
    'connection 1',
    'reset 1',
  ],
  [
    'a block that cannot be decoded',
    [frame(Type.headers, 5, 1, Buffer.from([0xff, 0xff, 0xff]))],
    'connection 9',
    'reset 9',
  ],
  ['a frame too long', [frame(Type.data, none, 1, Buffer.alloc(16_385))], 'connection 6', 'reset 6'],
  [
    'padding longer than its frame',
    [head(1), frame(Type.data, Flags.padded, 1, Buffer.from([9, 1]))],
    'connection 1',
    'head 200,reset 1',
  ],
  ['a window beyond its bound, of a stream', [window(1, 0x7fffffff)], 'stream 3', 'reset 3'],
  ['a window beyond its bound, of the connection', [window(0, 0x7fffffff)], 'connection 3', 'reset 3'],
  ['a window opened by nothing', [window(1, 0)], 'stream 1', 'reset 1'],
  ['a push switched on', [settings([2, 1])], 'connection 1', 'reset 1'],
  ['an initial window too large', [settings([4, 0x80000000])], 'connection 3', 'reset 3'],
  ['SETTINGS of a wrong length', [frame(Type.settings, none, 0, Buffer.alloc(5))], 'connection 6', 'reset 6'],
  [
    'an acknowledged ping that we never sent',
    [frame(Type.ping, Flags.ack, 0, Buffer.alloc(8)), ...fine],
    'nothing',
    'head 200,fine,end',
  ],
  ['a reset of what we never opened', [reset(9, 8)], 'connection 1', 'reset 1'],
  ['a reset', [reset(1, 8)], 'nothing', 'reset 8'],
  ['a reset of what was not processed', [reset(1, 7)], 'nothing', 'reset 7 unprocessed'],
  ['a farewell to a later stream', [goAway(1, 0), ...fine], 'nothing', 'head 200,fine,end'],
  ['a farewell to ours', [goAway(0, 0)], 'nothing', 'reset 0 unprocessed'],
  ['no end of settings', many(600, () => settings()), 'connection 11', 'reset 11'],
  ['no end of pings', many(600, () => frame(Type.ping, none, 0, Buffer.alloc(8))), 'connection 11', 'reset 11'],
  ['no end of empty content', [head(1), ...many(600, () => data(1, ''))], 'connection 11', 'head 200,reset 11'],
  [
    'no end of a block',
    [
      frame(Type.headers, none, 1, block([[':status', '200']])),
      ...many(20, () => frame(Type.continuation, none, 1, Buffer.alloc(2))),
    ],
    'connection 11',
    'reset 11',
  ],
  ['no end of window updates', many(600, () => window(1, 1)), 'connection 11', 'reset 11'],
]

describe('an endpoint of HTTP/2 that says what it must not', () => {
  const tell = async (...sent: readonly Buffer[]): Promise<{ wire: MemoryTransport; heard: string; ended: number }> => {
    const wire = new MemoryTransport()
    const heard: string[] = []
    let ended = 0
    const session = new Http2Session(http2Deps(), wire, false, {
      takeFlow: () => null,
      onStreamEnd() {},
      onSettings() {},
      onPong() {},
      onGoAway() {},
      onClosed: () => ended++,
    })
    session.open(null)
    const ask = (isWhole: boolean, notes: string[]): void => {
      const flow = new Flow({
        onHead: (reply) => notes.push(`head ${reply.status}`),
        onFault: () => notes.push('fault'),
        accepts: () => true,
        onContent: (buf, from, to) => notes.push(buf.toString('latin1', from, to)),
        onEnd: () => notes.push('end'),
        onPause() {},
        onReset: (code, isUnprocessed) => notes.push(`reset ${code}${isUnprocessed ? ' unprocessed' : ''}`),
        onDrained() {},
      })
      session.begin(flow)
      const out = session.sender.beginHead()
      for (const [name, value] of postFields) writeField(out, name, value)
      session.sender.endHead(flow, isWhole)
    }
    wire.send(settings())
    await new Promise((resolve) => setImmediate(resolve))
    ask(true, heard)
    ask(false, [])
    for (const bytes of sent) wire.send(bytes)
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
    return { wire, heard: heard.join(), ended }
  }

  for (const [why, sent, answer, expected] of cases)
    it(why, async () => {
      const { ended, heard, wire } = await tell(...sent)
      expect([errorIn(wire.received.subarray(magic.length)), heard]).to.deep.equal([answer, expected])
      expect(ended).to.equal(answer.startsWith('connection') ? 1 : 0)
    })

  it('keeps its connection when it resets stream after stream behind its replies, as nginx does', async () => {
    const wire = new MemoryTransport()
    let open = 0
    let replies = 0
    const owner = { takeFlow: () => null, onStreamEnd: () => open--, onSettings() {}, onPong() {}, onGoAway() {} }
    const session = new Http2Session(http2Deps(), wire, false, { ...owner, onClosed: () => expect.fail('closed') })
    session.open(null)
    wire.send(settings())
    await new Promise((resolve) => setImmediate(resolve))
    for (let id = 1; id < 4000; id += 2) {
      const flow = new Flow({ ...nobody, onEnd: () => replies++ })
      session.begin(flow)
      open++
      writeField(session.sender.beginHead(), ':status', 'x')
      session.sender.endHead(flow, false)
      wire.send(Buffer.concat([head(id, endStream), reset(id, 0)]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect([replies, open, errorIn(wire.received.subarray(magic.length))]).to.deep.equal([2000, 0, 'nothing'])
  })
})
