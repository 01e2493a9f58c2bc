import { expect } from 'chai'
import { EventFeed } from '../../../console/event-feed.ts'
import type { Events } from '../../../console/shapes.ts'

const answer = (newest: number, ...ids: readonly number[]): Events => ({
  newest,
  events: ids.map((id) => ({ id, at: 0, kind: 'tier', severity: 'info', about: '', what: '', message: '' })),
})

describe('the events that a page holds', () => {
  const asked: { after: number; answer: (events: Events) => void; fail: () => void }[] = []
  let shown: readonly number[]
  let feed: EventFeed
  beforeEach(() => {
    asked.length = 0
    shown = []
    const ask = (after: number): Promise<Events> =>
      new Promise((resolve, reject) => asked.push({ after, answer: resolve, fail: () => reject(new Error('gone')) }))
    feed = new EventFeed(ask, (events) => (shown = events.map(({ id }) => id)))
  })

  it('come once each from a node that is slow: there is one question at a time', async () => {
    feed.begin(answer(2, 1, 2))
    const first = feed.look()
    await feed.look()
    expect(asked.map(({ after }) => after)).to.deep.equal([2])
    asked[0]!.answer(answer(3, 3))
    await first
    expect(shown).to.deep.equal([1, 2, 3])
    const second = feed.look()
    asked[1]!.fail()
    await second
    void feed.look()
    expect(asked.map(({ after }) => after)).to.deep.equal([2, 3, 3])
  })

  it('begin with none, and anew where the node does', async () => {
    await feed.look()
    expect(asked, 'nothing is known yet').to.have.length(0)
    feed.begin(answer(0))
    const first = feed.look()
    asked[0]!.answer(answer(7, 7))
    await first
    const second = feed.look()
    asked[1]!.answer(answer(2, 1, 2))
    await second
    expect(shown).to.deep.equal([1, 2])
  })

  it('are those of the newest answer for all, whatever an older question brings', async () => {
    feed.begin(answer(1, 1))
    const old = feed.look()
    feed.begin(answer(3, 1, 2, 3))
    asked[0]!.answer(answer(2, 2))
    await old
    expect(shown).to.deep.equal([1, 2, 3])
  })
})
