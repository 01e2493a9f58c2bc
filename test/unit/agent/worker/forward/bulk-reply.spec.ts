import { expect } from 'chai'

import type { LimitsSpec } from '../../../../../contracts/snapshot.ts'
import { largestPortion } from '../../../../../agent/worker/transport/bulk-flow.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'
import { watchMoves } from '../../../../support/worker/watch-moves.ts'
import type { Moves } from '../../../../support/worker/watch-moves.ts'

const content = Buffer.alloc(6_000_000, 'abcdefghijklm')
const headOf = (length: number) => Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)

describe('a large reply of known length', () => {
  let backend: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller
  let moves: Moves

  async function start(limits: Partial<LimitsSpec> = {}): Promise<void> {
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    started = await startWorker({ services: [{ name: 'orders', endpoints }], limits })
    moves = watchMoves(started)
    caller = await RawCaller.open(started.port('orders'))
  }

  beforeEach(async () => {
    backend = await RecordingBackend.start()
  })

  afterEach(async () => {
    caller.close()
    started.stop()
    await backend.close()
  })

  const get = 'GET / HTTP/1.1\r\nHost: orders\r\n\r\n'
  /** What came behind the head. */
  const body = (): Buffer => caller.bytes.subarray(caller.bytes.indexOf('\r\n\r\n') + 4)
  const arrived = (length: number): Promise<boolean> => caller.until(() => body().length >= length, 20_000)

  it('is moved inside the kernel, arrives byte for byte, and is counted whole', async () => {
    await start()
    backend.answer = () => Buffer.concat([headOf(content.length), content])
    caller.send(get)
    await arrived(content.length)
    expect(body().length).to.equal(content.length)
    expect(body().equals(content)).to.equal(true)
    expect(moves.bytes, 'bytes moved').to.be.within(1_000_000, content.length - 1)
    await eventually(() => started.metric('istio_response_bytes') === content.length)
  })

  it('leaves both connections to the next request', async () => {
    await start()
    backend.answer = () => Buffer.concat([headOf(content.length), content])
    caller.send(get)
    await arrived(content.length)
    caller.bytes = Buffer.alloc(0)
    backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    caller.send(get)
    await caller.expect('\r\n\r\nok')
    expect(backend.connections).to.have.length(1)
  })

  it('gives the caller nothing of what the endpoint sends behind it, nor that connection to another request', async () => {
    await start()
    backend.answer = () => Buffer.concat([headOf(content.length), content, Buffer.from('HTTP/1.1 200 OK\r\n\r\n')])
    caller.send(get)
    await arrived(content.length)
    backend.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    caller.send(get)
    await caller.expect('\r\n\r\nok')
    expect(body().subarray(0, content.length).equals(content)).to.equal(true)
    expect(body().toString('latin1', content.length)).to.match(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/)
    expect(backend.connections).to.have.length(2)
  })

  for (const [how, cut] of [
    ['ends', 'end'],
    ['is reset', 'resetAndDestroy'],
  ] as const) {
    it(`is cut short for the caller when the endpoint's connection ${how} in the middle`, async () => {
      await start()
      backend.answer = (_message, { socket }) => {
        socket.write(Buffer.concat([headOf(content.length), content.subarray(0, 4_000_000)]))
        void eventually(() => moves.bytes > 500_000).then(() => socket[cut]())
        return undefined
      }
      caller.send(get)
      await caller.closed()
      expect(body().length).to.be.within(500_000, 4_000_000)
      expect(content.subarray(0, body().length).equals(body())).to.equal(true)
      await eventually(() => started.metric('hostmesh_truncated_replies_total') === 1)
    })
  }

  it('is held in a bounded part while the caller does not read, then goes on', async () => {
    await start()
    const size = 40_000_000
    backend.answer = () => Buffer.concat([headOf(size), Buffer.alloc(size, 'x')])
    caller.socket.pause()
    caller.send(get)
    await eventually(() => started.metric('hostmesh_bulk_held_bytes') > 0)
    expect(started.metric('hostmesh_bulk_held_bytes')).to.be.at.most(largestPortion)
    let received = 0
    caller.socket.removeAllListeners('data')
    caller.socket.on('data', (bytes: Buffer) => (received += bytes.length)).resume()
    await eventually(() => received > size, 20_000)
    expect(started.metric('hostmesh_bulk_held_bytes')).to.equal(0)
  })

  it('ends with the caller that never reads', async () => {
    await start({ bodyIdleTimeoutMs: 300 })
    const size = 40_000_000
    backend.answer = () => Buffer.concat([headOf(size), Buffer.alloc(size, 'x')])
    caller.socket.pause()
    caller.send(get)
    await eventually(() => started.metric('hostmesh_stalled_callers_total') === 1, 20_000)
    expect(started.metric('hostmesh_bulk_held_bytes')).to.equal(0)
    await eventually(() => backend.connections[0]!.isEnded)
  })

  it('is read and written where the kernel does not move it', async () => {
    await start()
    started.worker.bulk.close()
    backend.answer = () => Buffer.concat([headOf(content.length), content])
    caller.send(get)
    await arrived(content.length)
    expect(body().equals(content)).to.equal(true)
    expect(moves.bytes).to.equal(0)
  })
})
