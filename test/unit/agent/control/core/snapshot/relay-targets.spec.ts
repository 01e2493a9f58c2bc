import { expect } from 'chai'
import { centerOrder } from '../../../../../../agent/control/core/snapshot/relay-targets.ts'

describe('the order of centers', () => {
  const centers = Array.from({ length: 4 }, (_, index) => ({ host: `10.0.0.${index}`, port: 15_443 }))

  it('is the same on every start of a host, whatever order the operator wrote', () => {
    expect(centerOrder('host-1', centers)).to.deep.equal(centerOrder('host-1', centers.toReversed()))
  })

  it('spreads the first choice of many hosts over all centers', () => {
    const first = new Map<string, number>()
    for (let host = 0; host < 1000; host++) {
      const choice = centerOrder(`host-${host}`, centers)[0]!
      first.set(choice, (first.get(choice) ?? 0) + 1)
    }
    expect(first.size).to.equal(4)
    for (const count of first.values()) expect(count).to.be.within(180, 320)
  })
})
