import { expect } from 'chai'
import { notInForce, registryState } from '../../../../cli/commands/status.ts'

describe('hostmesh status', () => {
  it('says by which command a changed setting comes into force', () => {
    expect(notInForce(['workers', 'runDir', 'registries'])).to.deep.equal([
      'changed and not in force before `hostmesh upgrade`: workers, registries',
      'changed and not in force before a restart of the watchdog: runDir',
    ])
    expect(notInForce([])).to.deep.equal([])
  })

  it('says what a registry that is lost answered last, and how old what it said is', () => {
    const now = 1_000_000
    const problem = { code: 'E_REGISTRY_UNREACHABLE', message: '10.0.0.2:8500: refused' }
    expect(registryState({ connected: true, server: '10.0.0.2:8500', lastHeardAt: now - 5000 }, now)).to.deep.equal({
      text: 'connected to 10.0.0.2:8500',
      isGood: true,
    })
    expect(registryState({ connected: false, problem, lastHeardAt: now - 90_000 }, now)).to.deep.equal({
      text: 'E_REGISTRY_UNREACHABLE  10.0.0.2:8500: refused; last heard 90 s ago',
      isGood: false,
    })
    expect(registryState({ connected: false, lastHeardAt: 0 }, now).text).to.equal('not connected; never heard')
  })
})
