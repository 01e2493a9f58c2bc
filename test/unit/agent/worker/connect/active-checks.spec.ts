import { expect } from 'chai'

import type { ActiveCheckSpec } from '../../../../../contracts/policy-spec.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

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
    await eventually(() => !isUsable(1))
    expect(isUsable(0)).to.equal(true)
  })

  it('by TCP only connect', async () => {
    const isUsable = await start({ ...check, kind: 'tcp' }, [good.port, 1])
    await eventually(() => !isUsable(1))
    await eventually(() => good.connections.length > 0)
    expect(isUsable(0)).to.equal(true)
    expect(good.requests).to.have.length(0)
  })
})
