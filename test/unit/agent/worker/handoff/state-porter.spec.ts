import { expect } from 'chai'

import type { StatePorter } from '../../../../../agent/worker/handoff/state-porter.ts'
import type { RateLimitSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'

describe('the counters of a worker that is replaced', () => {
  it('go to the successor once, also what is counted after the first export', async () => {
    const backend = await RecordingBackend.start()
    const limit: RateLimitSpec = {
      name: 'ten',
      maxTokens: 10,
      tokensPerFill: 1,
      fillIntervalMs: 86_400_000,
      per: 'route',
      status: 429,
      origin: { kind: 'MeshPolicy', name: 'public/orders', path: 'spec.rateLimits[0]' },
    }
    const endpoints = [{ address: '127.0.0.1', port: backend.port }]
    const services = [{ name: 'orders', endpoints, route: { filters: [{ kind: 'rate-limit' as const, ...limit }] } }]
    const old = await startWorker({ services })
    const next = await startWorker({ services })
    const caller = await RawCaller.open(old.port('orders'))
    const get = async (path: string): Promise<void> => {
      caller.send(`GET ${path} HTTP/1.1\r\nHost: orders\r\n\r\n`)
      await caller.expect(new RegExp(`(ok[^]*){${path.length - 1}}$`))
    }
    const move = (export_: (porter: StatePorter) => Record<string, unknown>): void => {
      for (const [part, body] of Object.entries(export_(old.worker.porter)))
        next.worker.porter.importState(part, JSON.parse(JSON.stringify(body)))
    }
    await get('/1')
    move((porter) => porter.exportState())
    expect(next.metric('istio_requests_total', '200')).to.equal(1)
    expect(next.metric('hostmesh_filter_total', 'rate-limit', 'continue')).to.equal(1)
    await get('/12')
    await get('/123')
    move((porter) => porter.exportCounters())
    expect(next.metric('istio_requests_total', '200')).to.equal(3)
    expect(next.metric('hostmesh_filter_total', 'rate-limit', 'continue')).to.equal(3)
    expect(next.metric('hostmesh_connections_accepted_total')).to.equal(1)
    move((porter) => porter.exportCounters())
    expect(next.metric('istio_requests_total', '200')).to.equal(3)
    const [tokens] = Object.values(next.worker.porter.exportState()['rateLimits'] as Record<string, { '': number }>)
    expect(tokens![''], 'one token of ten was used up at the export').to.be.closeTo(9, 0.01)
    caller.close()
    old.stop()
    next.stop()
    await backend.close()
  })
})
