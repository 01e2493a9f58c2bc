/** Peers that never open a window, on both sides: they hold what is theirs, for a bounded time, and nobody else. */
import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import { frame, framesOf, get, RawH2Caller, settings, Type, word } from '../../support/http2/frames.ts'
import { RawH2Endpoint } from '../../support/http2/raw-endpoint.ts'
import { startBehindWorker } from '../../support/worker/one-backend.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const initialWindow = 4
const limits = { bodyIdleTimeoutMs: 300 }

describe('a peer of HTTP/2 that never opens its window', () => {
  let worker: StartedWorker
  let stop: () => void

  afterEach(() => stop())

  it('as a caller: its stream is reset in time, the work behind it ends, and its other streams are served', async () => {
    let left = 0
    ;({ worker, stop } = await startBehindWorker((request, response) => {
      response.on('close', () => (left += response.writableFinished ? 0 : 1))
      if (request.url === '/') response.end(Buffer.alloc(10_000_000))
    }, limits))
    const caller = await RawH2Caller.to(worker.port('orders'), settings([initialWindow, 0]))
    try {
      caller.send(get(1), get(3), frame(Type.windowUpdate, 0, 3, word(5)))
      const of = (id: number, wanted: number) =>
        caller.frames.filter(({ streamId, type }) => streamId === id && type === wanted)
      await eventually(() => of(1, Type.rstStream).length === 1)
      expect(of(1, Type.rstStream)[0]!.payload.readUInt32BE(0)).to.equal(8)
      expect([of(1, Type.data).length, of(3, Type.data)[0]!.payload.length]).to.deep.equal([0, 5])
      expect(worker.metric('hostmesh_stalled_callers_total')).to.be.at.least(1)
      await eventually(() => left >= 1)
      caller.send(frame(Type.ping, 0, 0, Buffer.alloc(8)))
      await eventually(() => framesOf(caller.bytes).some(({ flags, type }) => type === Type.ping && flags === 1))
      expect(caller.isClosed).to.equal(false)
    } finally {
      caller.close()
    }
  })

  it('as an endpoint: the request is answered in time and its stream reset, and other requests use the connection', async () => {
    const endpoint = await RawH2Endpoint.start(settings([initialWindow, 0]))
    worker = await startWorker({
      services: [
        {
          name: 'orders',
          endpoints: [{ address: '127.0.0.1', port: endpoint.port }],
          policy: { pool: { ...defaultTrafficPolicy.pool, upgradesToHttp2: true } },
        },
      ],
      limits,
    })
    stop = () => {
      worker.stop()
      endpoint.close()
    }
    const url = `http://127.0.0.1:${worker.port('orders')}/`
    const first = fetch(url)
    await eventually(() => endpoint.asked.length === 1)
    const [connection] = endpoint.connections
    connection!.answer(1)
    await first
    const stuck = fetch(url, { method: 'POST', body: 'content' })
    await eventually(() => endpoint.asked.length === 2)
    const other = fetch(url)
    await eventually(() => endpoint.asked.length === 3)
    connection!.answer(5)
    expect((await other).status).to.equal(200)
    const reply = await stuck
    expect([reply.status, reply.headers.get('x-mesh-error')]).to.deep.equal([504, 'E_UPSTREAM_TIMEOUT'])
    const resets = (): number[] =>
      connection!.frames.filter(({ type }) => type === Type.rstStream).map(({ streamId }) => streamId)
    await eventually(() => resets().length === 1)
    expect([resets(), connection!.frames.some(({ type }) => type === Type.data)]).to.deep.equal([[3], false])
    const next = fetch(url)
    await eventually(() => connection!.requests.length === 4)
    connection!.answer(7)
    expect([(await next).status, endpoint.connections.length]).to.deep.equal([200, 1])
  })
})
