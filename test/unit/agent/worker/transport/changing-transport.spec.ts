import { expect } from 'chai'

import type { Accepted } from '../../../../../agent/worker/listen/accepted.ts'
import type { Movable } from '../../../../../agent/worker/listen/movable.ts'
import { rawTransports } from '../../../../../agent/worker/transport/raw-handle.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { changingTransports, flipped } from '../../../../support/worker/changing-transport.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'
import { watchMoves } from '../../../../support/worker/watch-moves.ts'

const content = Buffer.alloc(6_000_000, 'abcdefghijklm')
const identity = { kind: 'spiffe', id: 'spiffe://mesh/ns/public/sa/shop' } as const

/** TLS stands behind the same interface: whatever goes past such a transport would be plain text on the wire. */
describe('a transport that changes bytes on their way', () => {
  const { native } = loadNative()
  let backend: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller
  const others: StartedWorker[] = []

  const start = (transports = changingTransports(identity)): Promise<StartedWorker> => {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const services = [
      { name: 'orders', endpoints },
      { name: 'ledger', protocol: 'tcp' as const, endpoints },
    ]
    return startWorker({ services }, { transports, closeDescriptor: (fd) => native!.close(fd) })
  }

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    started = await start()
  })

  afterEach(async () => {
    caller.close()
    for (const { stop } of [started, ...others.splice(0)]) stop()
    await backend.close()
  })

  const arrived = (length: number): Promise<boolean> => caller.until(() => caller.bytes.length >= length, 20_000)
  const send = (text: string): boolean => caller.socket.write(flipped(Buffer.from(text)))
  const heard = (): string => flipped(caller.bytes).toString('latin1')
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`
  const only = (): Movable => started.worker.connections.list()[0]!

  it('sees every byte of a bulk stream, in both directions', async () => {
    const moves = watchMoves(started)
    backend.onPiece = () => true
    caller = await RawCaller.open(started.port('ledger'))
    caller.socket.write(flipped(content))
    await eventually(() => backend.connections[0]?.bytes.length === content.length, 20_000)
    expect(backend.connections[0]!.bytes.equals(content)).to.equal(true)
    backend.connections[0]!.socket.write(content)
    await arrived(content.length)
    expect(flipped(caller.bytes).equals(content)).to.equal(true)
    expect(moves.bytes, 'bytes that went past it').to.equal(0)
  })

  it('sees every byte of a large reply of known length', async () => {
    const moves = watchMoves(started)
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`
    backend.answer = () => Buffer.concat([Buffer.from(head), content])
    caller = await RawCaller.open(started.port('orders'))
    send(get('/large'))
    await arrived(content.length)
    await eventually(() => started.metric('istio_requests_total', '200') === 1)
    expect(heard().endsWith(content.toString('latin1'))).to.equal(true)
    expect(moves.bytes, 'bytes that went past it').to.equal(0)
  })

  it('says who the caller is, and that goes along when the connection moves', async () => {
    const other = await start()
    others.push(other)
    caller = await RawCaller.open(started.port('orders'))
    send(get('/1'))
    await caller.until(() => heard().endsWith('ok'))
    await eventually(() => only().isReady)
    expect((only() as unknown as { accepted: Accepted }).accepted.identity).to.deep.equal(identity)
    const { descriptors, state } = only().detach(native!)!
    expect(state).to.deep.include({ format: 2, transports: [{ kind: 'flipped', body: { identity } }], identity })
    const moved = other.worker.connections.adopt(JSON.parse(JSON.stringify(state)), descriptors)
    expect((moved as unknown as { accepted: Accepted }).accepted.identity).to.deep.equal(identity)
    send(get('/2'))
    await caller.until(() => heard().split('200 OK').length === 3)
    expect(other.metric('istio_requests_total', '200')).to.equal(1)
  })

  it('is refused where nobody knows its state, goes on where it was, and is drained there', async () => {
    const plain = await start(async (output) => rawTransports(output))
    others.push(plain)
    caller = await RawCaller.open(started.port('orders'))
    send(get('/1'))
    await caller.until(() => heard().endsWith('ok'))
    await eventually(() => only().isReady)
    const { descriptors, state } = only().detach(native!)!
    const copy = [native!.duplicate(descriptors[0]!)]
    expect(() => plain.worker.connections.adopt(state, copy)).to.throw('no transport here goes on with flipped')
    started.worker.connections.adopt(state, descriptors).drain()
    send(get('/2'))
    await caller.until(() => heard().includes('Connection: close'))
    await caller.closed()
    expect(heard().split('200 OK')).to.have.length(3)
  })
})
