import { expect } from 'chai'
import { reportBounds, type HostReport, type ReportedTraffic } from '../../../../contracts/host-report.ts'
import { judge } from '../../../../global-mesh-center/rollouts/judge.ts'
import { HostSignals, p99, type Signals } from '../../../../global-mesh-center/rollouts/signals.ts'
import { hostReport } from '../../../support/center/host-report.ts'

const limits = { failures: 0.02, latency: 3, minRequests: 100 }
const bucketsMs = [10, 50, 100, 500]

function signals(requests: number, failures: number): Signals {
  return { hosts: 1, requests, failures, counts: [requests, 0, 0, 0], bucketsMs }
}

describe('the judgement of a roll-out', () => {
  const verdict = (share: Signals, rest: Signals): string => judge(share, rest, limits).verdict

  it('waits for enough requests, whatever they say', () => {
    expect(verdict(signals(99, 99), signals(1000, 0))).to.equal('few')
  })

  it('is bad for five in a hundred where elsewhere nothing fails, and says the figures', () => {
    const found = judge(signals(400, 20), signals(4000, 4), limits)
    expect(found.verdict).to.equal('bad')
    expect(found.reason).to.equal(
      '5.0 % of 400 requests of 1 hosts failed, 0.1 % of 4000 elsewhere; 2.0 % more are allowed',
    )
  })

  it('is good where as many fail elsewhere, and where chance could do it', () => {
    expect(verdict(signals(1000, 50), signals(1000, 50))).to.equal('good')
    expect(verdict(signals(100, 5), signals(100, 2)), 'of a hundred').to.equal('good')
    expect(verdict(signals(100, 4), signals(400, 0)), 'four failures').to.equal('good')
    expect(verdict(signals(100, 5), signals(400, 0)), 'five').to.equal('bad')
    expect(verdict(signals(10_000, 250), signals(10_000, 100)), '1.5 % more').to.equal('good')
  })

  it('compares with a service without failures where there is nothing to compare with', () => {
    expect(verdict(signals(200, 20), signals(0, 0))).to.equal('bad')
    expect(verdict(signals(200, 5), signals(0, 0))).to.equal('good')
    expect(verdict(signals(200, 200), signals(200, 200)), 'all of both').to.equal('good')
  })
})

describe('golden signals of a host', () => {
  type Row = Pick<ReportedTraffic, 'requests' | 'failures' | 'counts'> & { readonly source?: string }
  const report = (...rows: readonly Row[]): HostReport =>
    hostReport('h1', '10.0.0.1', {
      traffic: rows.map((row) => ({ reporter: 'source', source: 'web', service: 'public/orders', ...row })),
    })

  it('begin with the roll-out, and go on where the host begins anew', () => {
    const host = new HostSignals(report({ requests: 100, failures: 10, counts: [90, 10] }), undefined)
    host.take(report({ requests: 150, failures: 11, counts: [130, 20] }))
    expect(host.figures()).to.deep.equal({ requests: 50, failures: 1, counts: [40, 10] })
    host.take(report({ requests: 7, failures: 2, counts: [7] }))
    expect(host.figures()).to.deep.equal({ requests: 57, failures: 3, counts: [47, 10] })
    host.take(report({ requests: 8, failures: 2, counts: [8] }))
    expect(host.figures()).to.include({ requests: 58, failures: 3 })
  })

  it('lose and find nothing where one caller leaves the report and comes back', () => {
    const [web, job] = [
      { requests: 1_000_000, failures: 10, counts: [1_000_000] },
      { source: 'job', requests: 5000, failures: 4000, counts: [5000] },
    ]
    const host = new HostSignals(report(web, job), undefined)
    host.take(report({ ...web, requests: 1_000_100 }))
    expect(host.figures(), 'what is left is not new').to.include({ requests: 100, failures: 0 })
    host.take(report({ ...web, requests: 1_000_200 }, { ...job, requests: 5010 }))
    expect(host.figures(), 'nor what comes back').to.include({ requests: 210, failures: 0 })
    host.take(report({ ...web, requests: 1_000_200 }, { ...job, requests: 5010 }, { ...job, source: 'new' }))
    expect(host.figures(), 'a caller that was not there before is').to.include({ requests: 5210, failures: 4000 })
  })

  it('take no caller for new that was among the least busy of a full report', () => {
    const many = Array.from({ length: reportBounds.traffic }, (_, index) => {
      return { source: `a${index}`, requests: 100, failures: 0, counts: [100] }
    })
    const host = new HostSignals(report(...many), undefined)
    host.take(report({ source: 'late', requests: 200, failures: 90, counts: [200] }, ...many.slice(1)))
    expect(host.figures()).to.include({ requests: 0, failures: 0 })
    host.take(report({ source: 'late', requests: 230, failures: 91, counts: [230] }, ...many.slice(1)))
    expect(host.figures()).to.include({ requests: 30, failures: 1 })
  })

  it('have a p99 beyond all buckets, and none without requests', () => {
    expect(p99({ counts: [0, 0, 0, 0, 5], bucketsMs })).to.equal(Number.POSITIVE_INFINITY)
    expect(p99({ counts: [], bucketsMs })).to.equal(0)
    expect(p99({ counts: [99, 1], bucketsMs })).to.equal(10)
  })
})
