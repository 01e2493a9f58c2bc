/** An endpoint that says its last stream (GOAWAY), and what becomes of the requests above and below it. */
import { expect } from 'chai'

import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import { frame, Type, word } from '../../support/http2/frames.ts'
import { RawH2Endpoint } from '../../support/http2/raw-endpoint.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

interface Reply {
  readonly status: number
  readonly code: string | null
}

const goAway = (last: number): Buffer => frame(Type.goAway, 0, 0, Buffer.concat([word(last), word(0)]))

describe('GOAWAY of an endpoint with a lower last stream', () => {
  let endpoint: RawH2Endpoint
  let worker: StartedWorker

  beforeEach(async () => {
    endpoint = await RawH2Endpoint.start()
    const endpoints = [{ address: '127.0.0.1', port: endpoint.port }]
    const policy = { pool: { ...defaultTrafficPolicy.pool, upgradesToHttp2: true } }
    worker = await startWorker({ services: [{ name: 'orders', endpoints, policy }] })
  })

  afterEach(() => {
    worker.stop()
    endpoint.close()
  })

  /** One request on the first connection, behind those before. */
  async function ask(method: string, path: string): Promise<{ reply: Promise<Reply> }> {
    const body = method === 'POST' ? 'content' : null
    const reply = fetch(`http://127.0.0.1:${worker.port('orders')}${path}`, { method, body }).then(
      async ({ headers, status }) => ({ status, code: headers.get('x-mesh-error') }),
    )
    await eventually(() => endpoint.asked.includes(`${method} ${path}`))
    if (body !== null) {
      const [first] = endpoint.connections
      const id = first!.requests.at(-1)!.streamId
      const isWhole = (): boolean =>
        first!.frames.some(({ flags, streamId, type }) => type === Type.data && streamId === id && flags === 1)
      await eventually(isWhole)
    }
    return { reply }
  }

  it('streams above it are sent again, of any method; the others are served where they are', async () => {
    const replies = [await ask('GET', '/a'), await ask('POST', '/b'), await ask('GET', '/c'), await ask('POST', '/d')]
    const [first] = endpoint.connections
    expect(first!.requests.map(({ streamId }) => streamId)).to.deep.equal([1, 3, 5, 7])
    first!.send(goAway(3))
    await eventually(() => endpoint.asked.length === 6)
    const [, second] = endpoint.connections
    expect(second!.requests.map(({ asks }) => asks).toSorted()).to.deep.equal(['GET /c', 'POST /d'])
    for (const { streamId } of second!.requests) second!.answer(streamId, '201')
    first!.answer(1)
    first!.answer(3)
    const statuses = await Promise.all(replies.map(async ({ reply }) => (await reply).status))
    expect(statuses).to.deep.equal([200, 200, 201, 201])
    await eventually(() => first!.isClosed)
    expect([endpoint.asked.length, second!.isClosed]).to.deep.equal([6, false])
  })

  it('a POST at or below it that is not answered may have been read: it is not sent again', async () => {
    const below = await ask('POST', '/a')
    const above = await ask('POST', '/b')
    const [first] = endpoint.connections
    first!.send(goAway(1))
    await eventually(() => endpoint.connections.length === 2 && endpoint.asked.length === 3)
    first!.socket.end()
    expect(await below.reply).to.deep.equal({ status: 502, code: 'E_UPSTREAM_RESET' })
    endpoint.connections[1]!.answer(endpoint.connections[1]!.requests[0]!.streamId)
    expect((await above.reply).status).to.equal(200)
    expect(endpoint.asked).to.deep.equal(['POST /a', 'POST /b', 'POST /b'])
  })

  it('a second GOAWAY that lowers it: what it takes back is sent again', async () => {
    const kept = await ask('POST', '/a')
    const given = await ask('POST', '/b')
    const [first] = endpoint.connections
    first!.send(goAway(0x7fffffff))
    first!.send(goAway(1))
    await eventually(() => endpoint.asked.length === 3)
    const [, second] = endpoint.connections
    second!.answer(second!.requests[0]!.streamId, '201')
    first!.answer(1)
    expect([(await kept.reply).status, (await given.reply).status]).to.deep.equal([200, 201])
    expect(endpoint.asked).to.deep.equal(['POST /a', 'POST /b', 'POST /b'])
  })
})
