/** What an operator sees of requests in flight, and how one is ended. */
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { expect } from 'chai'

import type { StreamFilter, StreamsAnswer } from '../../../contracts/live-view.ts'
import { EchoApplication } from '../../support/http2/long-streams.ts'
import { grpcFrame, WebApplication } from '../../support/http2/web-calls.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { endpointOf } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

describe('requests in flight', () => {
  const application = new EchoApplication()
  const patient = new WebApplication()
  let worker: StartedWorker
  let client: ClientHttp2Session

  before(async () => {
    const endpoints = [endpointOf('127.0.0.1', await application.start())]
    const waiting = [endpointOf('127.0.0.1', await patient.start())]
    worker = await startWorker({
      services: [
        { name: 'calls', protocol: 'grpc', endpoints },
        { name: 'uploads', protocol: 'http2', endpoints: waiting },
      ],
    })
  })

  beforeEach(() => {
    client = http2.connect(`http://127.0.0.1:${worker.port('calls')}`)
    client.on('error', () => {})
  })

  afterEach(async () => {
    client.destroy()
    await eventually(() => streams().total === 0)
  })

  after(() => {
    worker.stop()
    application.close()
    patient.close()
  })

  const ask = (kind: 'streams' | 'close-streams', filter: StreamFilter = {}): StreamsAnswer =>
    worker.worker.answer({ kind, filter }) as StreamsAnswer
  const streams = (filter: StreamFilter = {}): StreamsAnswer => ask('streams', filter)

  const talk = (
    path: string,
  ): { stream: ClientHttp2Stream; got: () => number; trailers: () => IncomingHttpHeaders } => {
    let bytes = 0
    let trailers: IncomingHttpHeaders = {}
    const fields = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    const stream = client.request(fields, { endStream: false })
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    stream.on('trailers', (fields: IncomingHttpHeaders) => (trailers = fields))
    return { stream, got: () => bytes, trailers: () => trailers }
  }
  /** As long as the messages that the application says back. */
  const message = (): Buffer => grpcFrame('x'.repeat(27))

  it('are listed with what they carried so far, the oldest first, and counted', async () => {
    const first = talk('/echo.Echo/Talk?secret=1')
    await eventually(() => streams().total === 1)
    const second = talk('/echo.Echo/Listen')
    first.stream.write(Buffer.concat([message(), message()]))
    second.stream.write(message())
    await eventually(() => first.got() === 64 && second.got() === 32)
    const { streams: rows, total } = streams()
    expect([total, rows.map(({ path }) => path)]).to.deep.equal([2, ['/echo.Echo/Talk', '/echo.Echo/Listen']])
    const { ageMs, id, upstream, ...row } = rows[0]!
    expect(id).to.match(new RegExp(`^${process.pid}-\\d+-1$`))
    expect(ageMs).to.be.least(0)
    expect(upstream).to.match(/^127\.0\.0\.1:\d+/)
    const { localAddress, localPort } = client.socket
    expect(row).to.deep.equal({
      listener: 'service:calls',
      peer: `${localAddress}:${localPort}`,
      sourceApp: '-',
      protocol: 'grpc',
      method: 'POST',
      path: '/echo.Echo/Talk',
      service: 'public/DEFAULT_GROUP@@calls',
      state: 'answers',
      bytesUp: 64,
      bytesDown: 64,
      messagesUp: 2,
      messagesDown: 2,
    })
    expect(worker.metric('hostmesh_requests_in_flight')).to.equal(2)
    expect(worker.metric('hostmesh_oldest_request_seconds')).to.be.above(0)
  })

  it('are found by id, service, listener, caller and age', async () => {
    talk('/echo.Echo/A')
    talk('/echo.Echo/B')
    await eventually(() => streams().total === 2)
    const [{ id, peer }] = streams().streams as [StreamsAnswer['streams'][number]]
    expect(streams({ ids: [id] }).streams.map((row) => row.id)).to.deep.equal([id])
    for (const filter of [
      { service: 'calls' },
      { listener: 'service:calls' },
      { peer },
      { peer: '127.0.0.1' },
      { leastMs: 0 },
    ])
      expect(streams(filter).total, JSON.stringify(filter)).to.equal(2)
    for (const filter of [{ service: 'alls' }, { listener: 'calls' }, { peer: '127.0.0.2' }, { leastMs: 3_600_000 }])
      expect(streams(filter).total, JSON.stringify(filter)).to.equal(0)
  })

  it('one that is ended has a status of gRPC, and the others on its connection go on', async () => {
    const first = talk('/echo.Echo/Talk')
    await eventually(() => streams().total === 1)
    const second = talk('/echo.Echo/Talk')
    first.stream.write(message())
    second.stream.write(message())
    await eventually(() => first.got() === 32 && second.got() === 32)
    const { id } = streams().streams[0]!
    expect(ask('close-streams', { ids: [id] }).total).to.equal(1)
    await eventually(() => first.stream.closed)
    expect([first.trailers()['grpc-status'], first.trailers()['grpc-message']]).to.deep.equal([
      '1',
      'the reply broke: ended by an operator',
    ])
    second.stream.write(message())
    await eventually(() => second.got() === 64)
    expect(ask('close-streams', { ids: [id] }).total).to.equal(0)
  })

  it('one of HTTP/1.1 that has no reply yet is answered 503', async () => {
    const socket = connect(worker.port('uploads'), '127.0.0.1')
    let said = ''
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')))
    socket.write('POST /up HTTP/1.1\r\nHost: uploads\r\nContent-Length: 10\r\n\r\nabc')
    await eventually(() => streams().total === 1)
    const [row] = streams().streams
    expect([row!.protocol, row!.path, row!.bytesUp]).to.deep.equal(['HTTP/1.1', '/up', 3])
    expect(ask('close-streams', { leastMs: 0 }).total).to.equal(1)
    await eventually(() => said.includes('E_ENDED_BY_OPERATOR'))
    expect(said).to.match(/^HTTP\/1\.1 503 /)
    socket.destroy()
  })
})
