import { expect } from 'chai'
import type { StatSeries } from '../../../../../contracts/control-link.ts'
import { StatsMerger, mergeSeries, prometheusText } from '../../../../../agent/control/admin/stats.ts'

const latency: StatSeries = {
  name: 'istio_request_duration_milliseconds',
  kind: 'histogram',
  help: 'time',
  labelNames: ['app'],
  buckets: [1, 5],
  samples: [{ labels: ['a"b\\c\nd'], value: 12, counts: [3, 2, 1] }],
}
const gauge = (value: number): StatSeries => ({
  name: 'active',
  kind: 'gauge',
  help: 'now',
  labelNames: [],
  samples: [{ labels: [], value }],
})

describe('merged statistics', () => {
  it('write histograms with cumulative buckets, sum and count, and escape labels', async () => {
    const text = await prometheusText([latency])
    expect(text).to.contain('# TYPE istio_request_duration_milliseconds histogram')
    const label = 'app="a\\"b\\\\c\\nd"'
    const lines = text.split('\n').filter((line) => !line.startsWith('#') && line !== '')
    expect(lines.map((line) => line.replace(label, 'APP'))).to.have.members([
      'istio_request_duration_milliseconds_bucket{APP,le="1"} 3'.replace(
        'APP,le="1"',
        lines[0]!.includes('{le=') ? 'le="1",APP' : 'APP,le="1"',
      ),
      'istio_request_duration_milliseconds_bucket{APP,le="5"} 5'.replace(
        'APP,le="5"',
        lines[0]!.includes('{le=') ? 'le="5",APP' : 'APP,le="5"',
      ),
      'istio_request_duration_milliseconds_bucket{APP,le="+Inf"} 6'.replace(
        'APP,le="+Inf"',
        lines[0]!.includes('{le=') ? 'le="+Inf",APP' : 'APP,le="+Inf"',
      ),
      'istio_request_duration_milliseconds_sum{APP} 12',
      'istio_request_duration_milliseconds_count{APP} 6',
    ])
  })

  it('add up samples and histograms with the same labels', () => {
    const [merged] = mergeSeries([[latency], [latency]])
    expect(merged!.samples).to.deep.equal([{ labels: ['a"b\\c\nd'], value: 24, counts: [6, 4, 2] }])
  })

  it('take what control says about the host as it is, and of a highest value the highest', () => {
    const merger = new StatsMerger()
    merger.update(1, { series: [gauge(3), { ...gauge(3), name: 'lag_max_milliseconds' }] })
    merger.update(2, { series: [gauge(4), { ...gauge(9), name: 'lag_max_milliseconds' }] })
    const merged = merger.merged([gauge(1)])
    expect(merged.map((one) => [one.name, one.samples[0]!.value])).to.deep.equal([
      ['active', 1],
      ['lag_max_milliseconds', 9],
    ])
  })

  it('take the highest of a gauge that says so, and of those that workers of a release before have as such', () => {
    const merged = (one: StatSeries, other: StatSeries): number => mergeSeries([[one], [other]])[0]!.samples[0]!.value
    expect(merged({ ...gauge(6), combine: 'max' }, { ...gauge(5), combine: 'max' })).to.equal(6)
    const name = 'hostmesh_oldest_request_seconds'
    expect(merged({ ...gauge(5), name }, { ...gauge(6), name })).to.equal(6)
    expect(merged(gauge(6), gauge(5))).to.equal(11)
  })

  it('drop the gauges of a dead worker and keep its counters and histograms', () => {
    const merger = new StatsMerger()
    merger.update(1, { series: [latency, gauge(3)] })
    merger.update(2, { series: [gauge(4)] })
    merger.retain(new Set([2]))
    const merged = merger.merged([])
    expect(merged.find((one) => one.name === 'active')!.samples[0]!.value).to.equal(4)
    expect(merged.find((one) => one.kind === 'histogram')!.samples[0]!.value).to.equal(12)
    const successor = new StatsMerger()
    successor.adopt(JSON.parse(JSON.stringify(merger.exportRetired())))
    expect(successor.merged([])).to.deep.equal([latency])
  })

  const requests = (value: number): StatSeries => ({ ...gauge(value), name: 'requests', kind: 'counter' })
  const sum = (merger: StatsMerger): number => merger.merged([])[0]!.samples[0]!.value

  it('count a worker once whose link broke and that dials again, here and in what the next control starts with', () => {
    const merger = new StatsMerger()
    merger.update(1, { startedAt: 5, series: [requests(1000)] })
    merger.update(2, { startedAt: 5, series: [requests(1000)] })
    expect(merger.retain(new Set([2])), 'to be written').to.equal(true)
    expect([sum(merger), merger.exportRetired()]).to.deep.equal([2000, [requests(1000)]])
    expect(merger.retain(new Set([1, 2])), 'to be written').to.equal(true)
    expect([sum(merger), merger.exportRetired()]).to.deep.equal([2000, []])
    merger.update(1, { startedAt: 5, series: [requests(1001)] })
    expect(merger.retain(new Set([1, 2]))).to.equal(false)
    expect(sum(merger)).to.equal(2001)
  })

  it('keep the counters of a dead worker whose pid another one has', () => {
    const merger = new StatsMerger()
    merger.update(1, { startedAt: 5, series: [requests(1000)] })
    merger.retain(new Set())
    merger.retain(new Set([1]))
    merger.update(1, { startedAt: 6, series: [requests(3)] })
    expect([sum(merger), merger.exportRetired()]).to.deep.equal([1003, [requests(1000)]])
  })

  it('keep the sum of any number of dead workers, and of none the gauges', () => {
    const merger = new StatsMerger()
    for (let pid = 1; pid <= 500; pid++) {
      merger.update(pid, { startedAt: pid, series: [requests(2), { ...gauge(1), name: 'z' }] })
      merger.retain(new Set())
    }
    expect(merger.merged([])).to.deep.equal([requests(1000)])
    expect(merger.exportRetired()).to.deep.equal([requests(1000)])
  })

  it('take nothing that is not what the contract says', () => {
    const merger = new StatsMerger()
    merger.adopt('nonsense')
    merger.update(1, { series: [{ name: 'bad name', kind: 'counter', samples: [] }, null, { name: 'x', kind: 'y' }] })
    merger.update(2, undefined)
    expect(merger.merged([])).to.deep.equal([])
  })
})
