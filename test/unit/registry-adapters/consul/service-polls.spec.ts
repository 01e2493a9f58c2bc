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

  it('ask one that refuses each ever more rarely, tell each refusal, and wait for changes again once it does not', async () => {
    let told = 0
    const { asked, answer, polls, clock } = openPolls({ onAnswer: () => void told++ })
    const pass = async (ms: number, status: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 10) {
        await turns()
        answer(status)
        await turns()
        clock.advance(10)
      }
    }
    await pass(60_000, 429)
    expect(asked()).to.be.within(10, 15)
    expect(told).to.be.within(10, 15)
    await pass(10_000, 200)
    const before = asked()
    await pass(1000, 200)
    expect(asked() - before, 'as if nothing had been').to.be.within(9, 11)
    await pass(2000, 500)
    expect(asked() - before, 'the pause begins anew').to.be.within(12, 14)
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
    answer: (status = 200) =>
      waiting.shift()?.({ status, headers: status === 200 ? { 'x-consul-index': '7' } : {}, text: '[]' }),
  }
}
