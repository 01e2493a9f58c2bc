import { expect } from 'chai'
import { watchAddress } from '../../../../../agent/control/host/address-watch.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('the address of a host', () => {
  const setUp = () => {
    const clock = manualClock()
    const changes: string[] = []
    const machine: { address: string | undefined } = { address: '10.0.0.5' }
    const watch = watchAddress({
      clock,
      present: '10.0.0.5',
      look: () => machine.address,
      onChange: (address, before) => void changes.push(`${before} -> ${address}`),
    })
    const pass = (...addresses: (string | undefined)[]): void => {
      for (const address of addresses) {
        machine.address = address
        clock.advance(2500)
      }
    }
    return { changes, pass, watch }
  }

  it('is followed when a new one stays, within five seconds, and said once', () => {
    const { changes, pass } = setUp()
    pass('10.0.0.9', '10.0.0.9', '10.0.0.9', '10.0.0.9')
    expect(changes).to.deep.equal(['10.0.0.5 -> 10.0.0.9'])
    pass('10.0.0.5', '10.0.0.5')
    expect(changes.at(-1)).to.equal('10.0.0.9 -> 10.0.0.5')
  })

  it('is not followed while it comes and goes, or is away', () => {
    const { changes, pass } = setUp()
    pass(undefined, '10.0.0.9', undefined, '10.0.0.9', '10.0.0.5', '10.0.0.9', '10.0.0.8', undefined)
    expect(changes).to.deep.equal([])
  })

  it('is not looked at after the end', () => {
    const { changes, pass, watch } = setUp()
    watch.close()
    pass('10.0.0.9', '10.0.0.9')
    expect(changes).to.deep.equal([])
  })
})
