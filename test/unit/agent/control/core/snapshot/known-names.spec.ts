import { expect } from 'chai'
import { askEveryMs, KnownNames } from '../../../../../../agent/control/core/snapshot/known-names.ts'
import type { ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { key } from '../../../../../support/routing.ts'
import { recordingLog } from '../../support/fake-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

function setUp(list: () => Promise<ServiceKey[]>) {
  const clock = manualClock()
  const log = recordingLog()
  let asked = 0
  let listed: () => void = () => {}
  const names = new KnownNames({
    adapters: [
      {
        name: 'main',
        listServices: () => {
          asked++
          return list()
        },
      },
    ],
    clock,
    log,
    onListed: () => listed(),
  })
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      listed = resolve
      names.ask()
    })
  return { clock, log, names, ask, asked: () => asked }
}

describe('names as registries spell them', () => {
  it('are found for a name in another case', async () => {
    const { names, ask } = setUp(() => Promise.resolve([key('OrderService'), key('ledger')]))
    expect(names.spelled(key('orderservice'))).to.equal(key('orderservice'))
    await ask()
    expect(names.spelled(key('orderservice'))).to.equal(key('OrderService'))
    expect(names.spelled(key('ORDERSERVICE'))).to.equal(key('OrderService'))
    expect(names.spelled(key('other'))).to.equal(key('other'))
  })

  it('that differ by case only are told once; each is reached by its own spelling, others lead to the first', () => {
    const { names, log } = setUp(() => Promise.resolve([]))
    names.learn([key('orders')])
    names.learn([key('Orders'), key('orders'), key('Orders')])
    expect(names.clashes()).to.deep.equal([[key('Orders'), key('orders')]])
    expect(log.lines).to.have.length(1)
    expect(names.spelled(key('orders'))).to.equal(key('orders'))
    expect(names.spelled(key('ORDERS'))).to.equal(key('Orders'))
  })

  it('are asked for at most every ten seconds, whatever the answer', async () => {
    const { names, ask, asked, clock } = setUp(() => Promise.reject(new Error('away')))
    await ask()
    expect(names.isAsking).to.equal(false)
    names.ask()
    expect(asked()).to.equal(1)
    clock.advance(askEveryMs)
    await ask()
    expect(asked()).to.equal(2)
  })
})
