import { expect } from 'chai'
import { Timeline, type StateFact } from '../../../../../agent/control/events/timeline.ts'
import { manualClock, type ManualClock } from '../../../../support/manual-clock.ts'
import { recordingMetrics } from '../support/fake-registry.ts'

describe('the timeline', () => {
  let clock: ManualClock
  let metrics: ReturnType<typeof recordingMetrics>
  let timeline: Timeline
  let changes: number

  beforeEach(() => {
    clock = manualClock()
    metrics = recordingMetrics()
    changes = 0
    timeline = made()
    timeline.takeOver(undefined)
  })

  const made = (): Timeline => new Timeline({ clock, metrics, onChanged: () => changes++ })
  const lost: StateFact = { kind: 'registry', about: 'main', what: 'lost', message: 'refused' }
  const back: StateFact = { ...lost, what: 'back', message: 'answers', isNormal: true }
  const words = (of = timeline): string[] => of.query().events.map(({ about, what }) => `${about} ${what}`)

  it('keeps a state once until it changes, and no normal one that nothing went before', () => {
    timeline.turn(back)
    expect(words()).to.deep.equal([])
    for (const fact of [lost, lost, back, back, lost]) timeline.turn(fact)
    expect(words()).to.deep.equal(['main lost', 'main back', 'main lost'])
    timeline.turn({ ...lost, message: 'another reason' })
    expect(timeline.query().events.at(-1)).to.include({ id: 4, message: 'another reason' })
  })

  it('holds the newest 2,000, and of one kind 500, so that a flood drives out only its own kind', () => {
    timeline.add({ kind: 'drill', about: 'kill-worker', what: 'began', message: '' })
    for (let count = 0; count < 1000; count++) {
      clock.advance(1000)
      timeline.add({ kind: 'ejection', about: `a ${count}`, what: 'ejected', message: '' })
    }
    const kinds = timeline.query().events.map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'ejection')).to.have.length(500)
    expect(kinds[0]).to.equal('drill')
    expect(words()[1]).to.equal('a 500 ejected')
  })

  it('drops what comes faster than 50 of a kind in 10 s, and counts it', () => {
    for (let count = 0; count < 80; count++)
      timeline.add({ kind: 'rule', about: `r${count}`, what: 'changed', message: '' })
    timeline.add({ kind: 'drill', about: 'd', what: 'began', message: '' })
    expect(timeline.query().events).to.have.length(51)
    expect(metrics.total('events_dropped')).to.equal(30)
    clock.advance(10_000)
    timeline.add({ kind: 'rule', about: 'later', what: 'changed', message: '' })
    expect(words().at(-1)).to.equal('later changed')
  })

  it('cuts foreign text and takes out what a terminal would obey', () => {
    timeline.add({ kind: 'rule', about: 'a\u001b[31m\u202eb', what: 'rejected', message: `x\n${'y'.repeat(5000)}` })
    const [event] = timeline.query().events
    expect(event!.about).to.equal('a [31m b')
    expect(event!.message).to.have.length(300)
    expect(event!.message).to.match(/^x y+…$/)
  })

  it('says what came after an id, since a time, of some kinds, the newest so many', () => {
    timeline.turn(lost)
    clock.advance(5000)
    timeline.turn(back)
    timeline.add({ kind: 'drill', about: 'd', what: 'began', message: '' })
    const ids = (query: Parameters<Timeline['query']>[0]): number[] => timeline.query(query).events.map(({ id }) => id)
    expect(ids({ after: 1 })).to.deep.equal([2, 3])
    expect(ids({ since: clock.wall() })).to.deep.equal([2, 3])
    expect(ids({ kinds: new Set(['registry']) })).to.deep.equal([1, 2])
    expect(ids({ limit: 1 })).to.deep.equal([3])
    expect(timeline.query({ after: 3 })).to.deep.equal({ events: [], newest: 3, oldest: 1 })
    // of another timeline: everything
    expect(ids({ after: 900 })).to.deep.equal([1, 2, 3])
  })

  it('goes on over a restart: ids grow, states that hold are no news, what was learned before leading follows', () => {
    timeline.turn(lost)
    const next = made()
    next.turn(lost)
    next.add({ kind: 'drill', about: 'd', what: 'began', message: '' })
    expect(words(next)).to.deep.equal([])
    next.takeOver(structuredClone(timeline.exportState()))
    expect(words(next)).to.deep.equal(['main lost', 'd began'])
    next.turn(back)
    expect(next.query().events.map(({ id }) => id)).to.deep.equal([1, 2, 3])
  })

  it('keeps nothing after another generation took over', () => {
    const before = changes
    timeline.retire()
    timeline.turn(lost)
    expect(words()).to.deep.equal([])
    expect(changes).to.equal(before)
  })

  it('begins anew with a file of nonsense, and leaves out entries that are none', () => {
    for (const kept of [7, 'x', { events: 5 }, { events: [null, 3, { id: 1 }] }]) {
      const next = made()
      next.takeOver(kept)
      next.turn(lost)
      expect(words(next), JSON.stringify(kept)).to.deep.equal(['main lost'])
    }
  })

  it('tells events in the order in which they happened, whenever it heard of them', () => {
    timeline.add({ kind: 'drill', about: 'late', what: 'ended', message: '', at: 2000 })
    timeline.add({ kind: 'drill', about: 'early', what: 'began', message: '', at: 1000 })
    expect(words()).to.deep.equal(['early began', 'late ended'])
    const { events, newest } = timeline.query({ after: 1, limit: 1 })
    expect(events.map(({ id }) => id)).to.deep.equal([2])
    expect(newest).to.equal(2)
  })

  it('takes no ordered fact that is no later than the newest', () => {
    const turn = (what: string, at: number): void =>
      timeline.turn({ kind: 'tier', about: 'host', what, message: what, at, isOrdered: true })
    for (const again of [1, 2]) {
      turn('center', 1000)
      turn('agent', 2000)
      expect(timeline.query().events, String(again)).to.have.length(2)
    }
  })
})
