/**
 * The numbered rules of docs/http1.md that only a caller of HTTP/2 can put to the test, through a running worker, at an
 * endpoint that keeps every byte.
 */
import http2 from 'node:http2'
import { once } from 'node:events'
import { expect } from 'chai'

import { startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import { block, errorIn, Flags, frame, get, postFields, RawH2Caller, Type } from '../../support/http2/frames.ts'
import { eventually } from '../../support/worker/eventually.ts'

const { endHeaders, endStream, none } = Flags
type Field = readonly [name: string, value: string]

const head = (fields: readonly Field[], flags = 0): Buffer => frame(Type.headers, endHeaders | flags, 1, block(fields))
const post = (...more: readonly Field[]): Buffer => head([...postFields, ...more])
const data = (text: string, flags: number = none): Buffer => frame(Type.data, flags, 1, Buffer.from(text))
const trailers = (...fields: readonly Field[]): Buffer => head(fields, endStream)
const without = (name: string, ...more: readonly Field[]): Buffer =>
  head([...postFields.filter(([known]) => known !== name), ...more], endStream)
const smuggled = 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n'

/** Nothing of these heads may be read by the endpoint. */
const heads: readonly (readonly [why: string, sent: Buffer])[] = [
  ['CR LF in a value', get(1, [['x-a', `1\r\nx-evil: 1\r\n\r\n${smuggled}`]])],
  ['LF in a value', get(1, [['x-a', '1\nx-evil: 1']])],
  ['CR in a value', get(1, [['x-a', '1\rx-evil: 1']])],
  ['NUL in a value', get(1, [['x-a', '1\0']])],
  ['a space before a value', get(1, [['x-a', ' 1']])],
  ['a tab behind a value', get(1, [['x-a', '1\t']])],
  ['CR LF in a name', get(1, [['x-a: 1\r\nx-evil', '1']])],
  ['a colon in a name', get(1, [['transfer-encoding:', 'chunked']])],
  ['a space in a name', get(1, [['transfer-encoding ', 'chunked']])],
  ['NUL in a name', get(1, [['x-\0a', '1']])],
  ['an empty name', get(1, [['', '1']])],
  ['a name in upper case', get(1, [['Content-Length', '0']])],
  ['Transfer-Encoding', get(1, [['transfer-encoding', 'chunked']])],
  ['Connection', get(1, [['connection', 'x-a']])],
  ['Keep-Alive', get(1, [['keep-alive', 'timeout=5']])],
  ['Proxy-Connection', get(1, [['proxy-connection', 'close']])],
  ['Upgrade', get(1, [['upgrade', 'h2c']])],
  ['TE other than trailers', get(1, [['te', 'chunked']])],
  ['CR LF in :path', without(':path', [':path', `/ HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`])],
  ['a space in :path', without(':path', [':path', '/ HTTP/1.1'])],
  ['a :path that is no path', without(':path', [':path', 'evil'])],
  ['a space in :method', without(':method', [':method', 'GET /evil HTTP/1.1\r\nx:'])],
  ['CR LF in :authority', without(':authority', [':authority', 'orders\r\nx-evil: 1'])],
  ['a user in :authority', without(':authority', [':authority', 'evil@orders'])],
  ['neither :authority nor Host', without(':authority')],
  ['Host that differs from :authority', get(1, [['host', 'evil']])],
  [
    'Host twice',
    get(1, [
      ['host', 'orders'],
      ['host', 'orders'],
    ]),
  ],
  [
    'Content-Length twice',
    get(1, [
      ['content-length', '0'],
      ['content-length', '0'],
    ]),
  ],
  ['Content-Length with a sign', get(1, [['content-length', '+0']])],
  ['Content-Length of content that never comes', get(1, [['content-length', '5']])],
]

/** Of these the endpoint has read the head and `abc`, which must then end with its connection. */
const contents: readonly (readonly [why: string, first: Buffer, rest: Buffer])[] = [
  ['less content than Content-Length says', post(['content-length', '9']), data('d', endStream)],
  ['more content than Content-Length says', post(['content-length', '5']), data(smuggled)],
  ['trailers before Content-Length is reached', post(['content-length', '9']), trailers(['x-t', '1'])],
  ['CR LF in a trailer', post(), trailers(['x-t', `1\r\n\r\n${smuggled}`])],
  ['a colon in the name of a trailer', post(), trailers(['x-t:', '1'])],
  ['a pseudo field in trailers', post(), trailers([':path', '/evil'])],
]

describe('HTTP/2 rules through a worker', () => {
  let mesh: RecordedMesh
  let caller: RawH2Caller | undefined

  before(async () => {
    mesh = await startRecordedMesh('public sockets', { drainTimeoutMs: 300 })
  })

  beforeEach(() => mesh.backend.reset())
  afterEach(() => caller?.close())
  after(() => mesh.close())

  it('R39 order and duplicates of fields are kept towards the caller, Set-Cookie is never joined', async () => {
    mesh.backend.answer = () =>
      'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-R: 1\r\nSet-Cookie: b=2, c\r\nx-r: 2\r\nContent-Length: 0\r\n\r\n'
    const client = http2.connect(`http://127.0.0.1:${mesh.port}`)
    try {
      const [, , raw] = (await once(client.request({}), 'response')) as [unknown, unknown, string[]]
      const named = raw.flatMap((name, at) =>
        at % 2 === 0 && /^(x-r|set-cookie)$/.test(name) ? [`${name}: ${raw[at + 1]}`] : [],
      )
      expect(named).to.deep.equal(['set-cookie: a=1', 'x-r: 1', 'set-cookie: b=2, c', 'x-r: 2'])
    } finally {
      client.destroy()
    }
  })

  it('R39 crumbs of Cookie are one field towards HTTP/1.1, and the others keep their order', async () => {
    caller = await RawH2Caller.to(mesh.port)
    const fields: Field[] = [
      ['x-a', '1'],
      ['cookie', 'a=1'],
      ['x-b', '2'],
      ['cookie', 'b=2; c=3'],
      ['x-a', '3'],
    ]
    caller.send(get(1, fields))
    await eventually(() => mesh.backend.requests.length === 1)
    expect(mesh.backend.requests[0]!.fields.filter(([name]) => /^(x-[ab]|cookie)$/.test(name))).to.deep.equal([
      ['x-a', '1'],
      ['cookie', 'a=1; b=2; c=3'],
      ['x-b', '2'],
      ['x-a', '3'],
    ])
  })

  for (const [why, sent] of heads) {
    it(`R40 ${why}: nothing of it reaches the endpoint, and the next stream is served`, async () => {
      caller = await RawH2Caller.to(mesh.port)
      caller.send(sent)
      await eventually(() => errorIn(caller!.bytes) !== 'nothing')
      expect(errorIn(caller.bytes)).to.equal('stream 1')
      expect(mesh.backend.connections.map(({ bytes }) => bytes.toString('latin1'))).to.deep.equal([])
      caller.send(frame(Type.headers, endHeaders | endStream, 3, block([...postFields, ['x-next', '1']])))
      await eventually(() => caller!.frames.some(({ streamId, type }) => streamId === 3 && type === Type.headers))
      expect(mesh.backend.requests.map(({ fields }) => new Map(fields).get('x-next'))).to.deep.equal(['1'])
    })
  }

  for (const [why, first, rest] of contents) {
    it(`R40 ${why}: no whole request of it reaches the endpoint`, async () => {
      const { connections } = mesh.backend
      caller = await RawH2Caller.to(mesh.port)
      caller.send(first, data('abc'))
      await eventually(() => connections.some(({ bytes }) => bytes.includes('abc')))
      caller.send(rest)
      await eventually(() => errorIn(caller!.bytes) !== 'nothing' && connections[0]!.isEnded)
      expect([errorIn(caller.bytes), connections.length]).to.deep.equal(['stream 1', 1])
      expect(mesh.backend.requests).to.deep.equal([])
      expect(dirtyForward(connections[0]!)).to.equal(undefined)
    })
  }

  it('R33 TRACE is refused with 501 without reaching anybody', async () => {
    const client = http2.connect(`http://127.0.0.1:${mesh.port}`)
    try {
      const stream = client.request({ ':method': 'TRACE', authorization: 'secret' })
      const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
      expect([fields[':status'], fields['x-mesh-error']]).to.deep.equal([501, 'E_HTTP_METHOD'])
      expect(mesh.backend.requests).to.deep.equal([])
    } finally {
      client.destroy()
    }
  })

  it('R40 Host that agrees with :authority is one Host, and Content-Length that agrees with DATA passes', async () => {
    caller = await RawH2Caller.to(mesh.port)
    caller.send(post(['host', 'Orders'], ['content-length', '3']), data('ab'), data('c', endStream))
    await eventually(() => mesh.backend.requests.length === 1)
    const { body, fields } = mesh.backend.requests[0]!
    expect(fields.filter(([name]) => ['host', 'content-length', 'transfer-encoding'].includes(name))).to.deep.equal([
      ['host', 'orders'],
      ['content-length', '3'],
    ])
    expect(body).to.equal('abc')
  })

  for (const takesIt of [false, true]) {
    it(`R40 what a caller sends behind extended CONNECT waits for the application, which ${takesIt ? 'takes' : 'refuses'} it`, async () => {
      const { backend } = mesh
      const hasCome: boolean[] = []
      let agree = (): void => {}
      backend.answer = (message, connection) => {
        if (message.target !== '/chat') return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        agree = () => {
          hasCome.push(connection.bytes.includes('/evil'))
          connection.hasSwitched = takesIt
          connection.socket.write(
            takesIt
              ? 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
              : 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n',
          )
        }
        return undefined
      }
      caller = await RawH2Caller.to(mesh.port)
      const connect = [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':scheme', 'http'],
        [':path', '/chat'],
      ] as const
      caller.send(head([...connect, [':authority', 'orders']]), data(smuggled))
      await eventually(() => backend.requests.length === 1)
      caller.send(data(smuggled), frame(Type.ping, none, 0, Buffer.alloc(8)))
      await eventually(() => caller!.frames.some(({ type }) => type === Type.ping))
      agree()
      await eventually(() => caller!.frames.some(({ streamId, type }) => streamId === 1 && type === Type.headers))
      caller.send(get(3))
      await eventually(() => caller!.frames.some(({ streamId, type }) => streamId === 3 && type === Type.headers))
      const [first] = backend.connections
      if (takesIt) await eventually(() => first!.bytes.toString('latin1').endsWith(smuggled + smuggled))
      else expect(first!.bytes.includes('/evil')).to.equal(false)
      expect(hasCome).to.deep.equal([false])
    })
  }
})
