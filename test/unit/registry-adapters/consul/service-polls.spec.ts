import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { ServicePolls } from '../../../../registry-adapters/consul/service-polls.ts'
import type { HttpAnswer } from '../../../../registry-adapters/http/http-client.ts'
import { manualClock } from '../../../support/manual-clock.ts'

const key = 'public/DEFAULT_GROUP@@orders'

describe('blocking queries at Consul', () => {
  it('ask again at once after each of twenty changes in a row, without a pause of their own', async () => {
    const { asked, answer, polls } = openPolls()
    await turn()
    for (let change = 1; change <= 20; change++) {
      expect(asked()).to.equal(change)
      answer()
      await turn()
    }
    polls.close()
  })

  it('ask a server that answers each at once ten times a second in the long run', async () => {
    const { asked, answer, polls, clock } = openPolls()
    for (let ms = 0; ms < 60_000; ms += 10) {
      await turn()
      answer()
      await turn()
      clock.advance(10)
    }
    expect(asked()).to.be.within(600, 630)
    polls.close()
  })
})

/** One service that is polled; the clock and the answers are the test's. */
function openPolls() {
  const clock = manualClock()
  const waiting: ((answer: HttpAnswer) => void)[] = []
  let asked = 0
  const polls = new ServicePolls({
    clock,
    random: () => 0.5,
    waitMs: 60_000,
    ask: () => {
      asked++
      return new Promise((resolve) => waiting.push(resolve))
    },
    onAnswer: () => undefined,
    onFailure: (_key, error) => {
      throw error
    },
  })
  polls.add(key, 'orders')
  polls.resume()
  return {
    clock,
    polls,
    asked: () => asked,
    answer: () => waiting.shift()?.({ status: 200, headers: { 'x-consul-index': '7' }, text: '[]' }),
  }
}
