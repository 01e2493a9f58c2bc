/**
 * The numbered rules of docs/http1.md that only forwarding can keep: a caller of raw bytes, a running worker, a
 * recording backend.
 */
import { expect } from 'chai'

import { RawCaller } from '../../support/http1/raw-caller.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import type { BackendConnection, RecordingBackend } from '../../support/http1/recording-backend.ts'
import { meshKinds, startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { parseReplies } from '../../support/http1/strict-parser.ts'
import type { StrictMessage } from '../../support/http1/strict-parser.ts'
import { eventually, holds } from '../../support/worker/eventually.ts'

const get = (fields = '', target = '/') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const ok = (fields = '', body = '') => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`
const okBody = (body: string, fields = '') => ok(`${fields}Content-Length: ${body.length}\r\n`, body)

for (const kind of meshKinds)
  describe(`HTTP/1.1 rules through a worker, ${kind}`, () => {
    let mesh: RecordedMesh
    let backend: RecordingBackend
    const callers: RawCaller[] = []

    before(async function () {
      this.timeout(120_000)
      mesh = await startRecordedMesh(kind, { drainTimeoutMs: 300 })
      backend = mesh.backend
    })

    beforeEach(() => backend.reset())

    afterEach(async () => {
      for (const caller of callers.splice(0)) caller.close()
      await settled()
      for (const connection of backend.connections) expect(dirtyForward(connection)).to.equal(undefined)
    })

    after(async () => {
      mesh.expectAlive()
      await mesh.close()
    })

    async function caller(first?: string): Promise<RawCaller> {
      const opened = await RawCaller.open(mesh.port)
      callers.push(opened)
      if (first !== undefined) opened.send(first)
      return opened
    }

    /** Final replies so far, strictly read. */
    function replies(to: RawCaller, ...methods: string[]): readonly StrictMessage[] {
      const seen = parseReplies(
        to.bytes,
        methods.length > 0 ? methods : Array.from({ length: 100 }, () => 'GET'),
        to.isOver,
      )
      expect(seen.problem, to.text).to.equal(undefined)
      return seen.messages
    }

    async function repliesOf(to: RawCaller, count: number, ...methods: string[]): Promise<readonly StrictMessage[]> {
      await to.until(() => to.isOver || replies(to, ...methods).length >= count)
      const seen = replies(to, ...methods)
      expect(seen.length, to.text).to.equal(count)
      return seen
    }

    /** One request on a connection of its own, one reply. */
    async function ask(text: string, method = 'GET'): Promise<StrictMessage> {
      const asking = await caller(text)
      return (await repliesOf(asking, 1, method))[0] as StrictMessage
    }

    async function until(what: string, condition: () => boolean): Promise<void> {
      const deadline = performance.now() + 20_000
      while (!condition()) {
        if (performance.now() > deadline) throw new Error(`${what}: not in time`)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    }

    /** Cut streams have been closed. */
    const settled = () =>
      until(
        'cut streams closed',
        () => !backend.connections.some((one) => dirtyForward(one)?.startsWith('the stream stops')),
      )
    const value = (message: StrictMessage | undefined, name: string) =>
      message?.fields.find(([found]) => found === name)?.[1]
    const lastRequest = () => backend.requests.at(-1) as StrictMessage

    /** A backend that says exactly these bytes to the first request of each connection, and then does as told. */
    function scripted(text: string, then?: (connection: BackendConnection) => void): void {
      backend.answer = (_, connection) => {
        connection.socket.write(Buffer.from(text, 'latin1'), () => then?.(connection))
        return undefined
      }
    }

    it('R11 a request with Content-Length and Transfer-Encoding gets 400, nothing of it is forwarded, the connection closes', async () => {
      const bad = await caller(post('Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\nX') + get())
      await bad.closed()
      expect(replies(bad).map((reply) => [reply.status, value(reply, 'x-mesh-error')])).to.deep.equal([
        [400, 'E_HTTP_BAD_REQUEST'],
      ])
      expect(backend.requests).to.deep.equal([])
      scripted(ok('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'))
      const reply = await ask(get())
      expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([502, 'E_UPSTREAM_PROTOCOL'])
    })

    it('R12 a bad Content-Length of a reply gives 502 and closes the connection to the endpoint', async () => {
      scripted(ok('Content-Length: +5\r\n', 'hello'))
      expect((await ask(get())).status).to.equal(502)
      await until('closed', () => backend.connections.every((connection) => connection.isEnded))
    })

    it('R14 R15 chunks pass both ways, extensions do not', async () => {
      backend.answer = () => ok('Transfer-Encoding: chunked\r\n', '3;a=b\r\nabc\r\n2;x\r\nde\r\n0;last\r\n\r\n')
      const reply = await ask(
        post('Transfer-Encoding: chunked\r\n', '5;q="x;y"\r\nhello\r\n6\r\n world\r\n0;z\r\n\r\n'),
      )
      expect(reply.body).to.equal('abcde')
      expect(lastRequest().body).to.equal('hello world')
      expect(value(lastRequest(), 'transfer-encoding')).to.equal('chunked')
    })

    it('R15 a bad chunk in the middle of a request cuts the connection to the endpoint without a last chunk, and gives 400', async () => {
      const bad = await caller(post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n'))
      await until('the first chunk at the backend', () => backend.connections[0]?.bytes.includes('hello') === true)
      bad.send('5;\r\nworld\r\n0\r\n\r\n')
      await bad.closed()
      expect(replies(bad).map((reply) => reply.status)).to.deep.equal([400])
      await settled()
      expect(backend.connections[0]?.bytes.includes('0\r\n\r\n')).to.equal(false)
    })

    it('R16 trailers: forbidden ones are dropped; others pass to the endpoint, and to a caller that accepts them', async () => {
      backend.answer = () =>
        ok('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nSet-Cookie: a\r\n\r\n')
      const text = (fields: string) =>
        post(
          `${fields}Transfer-Encoding: chunked\r\n`,
          '1\r\na\r\n0\r\nX-Req: 1\r\nHost: evil\r\nX-Mesh-Source: me\r\n\r\n',
        )
      expect((await ask(text('TE: trailers\r\nConnection: TE\r\n'))).trailers).to.deep.equal([['x-sum', '1']])
      expect(lastRequest().trailers).to.deep.equal([['x-req', '1']])
      expect(value(lastRequest(), 'te')).to.equal('trailers')
      expect((await ask(text(''))).trailers).to.deep.equal([])
    })

    it('R17 hop-by-hop fields and nominated ones end here, in both directions', async () => {
      backend.answer = () =>
        okBody('ok', 'Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-End: 1\r\n')
      const reply = await ask(
        get(
          'Connection: X-Mine, Host, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\nX-Far: 1\r\n',
        ),
      )
      const names = (message: StrictMessage) => message.fields.map(([name]) => name)
      expect(names(reply)).to.include('x-end')
      expect(names(reply)).to.not.include.members(['x-hop'])
      expect(names(reply)).to.not.include.members(['keep-alive'])
      expect(names(lastRequest())).to.include.members(['host', 'x-far'])
      for (const name of ['x-mine', 'keep-alive', 'proxy-connection', 'connection'])
        expect(names(lastRequest())).to.not.include(name)
    })

    it('R18 Via is added both ways, Max-Forwards counts down and 0 is answered here', async () => {
      const reply = await ask('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n', 'OPTIONS')
      expect(value(reply, 'via')).to.match(/^1\.1 \S+$/)
      expect([value(lastRequest(), 'max-forwards'), value(lastRequest(), 'via')?.startsWith('1.1 ')]).to.deep.equal([
        '2',
        true,
      ])
      const count = backend.requests.length
      expect((await ask('OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n', 'OPTIONS')).status).to.equal(200)
      expect(backend.requests.length).to.equal(count)
    })

    const upgradeFields =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
    const switching =
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

    it('R19 bytes behind an upgrade request wait for the 101, then pass as a tunnel in both directions until either end closes', async () => {
      let endpoint: BackendConnection | undefined
      backend.answer = (_, connection) => {
        endpoint = connection
        return undefined
      }
      const upgrading = await caller(`${get(upgradeFields)}early`)
      await until('the request at the backend', () => endpoint !== undefined)
      const connection = endpoint as BackendConnection
      const headLength = connection.bytes.length
      // nothing behind the head before 101
      await holds(() => connection.bytes.length === headLength, 50)
      expect(connection.bytes.toString('latin1')).to.match(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/)
      connection.hasSwitched = true
      connection.socket.write(Buffer.from(`${switching}\x81\x02hi`, 'latin1'))
      await upgrading.expect(/^HTTP\/1\.1 101 [^\r]*\r\n[\s\S]*\r\n\r\n\x81.hi$/)
      await until('the early bytes', () => connection.bytes.length === headLength + 5)
      upgrading.send('\x81\x83abc')
      await until('the tunnel', () => connection.bytes.toString('latin1').endsWith('early\x81\x83abc'))
      connection.socket.end('bye')
      await upgrading.expect('bye')
      await upgrading.closed()
    })

    it('R19 a 200 to an upgrade is an ordinary reply and the bytes behind the request are the next request', async () => {
      const upgrading = await caller(get(upgradeFields) + get('', '/second'))
      await repliesOf(upgrading, 2)
      expect(backend.requests.map((request) => request.target)).to.deep.equal(['/', '/second'])
    })

    it('R19 an upgrade to h2c is taken out', async () => {
      await ask(get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'))
      expect(lastRequest().fields.map(([name]) => name)).to.not.include.members(['upgrade'])
      expect(value(lastRequest(), 'http2-settings')).to.equal(undefined)
    })

    it('R20 an upgrade with a body or in HTTP/1.0 is forwarded as none, and a 101 to it is a fault', async () => {
      backend.answer = () => switching
      const reply = await ask(post(`${upgradeFields}Content-Length: 2\r\n`, 'hi'))
      expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([502, 'E_UPSTREAM_PROTOCOL'])
      expect(value(lastRequest(), 'upgrade')).to.equal(undefined)
    })

    it('R21 interim replies pass to an HTTP/1.1 caller, not to an HTTP/1.0 one, and only so many', async () => {
      const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
      backend.answer = () => early + early + okBody('ok')
      const modern = await caller(get())
      expect((await repliesOf(modern, 3)).map((reply) => reply.status)).to.deep.equal([103, 103, 200])
      const old = await caller('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      expect((await repliesOf(old, 1)).map((reply) => reply.status)).to.deep.equal([200])
      backend.answer = () => early.repeat(33) + okBody('ok')
      const flooded = await caller(get())
      await flooded.until(() => flooded.isOver || replies(flooded).some((reply) => reply.status >= 200))
      const statuses = replies(flooded).map((reply) => reply.status)
      expect(statuses.filter((status) => status === 103).length).to.be.at.most(32)
      expect(statuses).to.not.include(200)
    })

    it('R22 Expect is forwarded; the 100 of the endpoint comes back before the body is sent', async () => {
      backend.onPiece = (connection) => {
        if (!connection.bytes.toString('latin1').endsWith('\r\n\r\n')) return false
        connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n')
        return true
      }
      const careful = await caller(post('Expect: 100-continue\r\nContent-Length: 5\r\n'))
      await careful.expect('HTTP/1.1 100 ')
      careful.send('hello')
      expect((await repliesOf(careful, 2))[1]?.status).to.equal(200)
      expect(lastRequest().body).to.equal('hello')
    })

    it('R22 a final reply instead of the 100 is passed on and the connection closes, because the body may still come', async () => {
      backend.onPiece = (connection) => {
        connection.socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
        return true
      }
      const careful = await caller(post('Expect: 100-continue\r\nContent-Length: 5\r\n'))
      await careful.closed()
      expect(replies(careful).map((reply) => [reply.status, value(reply, 'connection')])).to.deep.equal([
        [403, 'close'],
      ])
      await until('closed', () => backend.connections.every((connection) => connection.isEnded))
    })

    it('R22 an unknown expectation is 417', async () => {
      expect((await ask(get('Expect: 200-ok\r\n'))).status).to.equal(417)
    })

    it('R23 replies to HEAD, 204 and 304 have no body whatever they announce, and the connection goes on', async () => {
      backend.answer = (message) =>
        message.target === '/204'
          ? 'HTTP/1.1 204 No Content\r\n\r\n'
          : message.target === '/304'
            ? 'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n'
            : message.method === 'HEAD'
              ? ok('Content-Length: 5\r\n')
              : okBody('end')
      const one = await caller(
        'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n' + get('', '/204') + get('', '/304') + get('', '/end'),
      )
      const seen = await repliesOf(one, 4, 'HEAD', 'GET', 'GET', 'GET')
      expect(seen.map((reply) => [reply.status, value(reply, 'content-length'), reply.body])).to.deep.equal([
        [200, '5', ''],
        [204, undefined, ''],
        [304, '7', ''],
        [200, '3', 'end'],
      ])
      expect(backend.connections.length).to.equal(1)
    })

    it('R23 R38 bytes behind a complete reply close the connection to the endpoint and go to nobody', async () => {
      backend.answer = () => `${okBody('ok')}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`
      const one = await caller(get('', '/1'))
      await repliesOf(one, 1)
      backend.answer = () => okBody('good')
      one.send(get('', '/2'))
      expect((await repliesOf(one, 2)).map((reply) => reply.body)).to.deep.equal(['ok', 'good'])
      expect(backend.connections.length).to.equal(2)
    })

    it('R24 a body of GET, DELETE, OPTIONS and HEAD is forwarded and never taken for a request', async () => {
      const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
      for (const method of ['GET', 'DELETE', 'OPTIONS', 'HEAD']) {
        const one = await caller(
          `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
        )
        backend.answer = () => (method === 'HEAD' ? ok('Content-Length: 2\r\n') : okBody('ok'))
        await repliesOf(one, 1, method)
        expect(lastRequest().body, method).to.equal(smuggled)
      }
      expect(backend.requests.some((request) => request.target === '/smuggled')).to.equal(false)
    })

    it('R25 a reply that comes before the body is complete is passed on, then both connections close', async () => {
      backend.onPiece = (connection) => {
        if (connection.answered++ === 0) connection.socket.write(okBody('early'))
        return true
      }
      const one = await caller(post('Content-Length: 100000\r\n', 'first part'))
      await one.expect('early')
      expect(value(replies(one)[0], 'connection')).to.equal('close')
      one.send('more')
      await one.closed()
      await until('closed', () => backend.connections.every((connection) => connection.isEnded))
    })

    it('R25 a refusal that comes at the start of a large upload reaches its caller, whether the endpoint goes on or resets', async () => {
      const refusal = `HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig`
      const upload = Buffer.alloc(20_000_000, 'x')
      // A socket of Node's public API is gone with the write that meets the reset, and with it what was not read.
      const mayReset = kind === 'process'
      // Each connection is answered at its first piece: bytes of the upload before may still come when the next begins.
      backend.onPiece = (connection) => {
        const { id, socket } = connection
        if (connection.answered++ === 0) socket.write(refusal, () => mayReset && id % 2 === 1 && socket.destroy())
        return true
      }
      for (let i = 0; i < 8; i++) {
        const one = await caller(post(`Content-Length: ${upload.length}\r\n`))
        one.send(upload)
        await one.closed()
        expect(one.text, `upload ${i}`).to.match(/^HTTP\/1\.1 413 [^]*big$/)
      }
    })

    it('R26 a reply that is cut short is cut short for the caller too', async () => {
      scripted(ok('Content-Length: 10\r\n', 'half'), (connection) => connection.socket.destroy())
      const counted = await caller(get())
      await counted.closed()
      const seen = parseReplies(counted.bytes, ['GET'], true)
      expect([seen.isCut, counted.text.endsWith('half')]).to.deep.equal([true, true])

      scripted(ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n'), (connection) => connection.socket.destroy())
      const chunked = await caller(get())
      await chunked.closed()
      expect(parseReplies(chunked.bytes, ['GET'], true).isCut).to.equal(true)
      expect(chunked.text).to.not.contain('0\r\n\r\n')

      scripted(ok('Transfer-Encoding: chunked\r\n', '4\r\nhalf\r\n'))
      const broken = await caller(get())
      await broken.expect('half')
      backend.connections.at(-1)!.socket.write('X')
      await broken.closed()
      expect(parseReplies(broken.bytes, ['GET'], true).isCut).to.equal(true)
    })

    it('R26 an endpoint that closes before the reply head gives 502', async () => {
      backend.answer = (_, connection) => {
        connection.socket.end('HTTP/1.1 200 OK\r\nContent-')
        return undefined
      }
      const reply = await ask(get())
      expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([502, 'E_UPSTREAM_RESET'])
    })

    it('R26 a caller that goes away in the middle of its body cuts the connection to the endpoint', async () => {
      const one = await caller(post('Content-Length: 10\r\n', 'half'))
      await until('half of the body', () => backend.connections[0]?.bytes.toString('latin1').endsWith('half') === true)
      one.close()
      await until('closed', () => backend.connections[0]?.isEnded === true)
    })

    it('R27 a reply that ends with the connection goes out in chunks, and plain to HTTP/1.0', async () => {
      scripted(ok('X-A: 1\r\n', 'until the end'), (connection) => connection.socket.end(' of it'))
      const modern = await caller(get())
      const [reply] = await repliesOf(modern, 1)
      expect([reply?.body, value(reply, 'transfer-encoding'), value(reply, 'content-length')]).to.deep.equal([
        'until the end of it',
        'chunked',
        undefined,
      ])
      modern.send(get())
      await repliesOf(modern, 2)
      const old = await caller('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      await old.closed()
      const [plain] = replies(old)
      expect([plain?.body, value(plain, 'transfer-encoding'), value(plain, 'connection')]).to.deep.equal([
        'until the end of it',
        undefined,
        'close',
      ])
    })

    it('R28 a caller that closed its side after a whole request gave up, and the endpoint hears of it', async () => {
      let endpoint: BackendConnection | undefined
      backend.answer = (_, connection) => {
        endpoint = connection
        return undefined
      }
      const one = await caller(get())
      await until('the request', () => endpoint !== undefined)
      one.socket.end()
      await one.closed()
      await until('the end at the endpoint', () => endpoint!.isEnded)
      expect(replies(one)).to.deep.equal([])
    })

    it('R26 a chunked reply that breaks is shown to a caller of HTTP/1.0 by a reset', async () => {
      let endpoint: BackendConnection | undefined
      backend.answer = (_, connection) => {
        endpoint = connection
        return 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
      }
      const one = await caller('GET / HTTP/1.0\r\n\r\n')
      await until('the half', () => one.text.includes('half'))
      endpoint!.socket.end()
      await until('the reset', () => one.isClosed)
      expect(one.wasReset).to.equal(true)
    })

    it('R26 a reply that breaks in the same read as its head, of which nothing was passed on, is a 502', async () => {
      backend.answer = () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n4\r\nhalfXX'
      const reply = await ask(get())
      expect([reply.status, value(reply, 'x-mesh-error'), value(reply, 'x-a')]).to.deep.equal([
        502,
        'E_UPSTREAM_PROTOCOL',
        undefined,
      ])
    })

    it('R23 a HEAD that is refused gets no content', async () => {
      for (const [text, status] of [
        ['HEAD / HTTP/1.1\r\n\r\n', 400],
        ['HEAD / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n', 417],
        [`HEAD / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
      ] as const) {
        const one = await caller(text)
        await one.closed()
        expect(one.text).to.match(
          new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nContent-Length: [1-9]\\d*\r\n[^]*\r\n\r\n$`),
        )
      }
    })

    it('R16 Trailer goes with the trailers that it announces', async () => {
      backend.answer = () =>
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'
      const without = await ask(get())
      expect(value(without, 'trailer')).to.equal(undefined)
      const one = await caller('GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n')
      await repliesOf(one, 1)
      expect(one.text).to.match(/\r\nTrailer: X-Sum\r\n[^]*\r\n0\r\nx-sum: 1\r\n\r\n$/i)
    })

    it('R33 the preface of HTTP/2 gets its SETTINGS, wherever it is cut; behind a request it is none', async () => {
      for (const [head, tail] of [
        ['', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
        ['P', 'RI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
        ['PRI * HTT', 'P/2.0\r\n\r\nSM\r\n\r\n'],
        ['PRI * HTTP/2.0\r\n\r\n', 'SM\r\n\r\n'],
      ] as const) {
        const one = await caller(head)
        await new Promise((resolve) => setImmediate(resolve))
        one.send(tail)
        await eventually(() => one.text.startsWith('\0\0\x1e\x04\0\0\0\0\0'))
        one.socket.destroy()
      }
      const late = await caller('GET / HTTP/1.1\r\nHost: h\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
      await late.closed()
      expect(late.text).to.match(/HTTP\/1\.1 505 [^]*x-mesh-error: E_HTTP_VERSION\r\n[^]*preface of HTTP\/2/)
    })

    it('R29 pipelined requests are answered in order, one after another, however many there are', async () => {
      let open = 0
      let most = 0
      backend.answer = (message, connection) => {
        open++
        most = Math.max(most, open)
        setTimeout(
          () => {
            open--
            connection.socket.write(okBody(message.target))
          },
          message.target.endsWith('0') ? 8 : 1,
        )
        return undefined
      }
      const count = 40
      const one = await caller(Array.from({ length: count }, (_, i) => get('', `/${i}`)).join(''))
      const seen = await repliesOf(one, count)
      expect(seen.map((reply) => reply.body)).to.deep.equal(Array.from({ length: count }, (_, i) => `/${i}`))
      expect(most).to.equal(1)
    })

    it('R29 a request behind a broken one is never forwarded', async () => {
      const one = await caller(get('', '/1') + get('Bad Name: 1\r\n', '/2') + get('', '/3'))
      await one.closed()
      expect(replies(one).map((reply) => reply.status)).to.deep.equal([200, 400])
      expect(backend.requests.map((request) => request.target)).to.deep.equal(['/1'])
    })

    it('R30 HTTP/1.0: closes unless asked to stay, gets no chunks, may lack a Host', async () => {
      backend.answer = () => ok('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n')
      const plain = await caller('GET / HTTP/1.0\r\n\r\n')
      await plain.closed()
      expect(replies(plain).map((reply) => [reply.body, value(reply, 'transfer-encoding')])).to.deep.equal([
        ['ok', undefined],
      ])
      expect(lastRequest().fields.filter(([name]) => name === 'host').length).to.equal(1)
      backend.answer = () => okBody('ok')
      const staying = await caller('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      expect(value((await repliesOf(staying, 1))[0], 'connection')).to.equal('keep-alive')
      staying.send('GET / HTTP/1.0\r\n\r\n')
      await staying.closed()
      expect(replies(staying).length).to.equal(2)
    })

    it('R31 a GET on a reused connection that the endpoint closes unanswered is repeated; a POST is not, and nothing on a fresh one', async () => {
      const one = await caller(get('', '/warm'))
      await repliesOf(one, 1)
      backend.answer = (message, connection) => {
        if (connection.answered > 1) {
          connection.socket.end()
          return undefined
        }
        return okBody(`fresh ${message.target}`)
      }
      one.send(get('', '/again'))
      expect((await repliesOf(one, 2))[1]?.body).to.equal('fresh /again')
      expect(backend.connections.length).to.equal(2)

      backend.reset()
      const paying = await caller(get('', '/warm'))
      await repliesOf(paying, 1)
      let payments = 0
      backend.answer = (_, connection) => {
        payments++
        connection.socket.end()
        return undefined
      }
      paying.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi')
      expect((await repliesOf(paying, 2))[1]?.status).to.equal(502)
      expect(payments).to.equal(1)

      backend.reset()
      let attempts = 0
      backend.answer = (_, connection) => {
        attempts++
        connection.socket.end()
        return undefined
      }
      const reply = await ask(post('Content-Length: 2\r\n', 'hi'))
      expect([reply.status, attempts]).to.deep.equal([502, 1])
    })

    it('R33 CONNECT and TRACE are refused without reaching anybody', async () => {
      for (const text of ['CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n']) {
        const reply = await ask(text)
        expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([501, 'E_HTTP_METHOD'])
      }
      expect(backend.requests).to.deep.equal([])
    })

    it('R36 identity fields of a caller and their look-alikes do not reach the endpoint', async () => {
      await ask(
        get(
          'X-Mesh-Source: admin\r\nx_mesh_source: admin\r\nX-Forwarded-Client-Cert: admin\r\nx_forwarded_client_cert: admin\r\nX-Ordinary: 1\r\n',
        ),
      )
      expect(backend.connections.map((connection) => connection.bytes.toString('latin1')).join()).to.not.contain(
        'admin',
      )
      expect(value(lastRequest(), 'x-ordinary')).to.equal('1')
    })

    it('R37 a path is forwarded byte for byte', async () => {
      for (const path of ['/%2e%2e/a', '/a%00b', '/%0d%0aX:1', '/a\\b', '/%c0%af', '//a//b/./..?x=//'] as const) {
        await ask(get('', path))
        expect(lastRequest().target).to.equal(path)
      }
    })

    it('R38 a connection to an endpoint is reused after a complete reply, and not after Connection: close or HTTP/1.0', async () => {
      const one = await caller()
      const connectionsAfter = async (reply: string) => {
        backend.answer = () => reply
        const before = replies(one).length
        one.send(get())
        await repliesOf(one, before + 1)
        return backend.connections.length
      }
      expect(await connectionsAfter(okBody('a'))).to.equal(1)
      expect(await connectionsAfter(okBody('b'))).to.equal(1)
      expect(await connectionsAfter(okBody('c', 'Connection: close\r\n'))).to.equal(1)
      expect(await connectionsAfter('HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nd')).to.equal(2)
      expect(await connectionsAfter(ok('Transfer-Encoding: chunked\r\n', '1\r\ne\r\n0\r\n\r\n'))).to.equal(3)
      expect(await connectionsAfter(okBody('f'))).to.equal(3)
    })

    it('R39 order and duplicates of fields are kept, Set-Cookie is never joined', async () => {
      backend.answer = () => okBody('ok', 'Set-Cookie: a=1\r\nX: 1\r\nSet-Cookie: b=2\r\nx: 2\r\n')
      const reply = await ask(get('X: 1\r\nCookie: a\r\nx: 2\r\nCookie: b\r\n'))
      const of = (message: StrictMessage) =>
        message.fields.filter(([name]) => ['x', 'cookie', 'set-cookie'].includes(name))
      expect(of(reply)).to.deep.equal([
        ['set-cookie', 'a=1'],
        ['x', '1'],
        ['set-cookie', 'b=2'],
        ['x', '2'],
      ])
      expect(of(lastRequest())).to.deep.equal([
        ['x', '1'],
        ['cookie', 'a'],
        ['x', '2'],
        ['cookie', 'b'],
      ])
    })

    it('passes large bodies both ways whole, counted and in chunks', async () => {
      const large = 'x'.repeat(3_000_000)
      backend.answer = (message) =>
        message.target === '/c'
          ? ok('Transfer-Encoding: chunked\r\n', `2dc6c0\r\n${large}\r\n0\r\n\r\n`)
          : okBody(large)
      for (const target of ['/l', '/c']) {
        const one = await caller(`PUT ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${large.length}\r\n\r\n`)
        one.send(large)
        await one.until(() => one.bytes.length >= large.length && replies(one).length === 1)
        expect(replies(one)[0]?.body.length).to.equal(large.length)
        expect(lastRequest().body.length).to.equal(large.length)
      }
    })
  })
