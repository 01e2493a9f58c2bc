import * as grpc from '@grpc/grpc-js'
import { expect } from 'chai'

import type { ActiveCheckSpec } from '../../../../../contracts/policy-spec.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const same = (bytes: Buffer): Buffer => bytes
const bytesOnly = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
}

const check: ActiveCheckSpec = {
  kind: 'http',
  path: '/health',
  intervalMs: 30,
  timeoutMs: 200,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
}

describe('active checks', () => {
  let good: RecordingBackend
  let bad: RecordingBackend
  let started: StartedWorker | undefined

  beforeEach(async () => {
    good = await RecordingBackend.start()
    bad = await RecordingBackend.start()
  })

  afterEach(async () => {
    started?.stop()
    await good.close()
    await bad.close()
  })

  async function start(activeCheck: ActiveCheckSpec, ports: readonly number[]): Promise<(index: number) => boolean> {
    const endpoints = ports.map((port) => ({ address: '127.0.0.1', port }))
    started = await startWorker({ services: [{ name: 'orders', endpoints, policy: { activeCheck, panicShare: 0 } }] })
    const { cluster } = started.worker.state.upstream(`${keyOf('orders')}||`)!
    return (index) =>
      cluster.candidates(performance.now()).find((one) => one.endpoint === `127.0.0.1:${ports[index]!}`)!.usable
  }

  it('take an endpoint out whose answer is bad, and let it in again when it is good', async () => {
    let status = '500 Oops'
    bad.answer = () => `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`
    const isUsable = await start(check, [good.port, bad.port])
    await eventually(() => !isUsable(1))
    expect(isUsable(0)).to.equal(true)
    expect(bad.requests[0]!.target).to.equal('/health')
    status = '200 OK'
    await eventually(() => isUsable(1))
  })

  it('take an endpoint out that does not answer in time', async () => {
    bad.answer = () => undefined
    const isUsable = await start({ ...check, timeoutMs: 20 }, [good.port, bad.port])
    // on a busy machine the good one may be late as well, and comes back
    await eventually(() => !isUsable(1) && isUsable(0))
  })

  it('by gRPC ask its health service, by the name of a service', async () => {
    const status = new Map([
      ['', 1],
      ['shop.Orders', 2],
    ])
    const asked: string[] = []
    const application = new grpc.Server()
    application.addService(
      { check: { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...bytesOnly } },
      {
        check(call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) {
          const name = call.request.subarray(2).toString()
          asked.push(name)
          reply(null, Buffer.from([0x08, status.get(name)!]))
        },
      },
    )
    const port = await new Promise<number>((resolve, reject) => {
      application.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    const named = { ...check, kind: 'grpc' as const, path: '', service: 'shop.Orders' }
    const isUsable = await start(named, [port, good.port])
    await eventually(() => !isUsable(0) && !isUsable(1))
    status.set('shop.Orders', 1)
    await eventually(() => isUsable(0))
    expect([isUsable(1), new Set(asked)]).to.deep.equal([false, new Set(['shop.Orders'])])
    started?.stop()
    const ofAll = await start({ ...named, service: '' }, [port, 1])
    await eventually(() => !ofAll(1))
    await eventually(() => asked.includes('') && ofAll(0))
    application.forceShutdown()
  })

  it('by TCP only connect', async () => {
    const isUsable = await start({ ...check, kind: 'tcp' }, [good.port, 1])
    await eventually(() => !isUsable(1))
    await eventually(() => good.connections.length > 0)
    expect(isUsable(0)).to.equal(true)
    expect(good.requests).to.have.length(0)
  })
})
