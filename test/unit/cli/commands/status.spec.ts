import { expect } from 'chai'
import { notInForce } from '../../../../cli/commands/status.ts'

describe('hostmesh status', () => {
  it('says by which command a changed setting comes into force', () => {
    expect(notInForce(['workers', 'runDir', 'registries'])).to.deep.equal([
      'changed and not in force before `hostmesh upgrade`: workers, registries',
      'changed and not in force before a restart of the watchdog: runDir',
    ])
    expect(notInForce([])).to.deep.equal([])
  })
})
