import { expect } from 'chai'
import { Timeline } from '../../../../../agent/control/events/timeline.ts'
import { WorkerTroubles } from '../../../../../agent/control/events/worker-troubles.ts'
import { manualClock } from '../../../../support/manual-clock.ts'
import { recordingMetrics } from '../support/fake-registry.ts'

const out = { kind: 'ejection', about: 'orders 10.0.0.1:80', what: 'ejected', reason: '5xx in a row' }
const open = { kind: 'breaker', about: 'orders', what: 'open', reason: '' }

describe('troubles of workers', () => {
  const setUp = () => {
    const clock = manualClock()
    const timeline = new Timeline({ clock, metrics: recordingMetrics(), onChanged: () => undefined })
    timeline.takeOver(undefined)
    const troubles = new WorkerTroubles({ timeline, clock })
    const words = (): string[] => timeline.query().events.map(({ about, kind, what }) => `${kind} ${about} ${what}`)
    return { clock, troubles, words }
  }

  it('are one event for all workers, and over when none has had them for 2 s', () => {
    const { clock, troubles, words } = setUp()
    troubles.hear(1, [out, open])
    troubles.hear(2, [out])
    expect(words()).to.deep.equal(['ejection orders 10.0.0.1:80 ejected', 'breaker orders open'])
    troubles.hear(1, [])
    clock.advance(2000)
    expect(words().slice(2)).to.deep.equal(['breaker orders closed'])
    troubles.hear(2, [])
    clock.advance(1999)
    expect(words()).to.have.length(3)
    clock.advance(1)
    expect(words()[3]).to.equal('ejection orders 10.0.0.1:80 back')
  })

  it('are no news when a successor takes them over from a worker that ends', () => {
    const { clock, troubles, words } = setUp()
    troubles.hear(1, [out])
    troubles.hear(2, [])
    clock.advance(1000)
    troubles.hear(2, [out])
    troubles.retain(new Set([2]))
    clock.advance(5000)
    expect(words()).to.have.length(1)
  })

  it('end with the workers that had them', () => {
    const { clock, troubles, words } = setUp()
    troubles.hear(1, [out])
    troubles.hear(2, [])
    troubles.retain(new Set([2]))
    clock.advance(2000)
    expect(words()[1]).to.equal('ejection orders 10.0.0.1:80 back')
  })

  it('of nonsense are left out', () => {
    const { troubles, words } = setUp()
    for (const said of [undefined, 7, [null, {}, { ...out, kind: 'drill' }, { ...out, about: 3 }]])
      troubles.hear(1, said)
    expect(words()).to.deep.equal([])
  })
})
