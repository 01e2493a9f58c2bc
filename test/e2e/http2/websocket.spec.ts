/** WebSockets over a stream (extended CONNECT, RFC 8441): of callers, and towards applications. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import http2 from 'node:http2'
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2'
import { connect, createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect } from 'chai'

import { endpointOf } from '../../support/worker/snapshots.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

/** A masked text frame of RFC 6455, and one of a server. */
function frameOf(text: string, isMasked: boolean): Buffer {
  const payload = Buffer.from(text)
  const head = Buffer.from([0x81, payload.length | (isMasked ? 0x80 : 0)])
  if (!isMasked) return Buffer.concat([head, payload])
  const mask = Buffer.from([1, 2, 3, 4])
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ mask[at % 4]!)])
}

describe('a WebSocket over HTTP/2', () => {
  const server = createServer((request, response) => response.end(`plain ${request.url}`))
  let worker: StartedWorker
  let client: ClientHttp2Session
  let upgraded: { readonly request: IncomingMessage; readonly socket: Socket }[]
  /** What the application answers to an upgrade; true = it takes it. */
  let takes: (request: IncomingMessage, socket: Socket) => boolean

  before(async () => {
    server.on('upgrade', (request, given) => {
      const socket = given as Socket
      socket.on('error', () => {})
      if (!takes(request, socket)) return
      const accept = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64')
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
      )
      upgraded.push({ request, socket })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    worker = await startWorker({ services: [{ name: 'orders', endpoints: [endpointOf('127.0.0.1', port)] }] })
  })

  after(() => {
    worker.stop()
    server.close()
  })

  beforeEach(async () => {
    upgraded = []
    takes = () => true
    client = http2.connect(`http://127.0.0.1:${worker.port('orders')}`)
    client.on('error', () => {})
    const [settings] = (await once(client, 'remoteSettings')) as [http2.Settings]
    expect(settings.enableConnectProtocol).to.equal(true)
  })

  afterEach(() => {
    client.destroy()
    for (const { socket } of upgraded) socket.destroy()
  })

  const open = (endStream = false): ClientHttp2Stream => {
    const fields = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/chat?room=1',
      ':authority': 'orders',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
      origin: 'http://app.example',
    }
    const stream = client.request(fields, { endStream })
    stream.on('error', () => {})
    return stream
  }
  const answer = async (stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> =>
    ((await once(stream, 'response')) as [IncomingHttpHeaders])[0]
  const opened = async (): Promise<{ stream: ClientHttp2Stream; socket: Socket }> => {
    const stream = open()
    expect((await answer(stream))[':status']).to.equal(200)
    return { stream, socket: upgraded.at(-1)!.socket }
  }
  const bytesOf = (source: ClientHttp2Stream | Socket): { all: Buffer } => {
    const got = { all: Buffer.alloc(0) }
    source.on('data', (piece: Buffer) => (got.all = Buffer.concat([got.all, piece])))
    return got
  }
  const plain = async (): Promise<string> => {
    const stream = client.request({ ':path': '/plain' })
    const got = bytesOf(stream)
    await once(stream, 'close')
    return got.all.toString()
  }

  it('reaches the application as an upgrade, and its answer the caller as 200', async () => {
    const headers = await answer(open())
    expect([headers[':status'], headers['sec-websocket-protocol']]).to.deep.equal([200, 'chat'])
    for (const name of ['sec-websocket-accept', 'upgrade', 'connection']) expect(headers).not.to.have.property(name)
    const { request } = upgraded[0]!
    expect([request.method, request.url, request.headers.host, request.headers.upgrade]).to.deep.equal([
      'GET',
      '/chat?room=1',
      'orders',
      'websocket',
    ])
    expect([request.headers['sec-websocket-version'], request.headers.origin]).to.deep.equal([
      '13',
      'http://app.example',
    ])
    expect(Buffer.from(request.headers['sec-websocket-key']!, 'base64').length).to.equal(16)
  })

  it('carries messages both ways, byte for byte, while the connection serves other requests', async () => {
    const { socket, stream } = await opened()
    const there = bytesOf(socket)
    const back = bytesOf(stream)
    for (let round = 0; round < 20; round++) {
      const up = frameOf(`up ${round}`, true)
      const down = frameOf(`down ${round}`, false)
      stream.write(up)
      socket.write(down)
      await eventually(() => there.all.subarray(-up.length).equals(up) && back.all.subarray(-down.length).equals(down))
      if (round % 5 === 0) expect(await plain()).to.equal('plain /plain')
    }
  })

  it('holds what neither side reads, and loses nothing of it', async () => {
    const { socket, stream } = await opened()
    const size = 3_000_000
    const piece = Buffer.alloc(size, 'abcdefghijk')
    socket.pause()
    stream.write(piece)
    socket.write(piece)
    expect(await plain()).to.equal('plain /plain')
    const back = bytesOf(stream)
    const there = bytesOf(socket)
    socket.resume()
    await eventually(() => back.all.length === size && there.all.length === size)
    expect([back.all.equals(piece), there.all.equals(piece)]).to.deep.equal([true, true])
  })

  it('that the application closes ends its stream, and nothing else', async () => {
    const { socket, stream } = await opened()
    const back = bytesOf(stream)
    socket.end(frameOf('bye', false))
    await once(stream, 'end')
    expect(back.all.equals(frameOf('bye', false))).to.equal(true)
    expect(await plain()).to.equal('plain /plain')
  })

  it('that the caller ends, or resets, or leaves with its connection, ends at the application', async () => {
    const ends: readonly ((stream: ClientHttp2Stream) => void)[] = [
      (stream) => stream.end(),
      (stream) => stream.close(http2.constants.NGHTTP2_CANCEL),
      () => client.destroy(),
    ]
    for (const end of ends) {
      const { socket, stream } = await opened()
      let isOver = false
      socket.on('end', () => (isOver = true))
      socket.on('close', () => (isOver = true))
      socket.resume()
      end(stream)
      await eventually(() => isOver)
    }
  })

  it('that the caller ended before the application took it ends there too', async () => {
    await answer(open(true))
    const { socket } = upgraded[0]!
    let isOver = false
    socket.on('end', () => (isOver = true))
    socket.resume()
    await eventually(() => isOver)
  })

  it('whose application dies is seen as broken or ended by the caller, and other requests are served', async () => {
    const { socket, stream } = await opened()
    let isOver = false
    stream.resume()
    stream.on('close', () => (isOver = true))
    socket.resetAndDestroy()
    await eventually(() => isOver)
    expect(await plain()).to.equal('plain /plain')
  })

  it('that the application refuses is answered with its own words', async () => {
    takes = (_request, socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: no\r\n\r\nno')
      return false
    }
    const stream = open()
    const got = bytesOf(stream)
    const headers = await answer(stream)
    stream.end()
    await once(stream, 'close')
    expect([headers[':status'], headers['x-why'], got.all.toString()]).to.deep.equal([403, 'no', 'no'])
    expect(await plain()).to.equal('plain /plain')
  })

  it('is all that CONNECT is for: any other protocol, or none, gets 501 and reaches nobody', async () => {
    for (const more of [{ ':protocol': 'connect-udp', ':scheme': 'http', ':path': '/' }, {}]) {
      const other = client.request({ ':method': 'CONNECT', ':authority': 'orders', ...more })
      other.on('error', () => {})
      expect((await answer(other))[':status']).to.equal(501)
    }
    expect(upgraded).to.have.length(0)
    expect(await plain()).to.equal('plain /plain')
  })
})

/** What an endpoint does with extended CONNECT. */
type Taking = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

describe('a WebSocket towards an application that speaks HTTP/2', () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  let application: Http2Server
  let asked: IncomingHttpHeaders[]
  let streams: ServerHttp2Stream[]
  let taking: Taking
  let worker: StartedWorker
  let callers: Socket[]
  let sessions: number

  const echo: Taking = (stream) => {
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    stream.on('data', (piece: Buffer) => stream.write(piece))
    stream.on('end', () => stream.end())
  }

  /** `takes`: the endpoint says that it takes extended CONNECT. */
  const start = async (takes = true): Promise<void> => {
    application = http2.createServer({ settings: { enableConnectProtocol: takes } })
    application.on('session', () => sessions++)
    application.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => {})
      asked.push(headers)
      streams.push(stream)
      if (headers[':method'] === 'CONNECT') taking(stream, headers)
      else {
        stream.respond({ ':status': 200 })
        stream.end(`plain ${headers[':path']}`)
      }
    })
    application.listen(0, '127.0.0.1')
    await once(application, 'listening')
    const endpoints = [endpointOf('127.0.0.1', (application.address() as AddressInfo).port)]
    worker = await startWorker({ services: [{ name: 'orders', protocol: 'http2', endpoints }] })
  }

  beforeEach(() => {
    asked = []
    streams = []
    callers = []
    sessions = 0
    taking = echo
  })

  afterEach(() => {
    for (const caller of callers) caller.destroy()
    worker.stop()
    application.close()
  })

  const upgrade = async (behind = ''): Promise<{ socket: Socket; got: { all: Buffer } }> => {
    const socket = connect(worker.port('orders'), '127.0.0.1')
    callers.push(socket)
    socket.on('error', () => {})
    const got = { all: Buffer.alloc(0) }
    socket.on('data', (piece: Buffer) => (got.all = Buffer.concat([got.all, piece])))
    await once(socket, 'connect')
    socket.write(
      'GET /chat?room=1 HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n${behind}`,
    )
    return { socket, got }
  }
  const head = async (got: { all: Buffer }): Promise<string> => {
    await eventually(() => got.all.includes('\r\n\r\n'))
    const end = got.all.indexOf('\r\n\r\n') + 4
    const text = got.all.toString('latin1', 0, end)
    got.all = got.all.subarray(end)
    return text
  }

  it('is asked for by extended CONNECT, and its 200 is the 101 that a caller of HTTP/1.1 waits for', async () => {
    await start()
    const { got } = await upgrade()
    const text = await head(got)
    expect(text.split('\r\n')[0]).to.equal('HTTP/1.1 101 Switching Protocols')
    for (const line of [
      'upgrade: websocket',
      'connection: upgrade',
      'sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=',
      'sec-websocket-protocol: chat',
    ]) {
      expect(text.toLowerCase()).to.include(`\r\n${line}\r\n`)
    }
    const [headers] = asked
    expect([headers![':method'], headers![':protocol'], headers![':path'], headers![':authority']]).to.deep.equal([
      'CONNECT',
      'websocket',
      '/chat?room=1',
      'orders',
    ])
    expect([headers!['sec-websocket-version'], headers!['sec-websocket-protocol']]).to.deep.equal(['13', 'chat'])
    for (const name of ['sec-websocket-key', 'upgrade', 'connection', 'content-length'])
      expect(headers).not.to.have.property(name)
  })

  it('carries bytes both ways, those behind the request too, beside other requests on the same connection', async () => {
    await start()
    const { got, socket } = await upgrade('early')
    await head(got)
    await eventually(() => got.all.toString() === 'early')
    const piece = Buffer.alloc(1_000_000, 'abcdefghijk')
    socket.write(piece)
    const other = await fetch(`http://127.0.0.1:${worker.port('orders')}/other`)
    expect(await other.text()).to.equal('plain /other')
    await eventually(() => got.all.length === piece.length + 5)
    expect(got.all.subarray(5).equals(piece)).to.equal(true)
    expect(sessions).to.equal(1)
  })

  it('ends on both sides when either ends, and its connection stays', async () => {
    await start()
    for (const end of [
      (socket: Socket) => socket.end(),
      () => streams.at(-1)!.end(),
      () => streams.at(-1)!.close(http2.constants.NGHTTP2_CANCEL),
      (socket: Socket) => socket.resetAndDestroy(),
    ]) {
      const { got, socket } = await upgrade()
      await head(got)
      const stream = streams.at(-1)!
      end(socket)
      if (!socket.writableEnded && !socket.destroyed) socket.on('end', () => socket.end())
      await eventually(() => stream.closed && (socket.closed || socket.readyState === 'closed'))
    }
    expect(sessions).to.equal(1)
    await eventually(() => worker.metric('hostmesh_cluster_active_requests') === 0)
  })

  it('that the application refuses is answered with its own words', async () => {
    taking = (stream) => {
      stream.respond({ ':status': 403, 'x-why': 'no', 'content-length': '2' })
      stream.end('no')
    }
    await start()
    const { got } = await upgrade()
    const text = await head(got)
    expect(text).to.match(/^HTTP\/1\.1 403 /)
    expect(text.toLowerCase()).to.include('x-why: no')
    await eventually(() => got.all.toString() === 'no')
  })

  it('is refused with 502 by an endpoint that does not take extended CONNECT, which is not asked', async () => {
    await start(false)
    const { got } = await upgrade()
    const text = await head(got)
    expect(text).to.match(/^HTTP\/1\.1 502 /)
    await eventually(() => got.all.includes('takes no WebSockets in HTTP/2'))
    expect(asked).to.deep.equal([])
  })

  it('of a caller that leaves before the settings of the endpoint came is forgotten', async () => {
    const silent = createTcpServer((socket) => {
      socket.on('error', () => {})
      reached.push(socket)
    })
    const reached: Socket[] = []
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    application = http2.createServer()
    const endpoints = [endpointOf('127.0.0.1', (silent.address() as AddressInfo).port)]
    worker = await startWorker({ services: [{ name: 'orders', protocol: 'http2', endpoints }] })
    const first = await upgrade()
    await eventually(() => reached.length === 1)
    first.socket.resetAndDestroy()
    await eventually(() => worker.metric('hostmesh_cluster_active_requests') === 0)
    const second = await upgrade()
    await eventually(() => worker.metric('hostmesh_cluster_active_requests') === 1)
    for (const socket of reached) socket.destroy()
    silent.close()
    expect(await head(second.got)).to.match(/^HTTP\/1\.1 50[23] /)
    await eventually(() => worker.metric('hostmesh_cluster_active_requests') === 0)
  })

  it('goes on over HTTP/2 on both sides', async () => {
    await start()
    const client = http2.connect(`http://127.0.0.1:${worker.port('orders')}`)
    await once(client, 'remoteSettings')
    const stream = client.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/chat',
      ':authority': 'orders',
      'sec-websocket-key': key,
    })
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect([headers[':status'], headers['sec-websocket-accept']]).to.deep.equal([200, undefined])
    let said = ''
    stream.on('data', (piece: Buffer) => (said += piece.toString()))
    stream.write('over two')
    await eventually(() => said === 'over two')
    client.destroy()
  })
})
