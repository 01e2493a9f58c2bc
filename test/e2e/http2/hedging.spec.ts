/** A second request beside a slow first one, for what is not idempotent: by a rule that says all. */
import http2 from 'node:http2'
import { expect } from 'chai'

import type { HttpRouteSpec } from '../../../contracts/route-spec.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { ThriftCodec } from '../../../rpc/thrift/thrift.ts'
import { framesIn, grpcFrame, refuse, WebApplication, webCall } from '../../support/http2/web-calls.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import { binaryMessage, thriftFrame } from '../../support/rpc/thrift-frames.ts'
import { eventually, holds } from '../../support/worker/eventually.ts'
import { endpointOf } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

/** Longer than a busy machine keeps a quick answer, which would be hedged in vain. */
const afterMs = 300
const route: Partial<HttpRouteSpec> = { hedge: { afterMs, maxExtra: 1, all: true } }

describe('hedging by a rule for all requests', () => {
  const slow = new WebApplication()
  const other = new WebApplication()
  let worker: StartedWorker

  before(async () => {
    const ports = [await slow.start(), await other.start()]
    const retry = { attempts: 1, perTryTimeoutMs: 0, on: ['unavailable'], statuses: [], backoffMs: 1 } as const
    worker = await startWorker({
      services: [
        {
          name: 'calls',
          protocol: 'grpc',
          endpoints: ports.map((port) => endpointOf('127.0.0.1', port)),
          policy: { loadBalancer: { kind: 'round-robin' } },
          route: { ...route, retry },
        },
      ],
    })
  })

  beforeEach(() => {
    for (const application of [slow, other]) application.reset()
  })

  after(() => {
    worker.stop()
    slow.close()
    other.close()
  })

  const call = async (): Promise<string[]> => {
    const { content } = await webCall(worker.port('calls'), 'application/grpc-web', [grpcFrame('x')])
    return framesIn(content)
  }
  const metric = (name: string): number => worker.metric(`hostmesh_hedges_${name}total`)

  it('a unary call of gRPC goes to a second endpoint, and the slow one is told that nobody waits', async () => {
    slow.answer = () => {}
    const before = [metric(''), metric('won_')]
    // whichever comes first, two calls meet both
    expect([(await call())[0], (await call())[0]]).to.deep.equal(['0 x', '0 x'])
    await eventually(() => slow.heads.length > 0 && slow.cancelled === slow.heads.length)
    const count = slow.heads.length
    expect([metric('') - before[0]!, metric('won_') - before[1]!]).to.deep.equal([count, count])
    expect(worker.metric('hostmesh_cluster_active_retries')).to.equal(0)
  })

  it('an answer that a rule would repeat leaves the field to the attempt that still runs', async () => {
    let late = (): void => {}
    const { answer } = slow
    slow.answer = (stream, content) => (late = () => answer(stream, content))
    other.answer = refuse('14')
    const asked = (): number => slow.heads.length + other.heads.length
    const first = call()
    await eventually(() => slow.contents.length === 1 && other.contents.length === 1)
    await holds(() => asked() === 2, 60)
    late()
    expect((await first)[0]).to.equal('0 x')
  })

  it('a request whose content is still coming goes to one endpoint only', async () => {
    slow.answer = () => {}
    other.answer = () => {}
    const before = metric('')
    const client = http2.connect(`http://127.0.0.1:${worker.port('calls')}`)
    const stream = client.request({
      ':method': 'POST',
      ':path': '/test.Test/Talk',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', () => {})
    stream.write(grpcFrame('x'))
    await eventually(() => slow.heads.length + other.heads.length === 1)
    await holds(() => slow.heads.length + other.heads.length === 1, afterMs + 100)
    expect(metric('')).to.equal(before)
    client.destroy()
  })

  it('a request in private RPC goes to a second endpoint', async () => {
    const codec = new ThriftCodec()
    const reply = thriftFrame(binaryMessage(2, 'place', 0, Buffer.from([0])))
    const never = new Promise<Buffer>(() => {})
    const [silent, quick] = [await startApplication(codec, () => never), await startApplication(codec, () => reply)]
    const started = await startWorker({
      services: [
        {
          name: 'Orders',
          protocol: codec.name as RpcProtocol,
          endpoints: [silent, quick].map(({ port }) => endpointOf('127.0.0.1', port)),
          policy: { loadBalancer: { kind: 'round-robin' } },
          route,
        },
      ],
    })
    const caller = await RpcCaller.connect(codec, started.port('Orders'))
    const request = (): Buffer => thriftFrame(binaryMessage(1, 'Orders:place', 1, Buffer.from([0])))
    for (let n = 0; n < 2; n++) expect((await caller.call(request())).frame.status).to.equal(200)
    expect(silent.requests.length).to.be.least(1)
    expect(started.metric('hostmesh_hedges_won_total')).to.equal(silent.requests.length)
    caller.close()
    started.stop()
    await Promise.all([silent.close(), quick.close()])
  })
})
