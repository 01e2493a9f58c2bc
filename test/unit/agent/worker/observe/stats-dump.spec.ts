import { expect } from 'chai'
import { mergeSeries } from '../../../../../agent/control/admin/stats.ts'
import { metricTexts } from '../../../../../agent/control/metric-texts.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'

describe('the gauges of a worker', () => {
  it('have names of their own: one that control sets itself would hide them', async () => {
    const started = await startWorker({ services: [{ name: 'orders', endpoints: [] }] })
    try {
      const gauges = started.worker.stats().series.filter(({ kind }) => kind === 'gauge')
      const names = gauges.map(({ name }) => name)
      expect(names).to.include('hostmesh_downstream_connections')
      expect(names.filter((name) => name in metricTexts)).to.deep.equal([])
    } finally {
      started.stop()
    }
  })

  it('of which a sum over workers says nothing are merged to the highest', async () => {
    const started = await startWorker({ services: [{ name: 'orders', endpoints: [] }] })
    try {
      const gauges = started.worker.stats().series.filter(({ kind }) => kind === 'gauge')
      const isNoSum = /_max_|_seconds$|_share$|_endpoints$|_panic$|_state$/
      const highest = gauges.filter(({ combine }) => combine === 'max')
      expect(highest.map(({ name }) => name)).to.deep.equal(
        gauges.map(({ name }) => name).filter((name) => isNoSum.test(name)),
      )
      const dumps = [60, 50].map((value) => highest.map((one) => ({ ...one, samples: [{ labels: [], value }] })))
      for (const { name, samples } of mergeSeries(dumps)) expect(samples[0]!.value, name).to.equal(60)
      expect(highest.map(({ name }) => name)).to.include.members([
        'hostmesh_oldest_request_seconds',
        'hostmesh_overload_shed_share',
        'hostmesh_event_loop_lag_max_milliseconds',
      ])
    } finally {
      started.stop()
    }
  })
})
