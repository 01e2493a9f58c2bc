import { expect } from 'chai'

import type { Detached, Movable } from '../../../../../agent/worker/listen/movable.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually, holds } from '../../../../support/worker/eventually.ts'
import type { ServicePlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

/**
 * Two workers of one process stand for two processes: what moves is a descriptor and plain data, as it would between
 * them.
 */
describe('a live connection that moves to another worker', () => {
  const { native } = loadNative()
  let backend: RecordingBackend
  let services: ServicePlan[]
  let old: StartedWorker
  let next: StartedWorker
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    services = [
      { name: 'orders', endpoints: [{ address: '127.0.0.1', port: backend.port }] },
      { name: 'ledger', protocol: 'tcp', endpoints: [{ address: '127.0.0.1', port: backend.port }] },
    ]
    old = await startWorker({ services }, { closeDescriptor: (fd) => native!.close(fd) })
    next = await startWorker({ services }, { closeDescriptor: (fd) => native!.close(fd) })
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    old.stop()
    next.stop()
    await backend.close()
  })

  async function call(port: number): Promise<RawCaller> {
    const caller = await RawCaller.open(port)
    callers.push(caller)
    return caller
  }

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`
  const detach = (connection: Movable): Detached | undefined => connection.detach(native!)

  /** Through JSON, as on the wire. */
  function move(detached: Detached | undefined): Movable {
    if (detached === undefined) throw new Error('the connection was not ready')
    return next.worker.connections.adopt(JSON.parse(JSON.stringify(detached.state)), detached.descriptors)
  }

  const only = (): Movable => {
    const [connection] = old.worker.connections.list()
    if (connection === undefined) throw new Error('no live connection')
    return connection
  }

  it('serves an idle HTTP/1.1 connection on the socket that the caller has', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => only().isReady)
    move(detach(only()))
    expect(old.worker.connections.size).to.equal(0)
    caller.send(get('/2'))
    await eventually(() => caller.text.split('200 OK').length === 3)
    expect(caller.isOver).to.equal(false)
    expect(next.metric('istio_requests_total', '200')).to.equal(1)
    expect(old.metric('hostmesh_downstream_connections')).to.equal(0)
  })

  it('is active when it carried something since the last look, and in the middle of a request', async () => {
    let answer: (() => void) | undefined
    backend.answer = (message, connection) => {
      if (message.target !== '/slow') return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    const active = (): number => old.worker.connections.takeActive().length
    const [caller] = [await call(old.port('orders')), await call(old.port('orders'))]
    await eventually(() => old.worker.connections.size === 2)
    expect(active()).to.equal(0)
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    expect([active(), active()]).to.deep.equal([1, 0])
    caller.send(get('/slow'))
    await eventually(() => answer !== undefined)
    expect([active(), active()]).to.deep.equal([1, 1])
    answer!()
    await caller.expect('\r\n\r\ns')
    expect([active(), active()]).to.deep.equal([1, 0])
    expect(old.metric('hostmesh_active_connections')).to.equal(0)
  })

  it('is active as a pair when a byte passed since the last look, in either direction', async () => {
    backend.onPiece = () => true
    const active = (): number => old.worker.connections.takeActive().length
    const caller = await call(old.port('ledger'))
    caller.send('a')
    await eventually(() => backend.connections[0]?.bytes.toString() === 'a')
    expect([active(), active()]).to.deep.equal([1, 0])
    backend.connections[0]!.socket.write('b')
    await caller.expect('b')
    expect([active(), active()]).to.deep.equal([1, 0])
  })

  it('takes a partial head along', async () => {
    const caller = await call(old.port('orders'))
    caller.send('GET /half HTTP/1.1\r\nHos')
    await eventually(() => old.worker.connections.size === 1 && only().isReady)
    await holds(() => only().isReady, 20)
    move(detach(only()))
    caller.send('t: orders\r\n\r\n')
    await caller.expect('\r\n\r\nok')
    expect(backend.requests[0]!.target).to.equal('/half')
  })

  it('offers a busy connection right after its current response, pipelined requests included', async () => {
    let answer: (() => void) | undefined
    backend.answer = (message, connection) => {
      if (message.target !== '/slow') return `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${message.target.slice(1)}`
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    const caller = await call(old.port('orders'))
    caller.send(get('/slow') + get('/b') + get('/c'))
    await eventually(() => answer !== undefined)
    expect(only().isReady).to.equal(false)
    let offered: Movable | undefined
    only().whenReady((connection) => {
      offered = connection
      move(detach(connection))
    })
    answer!()
    await eventually(() => offered !== undefined)
    await caller.expect(/\r\n\r\ns[^]*\r\n\r\nb[^]*\r\n\r\nc$/)
    expect(next.metric('istio_requests_total', '200')).to.equal(2)
    expect(caller.isOver).to.equal(false)
  })

  it('reads on after a whole request that travelled along', async () => {
    let answer: (() => void) | undefined
    backend.answer = (message, connection) => {
      if (message.target !== '/slow') return 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nr'
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    const caller = await call(old.port('orders'))
    caller.send(get('/slow') + get('/along'))
    await eventually(() => answer !== undefined)
    only().whenReady((connection) => move(detach(connection)))
    answer!()
    await eventually(() => backend.requests.length === 2)
    caller.send(get('/after'))
    await eventually(() => backend.requests.length === 3)
    expect(backend.requests.map(({ target }) => target)).to.deep.equal(['/slow', '/along', '/after'])
  })

  it('takes half a body along, and reads the other half', async () => {
    let answer: (() => void) | undefined
    backend.answer = (message, connection) => {
      if (message.target !== '/slow') return undefined
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    const caller = await call(old.port('orders'))
    caller.send(`${get('/slow')}POST /upload HTTP/1.1\r\nHost: orders\r\nContent-Length: 8\r\n\r\nhalf`)
    await eventually(() => answer !== undefined)
    only().whenReady((connection) => move(detach(connection)))
    answer!()
    await eventually(() => old.worker.connections.size === 0)
    caller.send('half')
    await eventually(() => backend.requests.length === 2)
    expect(backend.requests[1]!.body.toString()).to.equal('halfhalf')
  })

  it('moves a TCP pair with bytes that nobody has read yet, in both directions', async () => {
    const big = Buffer.alloc(6_000_000, 'abcdefg')
    backend.onPiece = () => true
    const caller = await call(old.port('ledger'))
    caller.send('hello')
    await eventually(() => backend.connections[0]?.bytes.toString() === 'hello')
    const upstream = backend.connections[0]!.socket
    // Neither end reads: bytes pile up in the worker.
    caller.socket.pause()
    upstream.pause()
    upstream.write(big)
    caller.socket.write(big)
    type Sides = Record<'up' | 'down', { readonly transport: { readonly pendingBytes: number } }>
    const { down, up } = only() as unknown as Sides
    await eventually(() => down.transport.pendingBytes > 0 && up.transport.pendingBytes > 0)
    const detached = detach(only())
    move(detached)
    const state = detached!.state as { toUpstream: string; toDownstream: string }
    expect(state.toUpstream.length, 'pending bytes travelled').to.be.above(0)
    expect(state.toDownstream.length).to.be.above(0)
    caller.socket.resume()
    upstream.resume()
    caller.socket.end()
    await eventually(
      () => caller.bytes.length === big.length && backend.connections[0]!.bytes.length === big.length + 5,
      25_000,
    )
    expect(caller.bytes.equals(big)).to.equal(true)
    expect(backend.connections[0]!.bytes.subarray(5).equals(big)).to.equal(true)
  })

  it('passes a FIN that came before the move', async () => {
    backend.onPiece = () => true
    const caller = await call(old.port('ledger'))
    caller.send('last')
    await eventually(() => backend.connections[0]?.bytes.toString() === 'last')
    move(detach(only()))
    caller.socket.end('!')
    await eventually(() => backend.connections[0]!.bytes.toString() === 'last!' && backend.connections[0]!.isEnded)
    await caller.closed()
  })

  it('passes a FIN that came in the very turn of the move', async () => {
    backend.onPiece = () => true
    const caller = await call(old.port('ledger'))
    caller.send('last')
    await eventually(() => backend.connections[0]?.bytes.toString() === 'last')
    const pair = only()
    const { up } = pair as unknown as { up: { finSent: boolean; finish(): void } }
    const finish = up.finish.bind(up)
    up.finish = () => {
      finish()
      move(detach(pair))
    }
    caller.socket.end()
    await eventually(() => backend.connections[0]!.isEnded)
    expect(up.finSent).to.equal(true)
    await caller.closed()
  })

  it('keeps the calling application', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => only().isReady)
    const detached = detach(only())!
    const source = { app: 'shop', namespace: 'default', labels: { version: '2' } }
    const moved = move({ ...detached, state: { ...detached.state, source } as typeof detached.state })
    expect((moved as unknown as { source: unknown }).source).to.deep.equal(source)
    expect(detach(moved)!.state).to.deep.include({ source })
  })

  it('answers a caller that has ended its side here, though somebody waits to move it', async () => {
    let answer: (() => void) | undefined
    backend.answer = (_message, connection) => {
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    old.stop()
    old = await startWorker({ services, halfClosed: 'answered' })
    const caller = await call(old.port('orders'))
    caller.send(get('/slow'))
    await eventually(() => answer !== undefined)
    caller.socket.end()
    only().whenReady(() => {
      throw new Error('it has nothing to move')
    })
    await eventually(() => (only() as unknown as { hasEnded: boolean }).hasEnded)
    answer!()
    await caller.expect('\r\n\r\ns')
    await caller.closed()
    expect(old.worker.connections.size).to.equal(0)
  })

  it('goes on here when nobody comes for it after all, with what it holds', async () => {
    let answer: (() => void) | undefined
    backend.answer = (message, connection) => {
      if (message.target !== '/slow') return undefined
      answer = () => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns')
      return undefined
    }
    const caller = await call(old.port('orders'))
    caller.send(get('/slow') + get('/next'))
    await eventually(() => answer !== undefined)
    let isOffered = false
    only().whenReady(() => {
      isOffered = true
    })
    answer!()
    await eventually(() => isOffered)
    expect(backend.requests).to.have.length(1)
    only().whenReady(null)
    await eventually(() => backend.requests.length === 2)
    expect(backend.requests[1]!.target).to.equal('/next')
  })

  it('comes back to the old worker when the new one refuses it', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => only().isReady)
    const { descriptors, state } = detach(only())!
    const copy = [native!.duplicate(descriptors[0]!)]
    expect(() => next.worker.connections.adopt({ ...state, listener: 'gone' }, copy)).to.throw('is not known here')
    old.worker.connections.adopt(state, descriptors)
    caller.send(get('/2'))
    await eventually(() => caller.text.split('200 OK').length === 3)
  })

  it('comes back also to a worker that has stopped accepting, or whose listener has left the configuration', async () => {
    const leaves: readonly (() => unknown)[] = [
      () => old.worker.stopAccepting(),
      () => old.change({ listeners: { 'service:orders': null } }),
      () => old.worker.listeners.closeThose(() => true),
    ]
    for (const leave of leaves) {
      const caller = await call(old.port('orders'))
      caller.send(get('/1'))
      await caller.expect('\r\n\r\nok')
      await eventually(() => only().isReady)
      await leave()
      const { descriptors, state } = detach(only())!
      old.worker.connections.adopt(state, descriptors)
      caller.send(get('/2'))
      await eventually(() => caller.text.split('200 OK').length === 3)
      old.stop()
      old = await startWorker({ services }, { closeDescriptor: (fd) => native!.close(fd) })
    }
  })

  it('still ends after its next answer when it was told so before the move', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => only().isReady)
    only().drain()
    move(detach(only()))
    caller.send(get('/2'))
    await caller.expect('Connection: close')
    await caller.closed()
  })

  it('counts for its listener until it ends, also when the listener changed meanwhile', async () => {
    const caller = await call(old.port('orders'))
    await eventually(() => old.worker.connections.size === 1)
    const { spec } = old.worker.listeners.get('service:orders')!
    await old.change({ listeners: { 'service:orders': { ...spec } } })
    const connections = () => old.worker.listeners.dump().find(({ name }) => name === 'service:orders')!.connections
    expect(connections()).to.equal(1)
    caller.close()
    await eventually(() => connections() === 0)
  })

  it('refuses states that are not what they should be, and closes their descriptors', () => {
    const closed: number[] = []
    const fresh = { closeDescriptor: (fd: number) => closed.push(fd) }
    return startWorker({ services: [] }, fresh).then((strict) => {
      for (const state of [
        null,
        5,
        {},
        { format: 1, protocol: 'http1' },
        { format: 1, protocol: 'tcp', cluster: 'x|y|z' },
      ]) {
        expect(() => strict.worker.connections.adopt(state, [991])).to.throw(/./)
      }
      expect(closed).to.have.length(5)
      strict.stop()
    })
  })

  it('is refused in a format that this release does not know, and goes on here until it is drained', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => only().isReady)
    const { descriptors, state } = detach(only())!
    const copy = [native!.duplicate(descriptors[0]!)]
    expect(() => next.worker.connections.adopt({ ...state, format: 3 }, copy))
      .to.throw('format 3, allowed 1 and 2')
      .with.property('code', 'E_HANDOFF_VERSION')
    old.worker.connections.adopt(state, descriptors).drain()
    caller.send(get('/2'))
    await caller.expect('Connection: close')
    await caller.closed()
    expect(caller.text.split('200 OK')).to.have.length(3)
  })

  it('is written as the release before writes it, and read when it says no more than that', async () => {
    const caller = await call(old.port('orders'))
    await eventually(() => old.worker.connections.size === 1 && only().isReady)
    const { descriptors, state } = detach(only())!
    const { ageMs, peer } = state as { ageMs: number; peer: object }
    const before = { format: 1, protocol: 'http1', listener: 'service:orders', peer, proxy: null, ageMs, served: 0 }
    expect(state).to.deep.include({ ...before, received: '' })
    next.worker.connections.adopt({ ...before, received: '' }, descriptors)
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
  })

  it('goes on whole, and leaves no copy, when only one of its two descriptors could be copied', async () => {
    backend.onPiece = () => true
    const caller = await call(old.port('ledger'))
    caller.send('one')
    await eventually(() => backend.connections[0]?.bytes.toString() === 'one')
    const copied: number[] = []
    const closed: number[] = []
    const copies = {
      duplicate(descriptor: number) {
        if (copied.length === 1) throw new Error('no descriptor left')
        copied.push(native!.duplicate(descriptor))
        return copied[0]!
      },
      close(descriptor: number) {
        closed.push(descriptor)
        native!.close(descriptor)
      },
    }
    expect(() => only().detach(copies)).to.throw('no descriptor left')
    expect(closed).to.deep.equal(copied).and.to.have.length(1)
    caller.send(' two')
    await eventually(() => backend.connections[0]!.bytes.toString() === 'one two')
  })

  it('moves the idle connections of a pool', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => old.worker.connections.listPooled().length === 1)
    const [pooled] = old.worker.connections.listPooled()
    move(detach(pooled!))
    expect(old.metric('hostmesh_cluster_connections')).to.equal(0)
    const other = await call(next.port('orders'))
    other.send(get('/2'))
    await other.expect('\r\n\r\nok')
    expect(backend.connections).to.have.length(1)
  })

  it('ends after its next answer when it is drained instead', async () => {
    const caller = await call(old.port('orders'))
    caller.send(get('/1'))
    await caller.expect('\r\n\r\nok')
    only().drain()
    caller.send(get('/2'))
    await caller.expect('Connection: close')
    await caller.closed()
  })
})
