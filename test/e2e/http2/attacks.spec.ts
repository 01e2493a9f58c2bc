/** Floods of a caller of HTTP/2: its connection ends within 1,500 frames, memory stays, and nobody else notices. */
import http2 from 'node:http2'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect } from 'chai'

import {
  block,
  errorIn,
  Flags,
  frame,
  get,
  getFields,
  postFields,
  RawH2Caller,
  settings,
  Type,
  word,
} from '../../support/http2/frames.ts'
import { startBehindWorker } from '../../support/worker/one-backend.ts'
import { eventually } from '../../support/worker/eventually.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const most = 1500
const oneByteFields = Buffer.alloc(4000, 0xbe)
const post = (id: number): Buffer => frame(Type.headers, Flags.endHeaders, id, block(postFields))

/** Frames of one attack, the n-th of them. */
const attacks: readonly (readonly [name: string, nth: (n: number) => Buffer, metric: string])[] = [
  [
    'rapid reset',
    (n) => (n % 2 === 0 ? get(n + 1) : frame(Type.rstStream, 0, n, word(8))),
    'hostmesh_http2_reset_floods_total',
  ],
  [
    'resets that it makes us send (MadeYouReset)',
    (n) => (n % 2 === 0 ? get(n + 1) : frame(Type.data, 0, n, Buffer.from('x'))),
    'hostmesh_http2_reset_floods_total',
  ],
  ['PING', () => frame(Type.ping, 0, 0, Buffer.alloc(8)), 'hostmesh_http2_frame_floods_total'],
  ['SETTINGS', () => settings([4, 65_535]), 'hostmesh_http2_frame_floods_total'],
  [
    'PRIORITY',
    (n) => frame(Type.priority, 0, 1 + 2 * n, Buffer.from([0, 0, 0, 0, 1])),
    'hostmesh_http2_frame_floods_total',
  ],
  ['unknown frames', () => frame(0x77, 0, 0, Buffer.alloc(100)), 'hostmesh_http2_frame_floods_total'],
  ['empty DATA', (n) => (n === 0 ? post(1) : frame(Type.data, 0, 1)), 'hostmesh_http2_frame_floods_total'],
  ['window updates by 1', () => frame(Type.windowUpdate, 0, 0, word(1)), 'hostmesh_http2_frame_floods_total'],
  [
    'CONTINUATION',
    (n) =>
      n === 0 ? frame(Type.headers, 0, 1, block(getFields)) : frame(Type.continuation, 0, 1, block([['x-a', 'b']])),
    'hostmesh_http2_head_floods_total',
  ],
]

describe('floods of a caller of HTTP/2', () => {
  let started: Awaited<ReturnType<typeof startBehindWorker>>
  let worker: StartedWorker
  let asked = 0
  const upgrades: Socket[] = []

  before(async () => {
    started = await startBehindWorker((_request, response) => {
      asked++
      response.end('fine')
    })
    worker = started.worker
    started.backend.on('upgrade', (_request, given) => upgrades.push(given as Socket))
  })

  after(() => {
    for (const socket of upgrades) socket.destroy()
    started.stop()
  })

  const servesOthers = async (): Promise<void> => {
    const client = http2.connect(`http://127.0.0.1:${worker.port('orders')}`)
    const stream = client.request({ ':path': '/' })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    expect(headers[':status']).to.equal(200)
    client.destroy()
  }

  for (const [name, nth, metric] of attacks) {
    it(`${name}: the connection ends, and others are served`, async () => {
      const before = worker.metric(metric)
      const caller = await RawH2Caller.to(worker.port('orders'))
      for (let n = 0; n < most && !caller.isClosed; n += 50) {
        caller.send(...Array.from({ length: 50 }, (_, k) => nth(n + k)))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await eventually(() => caller.isClosed)
      expect([errorIn(caller.bytes).split(' ')[0], worker.metric(metric) - before]).to.deep.equal(['connection', 1])
      await servesOthers()
      caller.close()
    })
  }

  it('content in frames of one byte for an application that answers its upgrade late: ended, and others wait for nothing', async () => {
    const metric = 'hostmesh_http2_small_frame_resets_total'
    const before = worker.metric(metric)
    const caller = await RawH2Caller.to(worker.port('orders'))
    const connect = [[':method', 'CONNECT'], [':protocol', 'websocket'], ...getFields.slice(1)] as const
    caller.send(frame(Type.headers, Flags.endHeaders, 1, block(connect)))
    await eventually(() => upgrades.length === 1)
    const one = frame(Type.data, 0, 1, Buffer.from('x'))
    const others: number[] = []
    for (let n = 0; n < 65_500; n += 655) {
      caller.send(...Array.from({ length: 655 }, () => one))
      if (n % 6550 !== 0) continue
      const asked = performance.now()
      await servesOthers()
      others.push(performance.now() - asked)
    }
    upgrades[0]!.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    const asked = performance.now()
    await servesOthers()
    others.push(performance.now() - asked)
    await eventually(() => caller.isClosed)
    expect([errorIn(caller.bytes), worker.metric(metric) - before]).to.deep.equal(['connection 11', 1])
    expect(Math.max(...others)).to.be.lessThan(1500)
    caller.close()
  })

  it('heads of references to one large field (HTTP/2 bomb): refused by their decoded size, and nothing of it is kept', async () => {
    const caller = await RawH2Caller.to(worker.port('orders'))
    const large = Buffer.concat([
      Buffer.from([0x40, 3]),
      Buffer.from('x-a'),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, 97),
    ])
    caller.send(frame(Type.headers, Flags.endHeaders | Flags.endStream, 1, Buffer.concat([block(getFields), large])))
    const before = process.memoryUsage.rss()
    const askedBefore = asked
    for (let id = 3; id < 203; id += 2) {
      caller.send(
        frame(Type.headers, Flags.endHeaders | Flags.endStream, id, Buffer.concat([block(getFields), oneByteFields])),
      )
    }
    await eventually(() => caller.isClosed || caller.frames.filter(({ type }) => type === Type.headers).length >= 100)
    expect(asked - askedBefore).to.be.lessThan(2)
    expect((process.memoryUsage.rss() - before) / 1_048_576).to.be.lessThan(16)
    await servesOthers()
    caller.close()
  })
})
