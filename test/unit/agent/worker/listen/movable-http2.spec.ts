import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'

import type { Movable } from '../../../../../agent/worker/listen/movable.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { block, Flags, frame, getFields, RawH2Caller, settings, Type } from '../../../../support/http2/frames.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { endpointOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

/** Two workers of one process stand for two processes, as in `movable.spec.ts`. */
describe('a live HTTP/2 connection that moves to another worker', () => {
  const { native } = loadNative()
  let backend: Server
  let answer: (path: string, response: ServerResponse) => void
  let old: StartedWorker
  let next: StartedWorker
  let client: ClientHttp2Session | undefined

  beforeEach(async () => {
    answer = (path, response) => response.setHeader('x-path', path).end('fine')
    backend = createServer((request, response) =>
      answer(`${request.url} ${String(request.headers['x-a'] ?? '')}`, response),
    )
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    const services = [{ name: 'orders', endpoints: [endpointOf('127.0.0.1', (backend.address() as AddressInfo).port)] }]
    old = await startWorker({ services }, { closeDescriptor: (fd) => native!.close(fd) })
    next = await startWorker({ services }, { closeDescriptor: (fd) => native!.close(fd) })
  })

  afterEach(() => {
    client?.destroy()
    old.stop()
    next.stop()
    backend.close()
  })

  const http2Of = (worker: StartedWorker): Movable | undefined =>
    worker.worker.connections.list().find(({ protocol }) => protocol === 'http2')

  function move(): void {
    const detached = http2Of(old)!.detach(native!)!
    next.worker.connections.adopt(JSON.parse(JSON.stringify(detached.state)), detached.descriptors)
  }

  const ask = async (headers: http2.OutgoingHttpHeaders): Promise<unknown> => {
    const stream = client!.request(headers)
    const [got] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    stream.resume()
    await once(stream, 'close')
    return got['x-path']
  }

  it('goes on with its ids, windows and the table of its caller, time after time', async () => {
    client = http2.connect(`http://127.0.0.1:${old.port('orders')}`)
    for (let n = 0; n < 3; n++)
      expect(await ask({ ':path': `/${n}`, 'x-a': 'kept in the table' })).to.equal(`/${n} kept in the table`)
    await eventually(() => http2Of(old)?.isReady === true)
    move()
    expect(http2Of(old)).to.equal(undefined)
    for (let n = 3; n < 6; n++)
      expect(await ask({ ':path': `/${n}`, 'x-a': 'kept in the table' })).to.equal(`/${n} kept in the table`)
    expect([next.metric('istio_requests_total'), old.metric('hostmesh_downstream_connections')]).to.deep.equal([3, 0])
  })

  it('takes a frame that has not come whole along', async () => {
    const caller = await RawH2Caller.to(old.port('orders'), settings())
    await eventually(() => http2Of(old)?.isReady === true)
    const head = frame(Type.headers, Flags.endHeaders | Flags.endStream, 1, block(getFields))
    caller.send(head.subarray(0, 20))
    await eventually(() => caller.socket.writableLength === 0)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    move()
    caller.send(head.subarray(20))
    await eventually(() => caller.frames.some(({ type, streamId }) => type === Type.headers && streamId === 1))
    caller.close()
  })

  it('waits for the streams that are open, and is drained when they do not end', async () => {
    let release = (): void => {}
    answer = (_path, response) => {
      release = () => response.end('late')
    }
    client = http2.connect(`http://127.0.0.1:${old.port('orders')}`)
    const first = ask({ ':path': '/' })
    await eventually(() => http2Of(old)?.isIdle === false)
    let isOffered = false
    http2Of(old)!.whenReady(() => (isOffered = true))
    expect([http2Of(old)!.isReady, isOffered]).to.deep.equal([false, false])
    await eventually(() => {
      release()
      return isOffered
    })
    await first
    void ask({ ':path': '/' }).catch(() => {})
    await eventually(() => http2Of(old)?.isIdle === false)
    const goneAway = once(client, 'goaway')
    http2Of(old)!.whenReady(() => {})
    await goneAway
    release()
  })

  it('refuses a state that it does not understand', () => {
    const listener = 'service:orders'
    const peer = { address: '127.0.0.1', port: 1, localAddress: '127.0.0.1', localPort: 2 }
    for (const session of [null, {}, { lastId: 'x' }]) {
      const state = { format: 1, listener, peer, proxy: null, ageMs: 0, protocol: 'http2', served: 0, session }
      const copy = native!.duplicate(1)
      expect(() => next.worker.connections.adopt(state, [copy])).to.throw(/E_HANDOFF_REFUSED|cannot be used|malformed/)
    }
  })
})

describe('an idle connection to an endpoint of HTTP/2', () => {
  const { native } = loadNative()

  it('goes on in another worker, and one whose state is malformed is closed there', async () => {
    const application = http2.createServer((request, response) => response.end(request.url))
    let sessions = 0
    application.on('session', () => sessions++)
    application.listen(0, '127.0.0.1')
    await once(application, 'listening')
    const endpoints = [endpointOf('127.0.0.1', (application.address() as AddressInfo).port)]
    const services = [{ name: 'orders', protocol: 'http2' as const, endpoints }]
    const closeDescriptor = (fd: number): void => native!.close(fd)
    const old = await startWorker({ services }, { closeDescriptor })
    const next = await startWorker({ services }, { closeDescriptor })
    const ask = async (worker: StartedWorker): Promise<string> =>
      (await fetch(`http://127.0.0.1:${worker.port('orders')}/x`)).text()
    expect(await ask(old)).to.equal('/x')
    const pooled = (): Movable | undefined => [...old.worker.connections.listPooled()].find(({ isReady }) => isReady)
    await eventually(() => pooled() !== undefined)
    const { descriptors, state } = pooled()!.detach(native!)!
    for (const link of [null, {}, { askedAgoMs: 'x' }, { askedAgoMs: -1, session: {} }]) {
      const copy = native!.duplicate(descriptors[0]!)
      expect(() => next.worker.connections.adopt({ ...state, link }, [copy])).to.throw(/another protocol; it is closed/)
    }
    expect([await ask(next), sessions]).to.deep.equal(['/x', 2])
    next.worker.connections.adopt(JSON.parse(JSON.stringify(state)), descriptors)
    expect([await ask(next), sessions]).to.deep.equal(['/x', 2])
    expect(next.metric('hostmesh_pool_idle_connections')).to.equal(2)
    old.stop()
    next.stop()
    application.close()
  })
})
