import { expect } from 'chai'
import { renderReport } from '../../../bench/report.ts'
import { atLeast, atMost, format, median, percentile } from '../../../bench/scenario.ts'

describe('figures of a benchmark', () => {
  it('have a median of odd and even counts, and none without windows', () => {
    expect(median([5, 1, 3])).to.equal(3)
    expect(median([4, 1, 3, 2])).to.equal(2.5)
    expect(median([])).to.be.NaN
  })

  it('have percentiles by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_value, index) => index + 1)
    expect(percentile(values, 0.5)).to.equal(100)
    expect(percentile(values, 0.99)).to.equal(198)
    expect(percentile(values, 1)).to.equal(200)
    expect(percentile([], 0.5)).to.be.NaN
  })

  it('are printed with as many places as they deserve, and a dash when there is none', () => {
    expect([format(1234.5), format(12.34), format(1.234), format(NaN)]).to.deep.equal(['1235', '12.3', '1.23', '–'])
  })

  it('say of each goal whether it is met, and of a missing figure that it is not known', () => {
    expect(atMost('cost', 0.9, 1, 'x').isMet).to.equal(true)
    expect(atMost('cost', 1.1, 1, 'x').isMet).to.equal(false)
    expect(atLeast('gain', 1.8, 1.7, 'x').isMet).to.equal(true)
    expect(atMost('cost', NaN, 1, 'x').isMet).to.equal(undefined)
  })

  it('print a goal that is not met like one that is, and name what did not run', () => {
    const text = renderReport({
      name: 'x',
      title: 'Title',
      method: ['how'],
      columns: ['proxy', 'µs'],
      rows: [['one', '1.00']],
      goals: [atMost('good', 1, 2, 'x'), atMost('bad', 3, 2, 'x'), atMost('gone', NaN, 2, 'x')],
      remarks: ['Envoy: not on this machine'],
      raw: null,
    })
    expect(text).to.match(/^met {7}good/m)
    expect(text).to.match(/^NOT MET {3}bad: 3.00 x, wanted at most 2.00$/m)
    expect(text).to.match(/^not known gone/m)
    expect(text).to.contain('remark    Envoy: not on this machine')
  })
})
