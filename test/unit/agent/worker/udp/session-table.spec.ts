import { expect } from 'chai'

import { SessionTable } from '../../../../../agent/worker/udp/session-table.ts'
import type { NoRoom, TableSession } from '../../../../../agent/worker/udp/session-table.ts'

class Session implements TableSession {
  readonly key: number
  readonly sourceAddress: string
  isProven = false
  hasGiven = false
  private readonly table: SessionTable<Session>

  constructor(table: SessionTable<Session>, key: number, sourceAddress: string) {
    this.table = table
    this.key = key
    this.sourceAddress = sourceAddress
  }

  giveWay(): void {
    this.hasGiven = true
    this.table.remove(this)
  }
}

const bound = 16

describe('the table of UDP sessions', () => {
  let table: SessionTable<Session>
  let last: number

  /** The session, or why there is none. */
  const begin = (source: string, now = last * 1000): Session | NoRoom => {
    const refused = table.makeRoom(source, bound, now)
    if (refused !== null) return refused
    const session = new Session(table, ++last, source)
    table.add(session)
    return session
  }
  /** One second apart, so that no rate is in the way. */
  const beginSome = (count: number, sourceOf: (index: number) => string): Session[] =>
    Array.from({ length: count }, (_, index) => begin(sourceOf(index)) as Session)

  beforeEach(() => {
    table = new SessionTable()
    last = 0
  })

  it('lets an address begin as many as it likes while less than half of the places are taken', () => {
    expect(beginSome(8, () => '10.0.0.1').every((one) => one instanceof Session)).to.equal(true)
  })

  it('gives the place of the oldest session without proof to a new one, and never that of a proven one', () => {
    const sessions = beginSome(bound, (index) => `10.0.0.${index}`)
    table.prove(sessions[0]!)
    expect(begin('10.1.0.1')).to.be.instanceOf(Session)
    expect(sessions.map((one) => one.hasGiven).indexOf(true)).to.equal(1)
    expect(table.size).to.equal(bound)
    expect(table.get(sessions[0]!.key)).to.equal(sessions[0])
  })

  it('refuses a new one where all are proven', () => {
    for (const session of beginSome(bound, (index) => `10.0.0.${index}`)) table.prove(session)
    expect(begin('10.1.0.1')).to.equal('overflow')
    expect(table.makeWay('10.1.0.1', bound, last * 1000)).to.equal('overflow')
  })

  it('lets an address beyond a quarter of the places replace its own sessions alone', () => {
    const own = beginSome(8, () => '10.0.0.1')
    const other = begin('10.0.0.2') as Session
    expect(begin('10.0.0.1')).to.be.instanceOf(Session)
    expect(own.map((one) => one.hasGiven).indexOf(true)).to.equal(0)
    expect(other.hasGiven).to.equal(false)
    expect(table.size).to.equal(9)
  })

  it('has the oldest without proof give way where another limit is reached, of an address with many its own', () => {
    const [first, ...own] = [...beginSome(1, () => '10.0.0.1'), ...beginSome(4, () => '10.0.0.2')]
    table.prove(own[0]!)
    const now = last * 1000
    expect(table.makeWay('10.0.0.2', bound, now)).to.equal(null)
    expect(own.map((one) => one.hasGiven)).to.deep.equal([false, true, false, false])
    expect(table.makeWay('10.0.0.3', bound, now)).to.equal(null)
    expect(first!.hasGiven).to.equal(true)
    const more = Array.from({ length: bound }, () => table.makeWay('10.0.0.3', bound, now))
    expect(more.at(-1), 'as many a second as there are places').to.equal('rate')
    expect(table.get(own[0]!.key), 'proven').to.equal(own[0])
  })

  it('refuses an address beyond its share whose sessions are all proven, and lets others in', () => {
    for (const session of beginSome(8, () => '10.0.0.1')) table.prove(session)
    expect(begin('10.0.0.1')).to.equal('share')
    expect(begin('10.0.0.2')).to.be.instanceOf(Session)
  })

  it('bounds how many begin in a second once half of the places are taken, for a crowding address apart', () => {
    const burst = (count: number, sourceOf: (index: number) => string): (Session | NoRoom)[] =>
      Array.from({ length: count }, (_, index) => begin(sourceOf(index), 1000))
    burst(8, () => '10.0.0.1')
    const flood = burst(100, () => '10.0.0.1')
    expect(flood.filter((one) => one instanceof Session)).to.have.length(1)
    expect(flood.at(-1)).to.equal('rate')
    const spread = burst(100, (index) => `10.1.0.${index}`)
    expect(spread.filter((one) => one instanceof Session)).to.have.length(bound / 4)
    expect(begin('10.2.0.1', 1250)).to.be.instanceOf(Session)
  })

  it('forgets addresses whose sessions have ended', () => {
    for (const session of beginSome(8, () => '10.0.0.1')) {
      table.prove(session)
      table.remove(session)
    }
    expect(table.size).to.equal(0)
    expect(beginSome(8, () => '10.0.0.2')).to.have.length(8)
    expect(begin('10.0.0.1')).to.be.instanceOf(Session)
  })
})
