/** Callers that speak HTTP/2 by prior knowledge, on the ports that HTTP/1.1 uses too; endpoints of HTTP/1.1. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { once } from 'node:events'
import { expect } from 'chai'

import { startBehindWorker } from '../../support/worker/one-backend.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'
import { eventually } from '../../support/worker/eventually.ts'

interface Reply {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
}

async function replyTo(stream: ClientHttp2Stream): Promise<Reply> {
  let headers: IncomingHttpHeaders = {}
  let trailers: IncomingHttpHeaders = {}
  const pieces: Buffer[] = []
  stream.on('response', (got) => (headers = got))
  stream.on('trailers', (got) => (trailers = got))
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  await once(stream, 'close')
  return { headers, body: Buffer.concat(pieces).toString('latin1'), trailers }
}

describe('callers of HTTP/2', () => {
  let started: Awaited<ReturnType<typeof startBehindWorker>>
  let worker: StartedWorker
  let client: ClientHttp2Session
  let answer: (request: IncomingMessage, body: Buffer, response: ServerResponse) => void

  before(async () => {
    started = await startBehindWorker((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => answer(request, Buffer.concat(pieces), response))
    })
    worker = started.worker
  })

  after(() => started.stop())

  beforeEach(() => {
    answer = (request, body, response) => {
      response.setHeader('x-seen', `${request.method} ${request.url} ${body.length}`)
      response.end(body)
    }
    client = http2.connect(`http://127.0.0.1:${worker.port('orders')}`)
    client.on('error', () => {})
  })

  afterEach(() => client.destroy())

  const ask = (headers: http2.OutgoingHttpHeaders, body?: string | Buffer): Promise<Reply> => {
    const stream = client.request(headers, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    return replyTo(stream)
  }

  it('serves requests with and without content, many at once, each with its own reply', async () => {
    const sizes = [0, 1, 10_000, 65_536, 65_537, 300_000]
    const replies = await Promise.all(
      Array.from({ length: 90 }, (_, n) => {
        const size = sizes[n % sizes.length]!
        const body = size === 0 ? undefined : Buffer.alloc(size, 97 + (n % 26))
        return ask({ ':path': `/p${n}?q=${n}`, ':method': size === 0 ? 'GET' : 'POST' }, body)
      }),
    )
    replies.forEach(({ headers, body }, n) => {
      const size = sizes[n % sizes.length]!
      expect(headers[':status']).to.equal(200)
      expect(headers['x-seen']).to.equal(`${size === 0 ? 'GET' : 'POST'} /p${n}?q=${n} ${size}`)
      expect(body === String.fromCharCode(97 + (n % 26)).repeat(size), `body of ${n}`).to.equal(true)
    })
  })

  it('tells endpoints what the caller said: Host, cookies as one (R39), no field of the mesh', async () => {
    let seen: IncomingMessage['headers'] = {}
    answer = (request, _body, response) => {
      seen = request.headers
      response.end()
    }
    await ask({
      ':authority': 'Orders.example:80',
      cookie: ['a=1', 'b=2'],
      'x-mesh-source': 'me',
      te: 'trailers',
      'x-a': '1',
    })
    expect([seen.host, seen.cookie, seen['x-a'], seen['x-mesh-source']]).to.deep.equal([
      'orders.example:80',
      'a=1; b=2',
      '1',
      undefined,
    ])
  })

  it('passes trailers, several cookies, and replies without content on', async () => {
    answer = (request, _body, response) => {
      if (request.url === '/204') response.writeHead(204).end()
      else if (request.method === 'HEAD') response.setHeader('content-length', 5).end()
      else {
        response.writeHead(200, { trailer: 'x-sum', 'set-cookie': ['a=1', 'b=2'], connection: 'x-hop', 'x-hop': '1' })
        response.write('abc')
        response.addTrailers({ 'x-sum': '7' })
        response.end()
      }
    }
    const reply = await ask({ ':path': '/', te: 'trailers' })
    expect([reply.body, reply.trailers['x-sum'], reply.headers['set-cookie'], reply.headers['x-hop']]).to.deep.equal([
      'abc',
      '7',
      ['a=1', 'b=2'],
      undefined,
    ])
    expect((await ask({ ':path': '/204' })).headers[':status']).to.equal(204)
    const head = await ask({ ':path': '/', ':method': 'HEAD' })
    expect([head.headers['content-length'], head.body]).to.deep.equal(['5', ''])
  })

  it('ends the work at the endpoint when the caller resets its stream, and nobody else notices', async () => {
    let isGone = false
    let hasCome = false
    answer = (request, _body, response) => {
      if (request.url !== '/slow') return void response.end('quick')
      hasCome = true
      response.on('close', () => (isGone = true))
    }
    const slow = client.request({ ':path': '/slow' })
    slow.on('error', () => {})
    await eventually(() => hasCome)
    const quick = ask({ ':path': '/quick' })
    slow.close(http2.constants.NGHTTP2_CANCEL)
    expect((await quick).body).to.equal('quick')
    await eventually(() => isGone)
  })

  it('lets a slow reader of one stream wait, and serves the others', async () => {
    answer = (request, _body, response) =>
      response.end(request.url === '/large' ? Buffer.alloc(2_000_000, 'x') : 'small')
    const large = client.request({ ':path': '/large' })
    await once(large, 'response')
    large.pause()
    for (let n = 0; n < 20; n++) expect((await ask({ ':path': '/small' })).body).to.equal('small')
    const whole = replyTo(large)
    large.resume()
    expect((await whole).body).to.have.length(2_000_000)
  })

  it('answers for the mesh in its own protocol', async () => {
    const shared = http2.connect(`http://127.0.0.1:${worker.port('shared')}`)
    const stream = shared.request({ 'x-mesh-service': 'orders', ':path': '/by-name' })
    expect((await replyTo(stream)).headers['x-seen']).to.equal('GET /by-name 0')
    const refused = await replyTo(shared.request({ ':path': '/', 'x-mesh-service': 'no such name' }))
    expect([refused.headers[':status'], refused.headers['x-mesh-error']]).to.deep.equal([
      400,
      'E_ROUTE_NAME_NOT_ALLOWED',
    ])
    shared.close()
  })

  it('counts its requests like any other, and takes HTTP/1.1 on the same port', async () => {
    const before = worker.metric('istio_requests_total')
    await ask({ ':path': '/' })
    const reply = await fetch(`http://127.0.0.1:${worker.port('orders')}/one`)
    expect(reply.headers.get('x-seen')).to.equal('GET /one 0')
    await eventually(() => worker.metric('istio_requests_total') - before === 2)
  })

  it('drains by notice, ping and last id: what was asked is answered, and nothing is lost', async () => {
    let release: (() => void) | undefined
    answer = (_request, _body, response) => {
      release = () => response.end('late')
    }
    const first = ask({ ':path': '/' })
    await eventually(() => release !== undefined)
    await eventually(() =>
      worker.worker.connections.list().some(({ isIdle, protocol }) => protocol === 'http2' && !isIdle),
    )
    const goneAway = once(client, 'goaway')
    for (const connection of worker.worker.connections.list()) connection.drain()
    await goneAway
    expect(worker.worker.connections.list().some(({ isIdle }) => !isIdle)).to.equal(true)
    release!()
    expect((await first).body).to.equal('late')
    await eventually(() => worker.worker.connections.list().every(({ protocol }) => protocol !== 'http2'))
  })
})
