import { expect } from 'chai'
import { drillMarkdown } from '../../../../cli/drill/report.ts'
import { reportOf } from '../../../support/drill-report.ts'

const report = reportOf({
  verdict: 'broken',
  problems: ['3 probe calls lost, allowed 2'],
  recoveryMs: undefined,
  probe: {
    calls: 100,
    errors: 3,
    perSecond: 50,
    p50Ms: 1,
    p99Ms: 9,
    tiers: { agent: 90, center: 7 },
    versions: {},
    reasons: { ECONNRESET: 3 },
  },
})

describe('the report of a drill', () => {
  it('says verdict, losses with their reasons, tiers and recovery', () => {
    const text = drillMarkdown(report)
    expect(text).to.include('Drill kill-agent on alpha: broken')
    expect(text).to.include('| lost | 3 (allowed 2) |')
    expect(text).to.include('ECONNRESET 3')
    expect(text).to.include('agent 90, center 7')
    expect(text).to.include('| recovery | not in time |')
    expect(text).to.include('- 3 probe calls lost, allowed 2')
  })
})
