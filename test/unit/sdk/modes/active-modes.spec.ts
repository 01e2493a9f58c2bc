import { expect } from 'chai'
import { ActiveModes } from '../../../../sdk/modes/active-modes.ts'
import type { ActiveMode } from '../../../../sdk/status.ts'
import type { Mode } from '../../../../sdk/options.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import type { ManualClock } from '../../../support/manual-clock.ts'

describe('the mode in force for a service', () => {
  let clock: ManualClock
  let mode: Mode
  let automatic: ActiveMode
  let hasRegistry: boolean
  let problem: string | undefined
  let told: string[]

  beforeEach(() => {
    clock = manualClock()
    mode = 'mesh'
    automatic = 'mesh'
    hasRegistry = true
    problem = undefined
    told = []
  })

  const open = (): ActiveModes =>
    new ActiveModes({
      clock,
      wanted: () => mode,
      automatic: () => automatic,
      hasRegistry,
      prepare: () => problem,
      onLeft: (name, mode) => void told.push(`left ${name} ${mode}`),
      onChange: (name, mode) => void told.push(`${name} ${mode}`),
    })

  it('the first call takes the wanted mode at once', () => {
    mode = 'direct'
    problem = 'nobody has answered'
    expect(open().of('orders')).to.equal('direct')
  })

  it('a change waits until the other mode can serve, says why, and happens by itself then', () => {
    const modes = open()
    modes.of('orders')
    mode = 'direct'
    problem = 'the registry knows no endpoint'
    modes.review()
    expect(modes.of('orders')).to.equal('mesh')
    expect(modes.each()).to.deep.equal([{ name: 'orders', activeMode: 'mesh', problem }])
    problem = undefined
    clock.advance(200)
    expect(modes.of('orders')).to.equal('direct')
    expect(told).to.deep.equal(['orders direct', 'left orders mesh'])
    expect(modes.changes).to.equal(1)
  })

  it('a change that is taken back while it waits lets go what was prepared', () => {
    const modes = open()
    modes.of('orders')
    mode = 'direct'
    problem = 'not yet'
    modes.review()
    mode = 'mesh'
    modes.review()
    expect(told).to.deep.equal(['left orders direct'])
    expect(modes.each()[0]).to.include({ activeMode: 'mesh', problem: undefined })
  })

  it('auto follows the agent, and every mode is the mesh without a registry', () => {
    mode = 'auto'
    automatic = 'direct'
    expect(open().of('orders')).to.equal('direct')
    hasRegistry = false
    expect(open().of('orders')).to.equal('mesh')
  })
})
