import { expect } from 'chai'
import { AskedRules } from '../../../../../agent/control/reports/asked-rules.ts'
import { reportBounds } from '../../../../../contracts/host-report.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('rules about which centers ask', () => {
  it('are those of all centers, as long as one of them asks', () => {
    const clock = manualClock()
    const asked = new AskedRules(clock)
    asked.hear({ rules: ['VirtualService shop/a'] })
    clock.advance(50_000)
    asked.hear({ rules: ['VirtualService shop/b'] })
    asked.hear({})
    expect(asked.names()).to.deep.equal(['VirtualService shop/a', 'VirtualService shop/b'])
    clock.advance(20_000)
    expect(asked.names()).to.deep.equal(['VirtualService shop/b'])
  })

  it('are as many as fit into a report, and nothing that is no name', () => {
    const asked = new AskedRules(manualClock())
    for (const answer of [undefined, 7, { rules: 'x' }, { rules: [7, null, '', 'x'.repeat(601)] }]) asked.hear(answer)
    expect(asked.names()).to.deep.equal([])
    asked.hear({ rules: Array.from({ length: 100 }, (_, index) => `a${index}`) })
    asked.hear({ rules: ['late'] })
    expect(asked.names()).to.have.length(reportBounds.askedRules).and.not.to.include('late')
  })
})
