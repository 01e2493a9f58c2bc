import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { ServicePolls } from '../../../../registry-adapters/consul/service-polls.ts'
import type { HttpAnswer } from '../../../../registry-adapters/http/http-client.ts'
import { manualClock } from '../../../support/manual-clock.ts'

const key = 'public/DEFAULT_GROUP@@orders'

describe('blocking queries at Consul', () => {
  it('ask again at once after each of twenty changes in a row, without a pause of their own', async () => {
    const { asked, answer, polls } = openPolls()
    await turns()
    for (let change = 1; change <= 20; change++) {
      expect(asked()).to.equal(change)
      answer()
      await turns()
    }
    polls.close()
  })

  it('ask again only after what stood in the answer had its turn', async () => {
    const order: string[] = []
    const { answer, polls } = openPolls({
      onAsk: () => void order.push('asked'),
      onAnswer: () => void setImmediate(() => order.push('told')),
    })
    await turns()
    answer()
    await turns()
    expect(order).to.deep.equal(['asked', 'told', 'asked'])
    polls.close()
  })

  it('ask a server that answers each at once ten times a second in the long run', async () => {
    const { asked, answer, polls, clock } = openPolls()
    for (let ms = 0; ms < 60_000; ms += 10) {
      await turns()
      answer()
      await turns()
      clock.advance(10)
    }
    expect(asked()).to.be.within(600, 630)
    polls.close()
  })
})

/** Until what one turn began in the next is done. */
async function turns(): Promise<void> {
  await turn()
  await turn()
}

/** One service that is polled; the clock and the answers are the test's. */
function openPolls({ onAsk, onAnswer }: { onAsk?: () => void; onAnswer?: () => void } = {}) {
  const clock = manualClock()
  const waiting: ((answer: HttpAnswer) => void)[] = []
  let asked = 0
  const polls = new ServicePolls({
    clock,
    random: () => 0.5,
    waitMs: 60_000,
    ask: () => {
      asked++
      onAsk?.()
      return new Promise((resolve) => waiting.push(resolve))
    },
    onAnswer: () => onAnswer?.(),
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
