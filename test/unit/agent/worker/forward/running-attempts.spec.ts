import { expect } from 'chai'

import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import { RunningAttempts } from '../../../../../agent/worker/forward/running-attempts.ts'

class FakeAttempt {
  ended: Outcome | null = null
  abandon(outcome: Outcome): void {
    expect(this.ended, 'ended twice').to.equal(null)
    this.ended = outcome
  }
}

/** `count` attempts beside each other, the last one the newest. */
function race(count: number) {
  const running = new RunningAttempts<FakeAttempt>()
  const attempts = Array.from({ length: count }, () => new FakeAttempt())
  for (const attempt of attempts) {
    running.setNewestAside()
    running.newest = attempt
  }
  return { running, attempts }
}

describe('the attempts of a request that run', () => {
  it('are a race only beside each other', () => {
    expect([race(1).running.isRace, race(2).running.isRace]).to.deep.equal([false, true])
  })

  it('go back to the one before when the newest comes to nothing, and say when there is none', () => {
    const { attempts, running } = race(2)
    running.drop(attempts[1]!)
    expect(running.newest).to.equal(attempts[0])
    expect(running.goBack()).to.equal(false)
    expect(running.newest).to.equal(null)
  })

  it('forget one in the middle', () => {
    const { attempts, running } = race(3)
    running.drop(attempts[0]!)
    running.drop(attempts[2]!)
    expect([running.newest, running.isRace]).to.deep.equal([attempts[1], false])
  })

  it('end when another one wins, whichever that is, and say nothing of their endpoints', () => {
    for (const winner of [0, 1, 2]) {
      const { attempts, running } = race(3)
      running.win(attempts[winner]!)
      expect(attempts.map(({ ended }) => ended)).to.deep.equal(
        attempts.map((_attempt, index) => (index === winner ? null : Outcome.cancelled)),
      )
      expect([running.winner, running.newest, running.isRace]).to.deep.equal([
        attempts[winner],
        attempts[winner],
        false,
      ])
      running.finish()
      expect([running.winner, running.newest]).to.deep.equal([null, null])
    }
  })

  it('end together when there is no reply: how the newest ended says something, of the others nothing', () => {
    const { attempts, running } = race(2)
    running.abandonLosing(Outcome.timeout)
    expect(attempts.map(({ ended }) => ended)).to.deep.equal([Outcome.cancelled, Outcome.timeout])
    running.abandonLosing(Outcome.timeout)
  })

  it('do not end with the losing ones when one has won', () => {
    const { attempts, running } = race(1)
    running.win(attempts[0]!)
    running.abandonLosing(Outcome.timeout)
    expect(attempts[0]!.ended).to.equal(null)
  })
})
