import { expect } from 'chai'
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
})
