import { systemClock } from '../../../../../contracts/clock.ts'
import { expect } from 'chai'
import { Trouble } from '../../../../../registry-adapters/nacos/server-list/trouble.ts'
import { eventually, recordedDeps } from '../../../../support/registry-listener.ts'

describe('trouble among Nacos servers', () => {
  it('lasts for the time to settle after the last sign, is logged once and counts each sign', async () => {
    const deps = recordedDeps()
    const trouble = new Trouble({
      registry: 'main',
      settleMs: 200,
      clock: systemClock,
      log: deps.log,
      metrics: deps.metrics,
    })
    expect(trouble.isPresent).to.equal(false)
    trouble.sign('member-lost', '10.0.0.1:8848')
    trouble.sign('member-back', '10.0.0.1:8848')
    expect(trouble.isPresent).to.equal(true)
    await eventually(() => !trouble.isPresent, 'the end of it')
    trouble.sign('lost', undefined)
    expect(trouble.isPresent).to.equal(true)
    expect(deps.counted('registry_trouble_signs')).to.equal(3)
    expect(deps.lines).to.have.length(2)
    expect(deps.lines[0]).to.include('a Nacos server cannot be reached').and.include('stays in use')
  })
})
