/** The side of HTTP/2 towards endpoints, against an endpoint of Node's, with callers in HTTP/1.1. */
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { constants, createServer } from 'node:http2'
import type { Http2Server, IncomingHttpHeaders as Http2Fields, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'

import { expect } from 'chai'

import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type { RetrySpec } from '../../../contracts/route-spec.ts'
import { eventually } from '../../support/worker/eventually.ts'
import type { ServicePlan } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: NodeJS.Dict<string>
}

const retries = (attempts: number): RetrySpec => ({
  attempts,
  perTryTimeoutMs: 0,
  on: ['reset'],
  statuses: [],
  backoffMs: 1,
})

type Serve = (stream: ServerHttp2Stream, headers: Http2Fields, body: Buffer, trailers: Http2Fields) => void

class Endpoint {
  readonly server: Http2Server
  readonly sessions = new Set<ServerHttp2Session>()
  opened = 0
  readonly asked: Http2Fields[] = []
  serve: Serve = (stream) => {
    stream.respond({ ':status': 200 })
    stream.end('ok')
  }
  /** Before the content is read; true = it has dealt with the stream. */
  onStream: (stream: ServerHttp2Stream, headers: Http2Fields) => boolean = () => false

  constructor(settings: { maxConcurrentStreams?: number } = {}) {
    this.server = createServer({ settings })
    this.server.on('session', (session) => {
      this.opened++
      this.sessions.add(session)
      session.on('error', () => {})
      session.on('close', () => this.sessions.delete(session))
    })
    this.server.on('stream', (given, headers) => {
      const stream = given as ServerHttp2Stream
      stream.on('error', () => {})
      this.asked.push(headers)
      if (this.onStream(stream, headers)) return
      const pieces: Buffer[] = []
      let trailers: Http2Fields = {}
      stream.on('data', (piece: Buffer) => pieces.push(piece))
      stream.on('trailers', (fields) => (trailers = fields))
      stream.on('end', () => this.serve(stream, headers, Buffer.concat(pieces), trailers))
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return (this.server.address() as AddressInfo).port
  }

  close(): void {
    for (const session of this.sessions) session.destroy()
    this.server.close()
  }
}

function ask(
  port: number,
  options: {
    method?: string
    path?: string
    headers?: Record<string, string>
    body?: string
    trailers?: Record<string, string>
  } = {},
): Promise<Reply> {
  const { body, headers = {}, method = 'GET', path = '/', trailers } = options
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers: { host: 'orders', ...headers } })
    request.on('error', reject)
    request.on('response', (reply) => {
      let text = ''
      reply.setEncoding('latin1')
      reply.on('data', (piece: string) => (text += piece))
      reply.on('error', reject)
      reply.on('end', () =>
        resolve({ status: reply.statusCode!, headers: reply.headers, body: text, trailers: reply.trailers }),
      )
    })
    if (trailers !== undefined) request.addTrailers(trailers)
    request.end(body)
  })
}

describe('HTTP/2 towards endpoints', () => {
  let endpoint: Endpoint
  let second: Endpoint | undefined
  let started: StartedWorker | undefined

  beforeEach(() => {
    endpoint = new Endpoint()
  })

  afterEach(() => {
    started?.stop()
    started = undefined
    endpoint.close()
    second?.close()
    second = undefined
  })

  async function worker(
    plan: Partial<ServicePlan> = {},
    pool: Partial<TrafficPolicySpec['pool']> = {},
  ): Promise<number> {
    const ports = [await endpoint.listen(), ...(second === undefined ? [] : [await second.listen()])]
    const policy = { pool: { ...defaultTrafficPolicy.pool, upgradesToHttp2: true, ...pool }, ...plan.policy }
    const endpoints = ports.map((port) => ({ address: '127.0.0.1', port }))
    started = await startWorker({ services: [{ name: 'orders', endpoints, ...plan, policy }] })
    return started.port('orders')
  }

  it('says a request of HTTP/1.1 and its reply: names, target, Via, nothing of one connection, nothing that only we may say', async () => {
    const port = await worker()
    endpoint.serve = (stream) => {
      stream.respond({ ':status': 201, 'x-reply': 'r', 'set-cookie': ['a=1', 'b=2'], 'content-length': '5' })
      stream.end('hello')
    }
    const reply = await ask(port, {
      method: 'DELETE',
      path: '/a/b?c=d',
      headers: {
        'X-Upper': 'U',
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
        'x-mesh-source': 'evil',
        x_mesh_tier: 'evil',
        cookie: 'a=1; b=2',
      },
    })
    expect([reply.status, reply.body, reply.headers['x-reply']]).to.deep.equal([201, 'hello', 'r'])
    expect(reply.headers['set-cookie']).to.deep.equal(['a=1', 'b=2'])
    expect(reply.headers['x-mesh-tier']).to.equal('agent')
    const [fields] = endpoint.asked
    expect([fields![':method'], fields![':path'], fields![':authority']]).to.deep.equal([
      'DELETE',
      '/a/b?c=d',
      'orders',
    ])
    expect([fields!['x-upper'], fields!.cookie, fields!.via]).to.deep.equal(['U', 'a=1; b=2', '1.1 test-host'])
    for (const name of ['x-hop', 'connection', 'keep-alive', 'x-mesh-source', 'x_mesh_tier', 'te', 'host'])
      expect(fields, name).not.to.have.property(name)
  })

  it('carries content of known and unknown length, trailers both ways, and large content through small windows', async () => {
    const port = await worker()
    const seen: [number, Http2Fields][] = []
    endpoint.serve = (stream, _headers, body, trailers) => {
      seen.push([body.length, trailers])
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': String(body.length) }))
      stream.end(body)
    }
    const large = 'abcdefghijklm'.repeat(100_000)
    const known = await ask(port, { method: 'PUT', body: large, headers: { 'content-length': String(large.length) } })
    expect(known.body === large).to.equal(true)
    const chunked = await ask(port, {
      method: 'POST',
      body: large,
      headers: { 'transfer-encoding': 'chunked', te: 'trailers', connection: 'te', trailer: 'x-end' },
      trailers: { 'x-end': '1' },
    })
    expect([chunked.body === large, chunked.trailers['x-sum']]).to.deep.equal([true, String(large.length)])
    expect(seen[1]![1]['x-end']).to.equal('1')
    expect(endpoint.asked.map((fields) => [fields['content-length'], fields.te])).to.deep.equal([
      [String(large.length), undefined],
      [undefined, 'trailers'],
    ])
  })

  it('has no content behind HEAD, 204 and 304, and passes interim replies on', async () => {
    const port = await worker()
    endpoint.serve = (stream, headers) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.respond({ ':status': Number(headers['x-want'] ?? 200), 'content-length': '7' }, { endStream: true })
    }
    const head = await ask(port, { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body]).to.deep.equal([200, '7', ''])
    const same = await ask(port, { headers: { 'x-want': '304' } })
    expect([same.status, same.body]).to.deep.equal([304, ''])
  })

  it('carries many requests over one connection, and one connection more where the endpoint takes no more', async () => {
    endpoint = new Endpoint({ maxConcurrentStreams: 4 })
    const port = await worker()
    await ask(port)
    let isFull = 0
    const held: ServerHttp2Stream[] = []
    endpoint.serve = (stream) => {
      held.push(stream)
      isFull = Math.max(isFull, held.length)
    }
    const replies = Array.from({ length: 6 }, () => ask(port))
    await eventually(() => held.length === 6)
    expect(endpoint.opened).to.equal(2)
    for (const stream of held.splice(0)) {
      stream.respond({ ':status': 200 })
      stream.end()
    }
    expect((await Promise.all(replies)).map(({ status }) => status)).to.deep.equal([200, 200, 200, 200, 200, 200])
  })

  it('gives the place of a request that ended to the next one that waits', async () => {
    endpoint = new Endpoint({ maxConcurrentStreams: 1 })
    const port = await worker({}, { maxConnections: 1 })
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask(port, { method: 'POST', body: 'x' })))
    expect(replies.map(({ status }) => status)).to.deep.equal(replies.map(() => 200))
    expect([endpoint.opened, endpoint.asked.length >= 20]).to.deep.equal([1, true])
  })

  it('opens no stream behind a GOAWAY, lets those that run come to their end, and goes on elsewhere', async () => {
    const port = await worker()
    let held: ServerHttp2Stream | undefined
    endpoint.serve = (stream) => (held = stream)
    const first = ask(port)
    await eventually(() => held !== undefined)
    for (const session of endpoint.sessions) session.goaway(constants.NGHTTP2_NO_ERROR)
    endpoint.serve = (stream) => {
      stream.respond({ ':status': 200 })
      stream.end('second')
    }
    while (endpoint.opened < 2) expect((await ask(port)).body).to.equal('second')
    held!.respond({ ':status': 200 })
    held!.end('first')
    expect((await first).body).to.equal('first')
  })

  it('repeats what the endpoint says it did not process, whatever its method, and nothing else of a POST', async () => {
    const port = await worker()
    let refusals = 1
    endpoint.onStream = (stream) => {
      if (refusals-- <= 0) return false
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      return true
    }
    const reply = await ask(port, { method: 'POST', body: 'x', headers: { 'content-length': '1' } })
    expect([reply.status, endpoint.asked.length]).to.deep.equal([200, 2])
    endpoint.onStream = (stream) => {
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      return true
    }
    const broken = await ask(port, { method: 'POST', body: 'x', headers: { 'content-length': '1' } })
    expect([broken.status, endpoint.asked.length]).to.deep.equal([502, 3])
    expect(broken.headers['x-mesh-error']).to.equal('E_UPSTREAM_RESET')
  })

  it('asks once what the endpoint executes and resets on a connection that it keeps, with attempts: 0', async () => {
    const port = await worker({ route: { retry: retries(0) } })
    expect((await ask(port)).status).to.equal(200)
    const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants
    for (const code of [NGHTTP2_INTERNAL_ERROR, NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR]) {
      endpoint.serve = (stream) => stream.close(code)
      for (const method of ['GET', 'PUT', 'POST']) {
        const before = endpoint.asked.length
        const { status } = await ask(port, method === 'GET' ? {} : { method, body: 'x' })
        expect([method, code, status, endpoint.asked.length - before]).to.deep.equal([method, code, 502, 1])
      }
    }
    expect([endpoint.opened, started!.metric('hostmesh_repeats_reused_connection_total')]).to.deep.equal([1, 0])
  })

  it('repeats a GET on a fresh connection when the used one ends under it, also with attempts: 0', async () => {
    const port = await worker({ route: { retry: retries(0) } })
    await ask(port)
    let isFirst = true
    endpoint.onStream = (stream) => {
      if (!isFirst) return false
      isFirst = false
      stream.session!.socket.destroy()
      return true
    }
    expect([(await ask(port)).status, endpoint.opened]).to.deep.equal([200, 2])
    expect(started!.metric('hostmesh_repeats_reused_connection_total')).to.equal(1)
  })

  it('leaves to the retry policy what the endpoint resets on a connection that it keeps', async () => {
    const port = await worker({ route: { retry: retries(1) } })
    await ask(port)
    endpoint.serve = (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    expect([(await ask(port)).status, endpoint.asked.length]).to.deep.equal([502, 3])
  })

  it('gives one stream up and not its connection, when a caller leaves', async () => {
    const port = await worker()
    const closed: number[] = []
    let streams = 0
    endpoint.onStream = (stream) => {
      streams++
      stream.on('close', () => closed.push(stream.rstCode))
      return streams === 1
    }
    const request = httpRequest({ host: '127.0.0.1', port, headers: { host: 'orders' } })
    request.on('error', () => {})
    request.end()
    await eventually(() => streams === 1)
    request.destroy()
    await eventually(() => closed.length === 1)
    expect(closed).to.deep.equal([constants.NGHTTP2_CANCEL])
    await ask(port)
    expect(endpoint.opened).to.equal(1)
  })

  it('spreads requests over endpoints, each on one connection', async () => {
    second = new Endpoint()
    const port = await worker({ policy: { loadBalancer: { kind: 'round-robin' } } })
    for (let i = 0; i < 10; i++) await ask(port)
    expect([endpoint.asked.length, second.asked.length]).to.deep.equal([5, 5])
    expect([endpoint.opened, second.opened]).to.deep.equal([1, 1])
  })

  it('shows a reply that broke as broken', async () => {
    const port = await worker()
    endpoint.serve = (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('half', () => setImmediate(() => stream.destroy(new Error('broken'))))
    }
    const failure = await ask(port).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    )
    expect(failure).to.equal('ECONNRESET')
  })

  it('notices an endpoint of another protocol, and says so', async () => {
    const port = await worker()
    endpoint.server.removeAllListeners('connection')
    endpoint.server.on('connection', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'))
    const reply = await ask(port, { method: 'POST', body: 'x', headers: { 'content-length': '1' } })
    expect([reply.status, reply.headers['x-mesh-error']]).to.deep.equal([502, 'E_UPSTREAM_PROTOCOL'])
  })
})
