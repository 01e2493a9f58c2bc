import { expect } from 'chai'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('what a rule answers itself', () => {
  let started: StartedWorker
  let caller: RawCaller

  afterEach(() => {
    caller.close()
    started.stop()
  })

  for (const [status, refusals] of [
    [403, 1],
    [299, 0],
  ] as const) {
    it(`with ${status} is ${refusals === 0 ? 'no' : 'a'} refusal of its caller`, async () => {
      const route = { action: { kind: 'direct', status, body: '', contentType: '' } } as const
      started = await startWorker({ services: [{ name: 'orders', endpoints: [], route }] })
      caller = await RawCaller.open(started.port('orders'))
      caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
      await caller.expect(`HTTP/1.1 ${status}`)
      expect(started.metric('hostmesh_caller_refusals_total')).to.equal(refusals)
    })
  }
})
