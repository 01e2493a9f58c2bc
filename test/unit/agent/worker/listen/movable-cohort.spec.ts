import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, Http2Server, ServerHttp2Stream } from 'node:http2'
import { expect } from 'chai'

import { connectionCells } from '../../../../../contracts/connection-table.ts'
import type { ConnectionsAnswer } from '../../../../../contracts/live-view.ts'
import type { Detached, Movable } from '../../../../../agent/worker/listen/movable.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { endpointOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

/** Two workers of one process stand for two processes, as in `movable.spec.ts`. */
describe('connections of HTTP/2 that move together with their open streams', () => {
  const { native } = loadNative()
  let backend: Http2Server
  let workers: StartedWorker[]
  let served: ServerHttp2Stream[]
  let clients: ClientHttp2Session[]

  beforeEach(async () => {
    served = []
    clients = []
    backend = http2.createServer()
    backend.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {})
      served.push(stream)
    })
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    const endpoints = [endpointOf('127.0.0.1', (backend.address() as AddressInfo).port)]
    const services = [{ name: 'orders', protocol: 'grpc' as const, endpoints }]
    const closeDescriptor = (fd: number): void => native!.close(fd)
    workers = [
      await startWorker({ services }, { closeDescriptor }),
      await startWorker({ services }, { closeDescriptor }),
    ]
  })

  afterEach(() => {
    for (const client of clients) client.destroy()
    for (const worker of workers) worker.stop()
    backend.close()
  })

  const connect = (): ClientHttp2Session => {
    const client = http2.connect(`http://127.0.0.1:${workers[0]!.port('orders')}`)
    client.on('error', () => {})
    clients.push(client)
    return client
  }

  const call = (client: ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}): ClientHttp2Stream => {
    const stream = client.request(
      { ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc', te: 'trailers', ...headers },
      { endStream: false },
    )
    stream.on('error', () => {})
    return stream
  }

  const cohorts = (worker: StartedWorker): Movable[] => worker.worker.connections.listCohorts()

  function detach(from: StartedWorker): Detached {
    const [cohort, ...more] = cohorts(from)
    expect(more).to.deep.equal([])
    return cohort!.detach(native!)!
  }

  /** From one worker to the other, there and back. */
  async function move(times: number = 1): Promise<void> {
    for (let n = 0; n < times; n++) {
      await eventually(() => cohorts(workers[0]!).length === 1)
      const detached = detach(workers[0]!)
      expect(workers[0]!.worker.connections.list()).to.deep.equal([])
      workers[1]!.worker.connections.adopt(JSON.parse(JSON.stringify(detached.state)), detached.descriptors)
      workers.reverse()
    }
  }

  const collect = (stream: ClientHttp2Stream | ServerHttp2Stream): { text: string } => {
    const got = { text: '' }
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => (got.text += chunk))
    stream.resume()
    return got
  }

  it('go on in both directions, time after time', async () => {
    const stream = call(connect())
    stream.write('one ')
    await eventually(() => served.length === 1)
    const [far] = served
    const atFar = collect(far!)
    const atNear = collect(stream)
    far!.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    far!.on('wantTrailers', () => far!.sendTrailers({ 'grpc-status': '0' }))
    await once(stream, 'response')
    for (let n = 0; n < 6; n++) {
      stream.write(`up${n} `)
      far!.write(`down${n} `)
      await move()
    }
    await eventually(() => atFar.text === 'one up0 up1 up2 up3 up4 up5 ')
    await eventually(() => atNear.text === 'down0 down1 down2 down3 down4 down5 ')
    const trailers = once(stream, 'trailers') as Promise<[http2.IncomingHttpHeaders]>
    stream.end()
    await once(far!, 'end')
    far!.end()
    expect((await trailers)[0]['grpc-status']).to.equal('0')
    await eventually(() => workers.map((one) => one.metric('istio_requests_total')).join() === '1,0')
    expect(workers.map((one) => one.metric('hostmesh_downstream_connections'))).to.deep.equal([1, 0])
  })

  it('take a call along whose reply has not begun, and one on another connection that shares the endpoint', async () => {
    const [first, second] = [call(connect()), call(connect())]
    first.write('x')
    second.write('y')
    await eventually(() => served.length === 2)
    expect(new Set(served.map(({ session }) => session)).size).to.equal(1)
    await move(3)
    for (const far of served) {
      far.respond({ ':status': 200 })
      far.end('fine')
    }
    const answers = [collect(first), collect(second)]
    await eventually(() => answers.every(({ text }) => text === 'fine'))
  })

  it('take what nobody read yet along: content that waits for windows of either side', async () => {
    const stream = call(connect())
    stream.pause()
    await eventually(() => served.length === 1)
    const [far] = served
    far!.respond({ ':status': 200 })
    await once(stream, 'response')
    const bytes = Buffer.alloc(400_000, 'abcdefghijklmnopqrstuvwxyz')
    far!.end(bytes)
    far!.pause()
    stream.end(bytes)
    await move(4)
    const [atFar, atNear] = [collect(far!), collect(stream)]
    await eventually(() => atFar.text.length === bytes.length && atNear.text.length === bytes.length)
    expect([atFar.text, atNear.text].map((text) => text === bytes.toString())).to.deep.equal([true, true])
  })

  it('keep the bounds that their callers were told, where those of the process are others', async () => {
    workers[1]!.stop()
    const port = (backend.address() as AddressInfo).port
    const plan = {
      services: [{ name: 'orders', protocol: 'grpc' as const, endpoints: [endpointOf('127.0.0.1', port)] }],
    }
    const limits = { maxStreams: 1, streamWindowBytes: 1024, connectionWindowBytes: 65_536 }
    workers[1] = await startWorker({ ...plan, limits }, { closeDescriptor: (fd) => native!.close(fd) })
    const client = connect()
    call(client)
    await eventually(() => served.length === 1)
    await move()
    const more = [call(client), call(client)]
    for (const stream of more) stream.write(Buffer.alloc(60_000, 'x'))
    await eventually(() => served.length === 3)
    const got = served.slice(1).map(collect)
    await eventually(() => got.every(({ text }) => text.length === 60_000))
    const fresh = http2.connect(`http://127.0.0.1:${workers[0]!.port('orders')}`)
    clients.push(fresh)
    const [told] = (await once(fresh, 'remoteSettings')) as [http2.Settings]
    expect([told.maxConcurrentStreams, told.initialWindowSize]).to.deep.equal([1, 1024])
  })

  it('show their open streams to an operator', async () => {
    call(connect())
    await eventually(() => served.length === 1)
    const [row] = (workers[0]!.worker.answer({ kind: 'connections', filter: {} }) as ConnectionsAnswer).connections
    expect([row!.protocol, row!.streams, row!.requests, row!.isIdle]).to.deep.equal(['http2', 1, 0, false])
    expect(connectionCells(row!)).to.include('0 requests, 1 open')
  })

  it('keep deadlines of calls, and end them there', async () => {
    const stream = call(connect(), { 'grpc-timeout': '400m' })
    await eventually(() => served.length === 1)
    await move()
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    expect(headers['grpc-status']).to.equal('4')
  })

  it('go on where they are when the other worker refuses them', async () => {
    const stream = call(connect())
    await eventually(() => served.length === 1)
    await eventually(() => cohorts(workers[0]!).length === 1)
    const { descriptors, state } = detach(workers[0]!)
    const copies = descriptors.map((one) => native!.duplicate(one))
    const text = JSON.stringify(state).replaceAll(/"endpoint":"[^"]+"/g, '"endpoint":"gone:1"')
    expect(() => workers[1]!.worker.connections.adopt(JSON.parse(text), copies)).to.throw(/E_HANDOFF_REFUSED|left/)
    expect(workers[1]!.metric('hostmesh_downstream_connections')).to.equal(0)
    workers[0]!.worker.connections.adopt(state, descriptors)
    served[0]!.respond({ ':status': 200 })
    served[0]!.end('fine')
    const answer = collect(stream)
    await eventually(() => answer.text === 'fine')
  })

  it('refuse malformed states and leave nothing behind', async () => {
    call(connect())
    await eventually(() => served.length === 1)
    await eventually(() => cohorts(workers[0]!).length === 1)
    const { descriptors, state } = detach(workers[0]!)
    const whole = JSON.stringify(state)
    const broken = [
      whole.replace('"callerStream":1', '"callerStream":9'),
      whole.replace('"link":0', '"link":5'),
      whole.replace('"hash":-1', '"hash":"x"'),
      whole.replace('"lastId":1', '"lastId":null'),
      whole.replace('"callers":[', '"callers":7,"was":['),
    ]
    for (const text of broken) {
      expect(text).to.not.equal(whole)
      const copies = descriptors.map((one) => native!.duplicate(one))
      expect(() => workers[1]!.worker.connections.adopt(JSON.parse(text), copies)).to.throw(/E_HANDOFF_REFUSED|closed/)
    }
    expect(workers[1]!.worker.connections.list()).to.deep.equal([])
    expect(workers[1]!.metric('hostmesh_downstream_connections')).to.equal(0)
    workers[0]!.worker.connections.adopt(state, descriptors)
  })
})
