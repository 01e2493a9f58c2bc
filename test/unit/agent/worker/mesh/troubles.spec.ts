import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import { Troubles } from '../../../../../agent/worker/mesh/troubles.ts'
import { maxWorkerTroubles, type WorkerTrouble } from '../../../../../contracts/events.ts'
import { attempt, cluster, endpoints, outlierOf, stateOf } from '../../../../support/balance.ts'

describe('troubles of destinations', () => {
  const setUp = (count: number) => {
    const shaky = cluster({
      endpoints: endpoints(count),
      policy: {
        outlier: outlierOf({ consecutive5xx: 1, maxEjectionShare: 1 }),
        breaker: { windowMs: 1000, minimumRequests: 3, failureShare: 0.5, openMs: 1000 },
      },
    })
    const told: (readonly WorkerTrouble[])[] = []
    const troubles = new Troubles((now) => void told.push(now))
    const look = (now: number): void => {
      shaky.tick(now)
      troubles.look([{ cluster: shaky }])
    }
    const fail = (address: string): void =>
      attempt(shaky, stateOf(shaky, address), Outcome.serverError, { status: 500, now: 1 })
    return { fail, look, told, troubles }
  }

  it('are told as a whole when they differ: an ejection with its reason, an open breaker, and that they are over', () => {
    const { fail, look, told } = setUp(4)
    look(0)
    expect(told).to.deep.equal([])
    fail('10.0.0.0')
    look(1)
    look(2)
    const about = 'public/DEFAULT_GROUP@@orders'
    const ejected = { kind: 'ejection', about: `${about} 10.0.0.0:80`, what: 'ejected', reason: '5xx in a row' }
    expect(told).to.deep.equal([[ejected]])
    fail('10.0.0.1')
    fail('10.0.0.2')
    look(3)
    expect(told[1]!.map(({ kind, what }) => `${kind} ${what}`)).to.deep.equal([
      'breaker open',
      'ejection ejected',
      'ejection ejected',
      'ejection ejected',
    ])
    look(1500)
    expect(told[2]![0]).to.include({ kind: 'breaker', what: 'half-open' })
    look(60_000)
    expect(told[3]!.map(({ kind }) => kind)).to.deep.equal(['breaker'])
  })

  it('are told again to whoever comes next, also that there are none', () => {
    const { look, told, troubles } = setUp(2)
    troubles.forget()
    look(0)
    expect(told).to.deep.equal([[]])
  })

  it('are told up to a bound', () => {
    const many = maxWorkerTroubles + 100
    const { fail, look, told } = setUp(many)
    for (const { address } of endpoints(many)) fail(address)
    look(1)
    expect(told[0]).to.have.length(maxWorkerTroubles)
  })
})
