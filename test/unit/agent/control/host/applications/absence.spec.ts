import { expect } from 'chai'

import { Absence } from '../../../../../../agent/control/host/applications/absence.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

describe('an application that refuses connections', () => {
  it('is looked for soon, then less and less often, until it listens again', async () => {
    const clock = manualClock()
    const asked: number[] = []
    let isBack = false
    let returned = 0
    const absence = new Absence(
      { address: '127.0.0.1', port: 8080 },
      {
        clock,
        probe: (spec, target) => {
          expect([spec.kind, target.port]).to.deep.equal(['tcp', 8080])
          asked.push(clock.monotonic())
          return isBack ? Promise.resolve() : Promise.reject(new Error('ECONNREFUSED'))
        },
        onReturn: () => returned++,
      },
    )
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 100) {
        clock.advance(100)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await pass(8000)
    expect(asked).to.deep.equal([100, 300, 700, 1500, 3100, 5100, 7100])
    isBack = true
    await pass(2000)
    expect(returned).to.equal(1)
    await pass(5000)
    expect(asked).to.have.length(8)
    absence.stop()
  })

  it('is not looked for any more once it is stopped', async () => {
    const clock = manualClock()
    let asked = 0
    const absence = new Absence(
      { address: '127.0.0.1', port: 8080 },
      { clock, probe: async () => void asked++, onReturn: () => expect.fail() },
    )
    absence.stop()
    clock.advance(10_000)
    expect(asked).to.equal(0)
  })
})
