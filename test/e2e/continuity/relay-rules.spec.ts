/**
 * The rules of docs/http1.md through the watchdog's relay: a caller of raw bytes, a watchdog without a generation, a
 * recording backend as center or endpoint.
 */
import { expect } from 'chai'

import { RawCaller } from '../../support/http1/raw-caller.ts'
import type { BackendConnection, RecordingBackend } from '../../support/http1/recording-backend.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { relayKinds, startRecordedRelay } from '../../support/http1/recorded-relay.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { parseReplies } from '../../support/http1/strict-parser.ts'
import type { StrictMessage } from '../../support/http1/strict-parser.ts'

const get = (fields = '', target = '/') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const webSocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n'
const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

for (const kind of relayKinds)
  describe(`HTTP/1.1 rules through the watchdog, ${kind}`, function () {
    this.timeout(60_000)
    const tier = kind === 'relay to a center' ? 'center' : 'direct'
    let mesh: RecordedMesh
    let backend: RecordingBackend
    const callers: RawCaller[] = []

    before(async () => {
      mesh = await startRecordedRelay(kind)
      backend = mesh.backend
    })

    beforeEach(() => backend.reset())

    afterEach(async () => {
      for (const caller of callers.splice(0)) caller.socket.resetAndDestroy()
      for (const connection of backend.connections) {
        await until('the connection is closed', () => connection.isEnded)
        expect(dirtyForward(connection)).to.equal(undefined)
      }
    })

    after(async () => {
      mesh.expectAlive()
      await mesh.close()
    })

    async function caller(first: string | Buffer): Promise<RawCaller> {
      const opened = await RawCaller.open(mesh.port)
      callers.push(opened)
      opened.send(first)
      return opened
    }

    async function until(what: string, condition: () => boolean): Promise<void> {
      const deadline = performance.now() + 10_000
      while (!condition()) {
        if (performance.now() > deadline) throw new Error(`${what}: not in time`)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    }

    /** What a caller gets until its connection closes, strictly read: its final reply alone. */
    async function onlyReply(to: RawCaller, method = 'GET'): Promise<StrictMessage> {
      await to.closed()
      const seen = parseReplies(to.bytes, [method], true)
      expect(seen.problem, to.text).to.equal(undefined)
      const finals = seen.messages.filter(({ status }) => status >= 200)
      expect(finals.length, to.text).to.equal(1)
      return finals[0]!
    }

    const ask = async (text: string, method?: string) => onlyReply(await caller(text), method)
    const value = (message: StrictMessage | undefined, name: string) =>
      message?.fields.find(([found]) => found === name)?.[1]
    const names = (message: StrictMessage | undefined) => message?.fields.map(([name]) => name)
    const lastRequest = () => backend.requests.at(-1) as StrictMessage

    function scripted(text: string, then?: (connection: BackendConnection) => void): void {
      backend.answer = (_, connection) => {
        connection.socket.write(Buffer.from(text, 'latin1'), () => then?.(connection))
        return undefined
      }
    }

    it('one request per connection: a second one behind it is never passed on', async () => {
      const asking = await caller(get('', '/first') + get('', '/second'))
      const reply = await onlyReply(asking)
      expect([reply.status, value(reply, 'connection'), value(reply, 'x-mesh-tier')]).to.deep.equal([
        200,
        'close',
        tier,
      ])
      expect(backend.connections.map((one) => one.bytes.toString('latin1').includes('/second'))).to.deep.equal([false])
      expect(backend.requests.map(({ target }) => target)).to.deep.equal(['/first'])
    })

    it('R28 a caller that closes its side behind a whole request gets its answer; the other side sees no FIN before it', async () => {
      let isEndedBefore: boolean | undefined
      let reply: (() => void) | undefined
      backend.answer = (_, connection) => {
        reply = () => {
          isEndedBefore = connection.isEnded
          connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        }
        return undefined
      }
      const asking = await caller(get('', '/half-closed'))
      asking.socket.end()
      await until('asked', () => reply !== undefined)
      // a way back through the relay shows that the FIN has been read
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
      await ask(get('', '/other'))
      reply!()
      expect((await onlyReply(asking)).status).to.equal(200)
      expect(isEndedBefore).to.equal(false)
    })

    it('neither behind a body, chunked or not, nor when it comes later', async () => {
      await ask(post('Content-Length: 2\r\n', 'hi') + get('', '/second'))
      await ask(post('Transfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\n\r\n') + get('', '/second'))
      let isAsked = false
      backend.answer = () => {
        isAsked = true
        return undefined
      }
      const slow = await caller(get('', '/slow'))
      await until('asked', () => isAsked)
      slow.send(get('', '/second'))
      // a way back through the relay shows that what was sent before has been read
      backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
      await ask(get('', '/other'))
      expect(backend.requests.map(({ target }) => target)).to.not.include('/second')
    })

    it('no Connection of the caller keeps the connection to the other side open', async () => {
      await ask(get('Connection: keep-alive, x-upgrade\r\nx-upgrade: 1\r\n'))
      expect(value(lastRequest(), 'connection')).to.equal('close')
      expect(names(lastRequest())).to.not.include('x-upgrade')
    })

    it('R17 what Connection names is left out, both ways, and with it the fields for one hop', async () => {
      scripted(
        'HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n',
      )
      const reply = await ask(
        get('Connection: X-Mine, close\r\nX-Mine: 1\r\nX-Yours: 2\r\nProxy-Connection: keep-alive\r\n'),
      )
      expect(names(reply)).to.not.include.members(['x-hop'])
      expect(names(reply)).to.not.include('keep-alive')
      expect(names(lastRequest())).to.include('x-yours')
      for (const name of ['x-mine', 'proxy-connection']) expect(names(lastRequest())).to.not.include(name)
    })

    it('R4 absolute-form is rewritten, its authority is the Host', async () => {
      await ask('GET http://other.example:81/p?q=1 HTTP/1.1\r\nHost: a\r\n\r\n')
      expect([lastRequest().target, value(lastRequest(), 'host')]).to.deep.equal(['/p?q=1', 'other.example:81'])
    })

    it('R36 identity fields and their look-alikes reach no application', async () => {
      await ask(
        get(
          'x-mesh-source: me\r\nX_Mesh_Source: me\r\nx.mesh.tier: me\r\nX-Forwarded-Client-Cert: me\r\nx_forwarded_client_cert: me\r\n',
        ),
      )
      const identity = () => names(lastRequest())?.filter((name) => /mesh|client.cert/.test(name))
      expect(identity()).to.deep.equal([])
      await ask(get('x-mesh-service: orders\r\nx-mesh-fallback: 10.1.2.3:4\r\nx_mesh_service: other\r\n'))
      // a center has to know whom the caller names
      expect(identity()).to.deep.equal(tier === 'center' ? ['x-mesh-service', 'x-mesh-fallback'] : [])
    })

    for (const [what, text, status] of [
      ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 501],
      ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 501],
      ['a head with bare line feeds', 'GET / HTTP/1.1\nHost: a\n\n', 400],
      ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
      ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['two Hosts', get('Host: b\r\n'), 400],
      ['length and coding', post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), 400],
      ['an unknown expectation', get('Expect: 200-ok\r\n'), 417],
      ['a head over the workers’ limit', get(`x: ${'y'.repeat(61_440)}\r\n`), 431],
      ['more fields than the workers’ limit', get('x: y\r\n'.repeat(101)), 431],
      ['a request line over the workers’ limit', get('', `/${'y'.repeat(16_384)}`), 414],
      ['HTTP/3.0', 'GET / HTTP/3.0\r\nHost: a\r\n\r\n', 505],
    ] as const) {
      it(`${what} is answered ${status} and reaches nobody`, async () => {
        const reply = await ask(text)
        expect([reply.status, value(reply, 'x-mesh-error')?.startsWith('E_HTTP_')]).to.deep.equal([status, true])
        expect(backend.connections).to.deep.equal([])
      })
    }

    it('R6 one empty line before a request is ignored, and a head of 60 KiB less a little passes', async () => {
      expect((await ask(`\r\n${get()}`)).status).to.equal(200)
      expect((await ask(get(`x: ${'y'.repeat(60_000)}\r\n`))).status).to.equal(200)
    })

    it('R14 a body that turns out malformed is answered 400, and the other side gets no last chunk', async () => {
      const reply = await ask(post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\nZZ\r\n'))
      const said = ['x-mesh-error', 'x-mesh-tier'].map((name) => value(reply, name))
      expect([reply.status, ...said]).to.deep.equal([400, 'E_HTTP_BAD_REQUEST', tier])
      await until('closed', () => backend.connections.every(({ isEnded }) => isEnded))
      expect(backend.requests).to.deep.equal([])
    })

    it('R19 nothing behind a request for an upgrade leaves before the 101; then bytes pass both ways, and half-closes', async () => {
      let granted: (() => void) | undefined
      backend.answer = (_, connection) => {
        granted = () => {
          connection.hasSwitched = true
          connection.socket.write(`${switching}early`)
        }
        return undefined
      }
      const asking = await caller(`${get(webSocket)}secret`)
      await until('asked', () => granted !== undefined)
      expect(backend.connections[0]!.bytes.toString('latin1')).to.not.include('secret')
      granted!()
      await asking.expect('early')
      expect(asking.text).to.match(/^HTTP\/1\.1 101 /)
      await until('passed on', () => backend.connections[0]!.bytes.toString('latin1').endsWith('secret'))
      backend.onPiece = ({ socket, bytes }) => {
        if (bytes.toString('latin1').endsWith('ping')) socket.write('pong')
        return true
      }
      asking.send('ping')
      await asking.expect('pong')
      asking.socket.end()
      await asking.closed()
    })

    it('a refused upgrade ends the connection: a second request on it is not answered', async () => {
      scripted('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno')
      expect(value(await ask(get(webSocket) + get('', '/second')), 'connection')).to.equal('close')
      // as Java's HttpClient asks for HTTP/2
      await ask(
        get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n') +
          get('', '/second'),
      )
      expect(names(lastRequest())).to.not.include.members(['upgrade'])
      await ask(get('Connection: no-upgrade\r\nUpgrade: websocket\r\n') + get('', '/second'))
      expect(backend.requests.map(({ target }) => target)).to.not.include('/second')
    })

    it('R21 a 101 that nobody asked for, and one to something else, are 502', async () => {
      scripted(`${switching}evil`)
      const unasked = await ask(get())
      expect([unasked.status, value(unasked, 'x-mesh-error')]).to.deep.equal([502, 'E_UPSTREAM_PROTOCOL'])
      scripted('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nevil')
      expect((await ask(get(webSocket))).status).to.equal(502)
    })

    it('R21 interim replies pass, bounded in number, and not to callers of HTTP/1.0', async () => {
      const early = 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
      const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
      scripted(early + early + answer)
      const asking = await caller(get())
      await onlyReply(asking)
      expect(asking.text.match(/103 Early Hints/g)).to.have.length(2)
      const old = await caller('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      await onlyReply(old)
      expect(old.text).to.not.include('103')
      scripted(early.repeat(40) + answer)
      expect((await ask(get())).status).to.equal(502)
    })

    it('R23 a reply to HEAD has no content, whatever it announces; ours neither', async () => {
      scripted('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      expect((await ask('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', 'HEAD')).status).to.equal(200)
      expect((await ask('HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'HEAD')).status).to.equal(400)
    })

    it('R25 an early answer to an upload of 20 MB arrives, although the other side stops reading and closes (40 rounds)', async () => {
      const piece = Buffer.alloc(1 << 20, 'x')
      for (let round = 0; round < 40; round++) {
        backend.reset()
        backend.onPiece = ({ bytes, socket }) => {
          if (!bytes.includes('\r\n\r\n')) return true
          socket.end('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig')
          // A close with unread bytes: the kernel answers what still comes with a reset.
          if (round % 2 === 0) setImmediate(() => socket.destroy())
          else socket.pause()
          return true
        }
        const uploading = await caller(post(`Content-Length: ${20 * piece.length}\r\n`))
        for (let sent = 0; sent < 20; sent++) uploading.send(piece)
        await uploading.until(() => uploading.text.includes('big') || uploading.isOver)
        expect(uploading.text, `round ${round}`).to.match(/^HTTP\/1\.1 413 /)
        expect(uploading.text.endsWith('big'), `round ${round}`).to.equal(true)
        uploading.close()
      }
      backend.reset()
    })

    it('R26 a reply that is cut short stays cut short, with a reset where only that tells', async () => {
      scripted('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', ({ socket }) => socket.destroy())
      const cut = await caller(get())
      await cut.closed()
      expect(parseReplies(cut.bytes, ['GET'], true).isCut).to.equal(true)
      scripted('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', ({ socket }) => socket.destroy())
      const old = await caller('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      await old.until(() => old.isClosed)
      expect(old.wasReset, old.text).to.equal(true)
    })

    it('R26 a reply whose body is broken in the same read as its head is a 502', async () => {
      scripted('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n')
      const reply = await ask(get())
      expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([502, 'E_UPSTREAM_PROTOCOL'])
    })

    it('R27 R30 a reply that ends with its connection is chunked for HTTP/1.1 and bare for HTTP/1.0', async () => {
      scripted('HTTP/1.1 200 OK\r\n\r\nhello', ({ socket }) => socket.end())
      const reply = await ask(get())
      expect([value(reply, 'transfer-encoding'), reply.body]).to.deep.equal(['chunked', 'hello'])
      const old = await caller('GET / HTTP/1.0\r\nHost: a\r\n\r\n')
      await old.closed()
      expect(old.text.endsWith('\r\n\r\nhello')).to.equal(true)
    })

    it('R28 a caller that said all it had to say gets its reply; one that stopped in the middle is gone', async () => {
      let release: (() => void) | undefined
      backend.answer = (_, { socket }) => {
        release = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        return undefined
      }
      const asking = await caller(post('Content-Length: 2\r\n', 'hi'))
      asking.socket.end()
      await until('asked', () => release !== undefined)
      release!()
      expect((await onlyReply(asking)).status).to.equal(200)
      const stopped = await caller(post('Content-Length: 5\r\n', 'hi'))
      await until('passed on', () => backend.connections.length === 2)
      stopped.socket.end()
      await until('cut', () => backend.connections[1]!.isEnded)
      await stopped.closed()
    })

    it('R18 our name in Via ends a loop, and Max-Forwards counts', async () => {
      const reply = await ask(get('Via: 1.1 host-a\r\n'.repeat(8)))
      expect([reply.status, value(reply, 'x-mesh-error')]).to.deep.equal([508, 'E_ROUTE_LOOP'])
      expect((await ask('OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n')).status).to.equal(200)
      expect(backend.connections).to.deep.equal([])
      await ask('OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n')
      expect(value(lastRequest(), 'max-forwards')).to.equal('4')
    })

    it('a large reply to a slow reader arrives whole, and is not gathered in memory', async () => {
      const size = 30_000_000
      const piece = Buffer.alloc(65_536, 'z')
      let written = 0
      backend.answer = (_, { socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
        const more = (): void => {
          while (written < size) {
            const next = piece.subarray(0, Math.min(piece.length, size - written))
            written += next.length
            if (!socket.write(next)) {
              socket.once('drain', more)
              return
            }
          }
        }
        more()
        return undefined
      }
      const asking = await caller(get())
      let got = 0
      asking.socket.pause()
      asking.socket.removeAllListeners('data').on('data', (bytes: Buffer) => (got += bytes.length))
      asking.socket.pause()
      let before = -1
      await until('the source is stopped', () => {
        const isSame = written > 0 && written === before
        before = written
        return isSame
      })
      expect(written).to.be.below(size)
      asking.socket.resume()
      await asking.closed()
      // the first piece of the reply may have come before the pause
      expect(got + asking.bytes.length).to.be.within(size, size + 500)
    })
  })

describe('a caller that closes its side behind a whole request, through the watchdog', () => {
  it('is gone at once where its listener says so, and the endpoint sees it', async () => {
    const mesh = await startRecordedRelay('relay to an endpoint', {}, 'gone')
    try {
      mesh.backend.answer = () => undefined
      const caller = await RawCaller.open(mesh.port)
      caller.send(get('', '/gone'))
      await eventually(() => mesh.backend.requests.length === 1)
      caller.socket.end()
      await eventually(() => mesh.backend.connections[0]!.isEnded)
      await caller.closed()
      expect(caller.text).to.equal('')
    } finally {
      await mesh.close()
    }
  })
})
