import { expect } from 'chai'
import { judge } from '../../../../global-mesh-center/rollouts/judge.ts'
import { HostSignals, p99, type Signals } from '../../../../global-mesh-center/rollouts/signals.ts'

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
  it('begin with the roll-out, and go on where the host begins anew', () => {
    const host = new HostSignals({ requests: 100, failures: 10, counts: [90, 10] })
    host.take({ requests: 150, failures: 11, counts: [130, 20] })
    expect(host.figures()).to.deep.equal({ requests: 50, failures: 1, counts: [40, 10] })
    host.take({ requests: 7, failures: 2, counts: [7] })
    expect(host.figures()).to.deep.equal({ requests: 57, failures: 3, counts: [47, 10] })
    host.take({ requests: 8, failures: 2, counts: [8] })
    expect(host.figures()).to.include({ requests: 58, failures: 3 })
  })

  it('have a p99 beyond all buckets, and none without requests', () => {
    expect(p99({ counts: [0, 0, 0, 0, 5], bucketsMs })).to.equal(Number.POSITIVE_INFINITY)
    expect(p99({ counts: [], bucketsMs })).to.equal(0)
    expect(p99({ counts: [99, 1], bucketsMs })).to.equal(10)
  })
})
