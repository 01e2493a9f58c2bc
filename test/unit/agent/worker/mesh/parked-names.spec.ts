import { expect } from 'chai'

import { ParkedNames } from '../../../../../agent/worker/mesh/parked-names.ts'
import type { Parkable } from '../../../../../agent/worker/mesh/parked-names.ts'
import { Tallies } from '../../../../../agent/worker/observe/tallies.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'

class Request implements Parkable {
  isParked = false
  readonly heard: string[] = []

  unpark(isTimeout: boolean): void {
    this.heard.push(isTimeout ? 'timeout' : 'answer')
  }
}

describe('parked requests', () => {
  let now: number
  let maxParkedRequests: number
  let wake: () => void
  let asked: string[]
  let answered: Set<string>
  let known: Set<string>
  let tallies: Tallies
  let parked: ParkedNames

  beforeEach(() => {
    now = 0
    wake = () => {}
    asked = []
    answered = new Set()
    known = new Set()
    maxParkedRequests = 3
    tallies = new Tallies()
    const wheel = new TimerWheel(
      () => now,
      (callback) => (wake = callback),
    )
    parked = new ParkedNames({
      wheel,
      now: () => now,
      tallies,
      limits: () => ({ maxParkedRequests, parkTimeoutMs: 1000 }),
      ask: (names) => asked.push(...names),
      isAnswered: (name) => answered.has(name),
      isKnown: (name) => known.has(name),
    })
  })

  function passTo(time: number): void {
    while (now < time) {
      now = Math.min(time, now + 4)
      wake()
    }
  }

  it('ask once per name and go on together when it is answered', () => {
    const requests = [new Request(), new Request(), new Request()] as const
    parked.park('a', requests[0], 'user 1')
    parked.park('a', requests[1], 'user 1')
    parked.park('b', requests[2], 'user 2')
    expect(asked).to.deep.equal(['a', 'b'])
    answered.add('a')
    parked.answered()
    expect(requests.map((request) => request.heard)).to.deep.equal([['answer'], ['answer'], []])
    expect([parked.size, parked.pendingNames()]).to.deep.equal([1, ['b']])
  })

  it('are refused beyond the bound, and counted', () => {
    for (let i = 0; i < 3; i++) expect(parked.park('a', new Request(), `user ${i}`)).to.equal(true)
    expect(parked.park('a', new Request(), 'user 4')).to.equal(false)
    expect([tallies.parkedRequests, tallies.parkOverflows]).to.deep.equal([3, 1])
  })

  it('hear of the end of their time', () => {
    const request = new Request()
    parked.park('a', request, 'user 1')
    passTo(990)
    expect(request.heard).to.deep.equal([])
    passTo(1020)
    expect([request.heard, request.isParked, parked.size, tallies.parkTimeouts]).to.deep.equal([
      ['timeout'],
      false,
      0,
      1,
    ])
  })

  it('that wait a second time have their whole time again', () => {
    const request = new Request()
    parked.park('a', request, 'user 1')
    passTo(900)
    parked.forget(request)
    parked.park('b', request, 'user 1')
    passTo(1500)
    expect(request.heard, 'after the first deadline').to.deep.equal([])
    passTo(1920)
    expect(request.heard).to.deep.equal(['timeout'])
  })

  it('of one caller take at most half of the places', () => {
    maxParkedRequests = 4
    expect([1, 2, 3].map(() => parked.park('a', new Request(), 'user 1'))).to.deep.equal([true, true, false])
    expect(parked.park('a', new Request(), 'user 2')).to.equal(true)
  })

  it('for names that nobody knows are refused a caller that asks for too many, and nobody else', () => {
    maxParkedRequests = 1000
    const ask = (name: string, caller: string, isKnown: boolean): boolean => {
      if (!parked.park(name, new Request(), caller)) return false
      answered.add(name)
      if (isKnown) known.add(name)
      parked.answered()
      return true
    }
    let taken = 0
    for (let i = 0; i < 1000; i++) if (ask(`x${i}`, 'user 1', false)) taken++
    expect(taken).to.equal(256)
    expect(tallies.unknownNameRefusals).to.equal(744)
    for (let i = 0; i < 1000; i++) expect(ask(`known ${i}`, 'user 2', true), `known ${i}`).to.equal(true)
    expect(ask('y', 'user 2', false)).to.equal(true)
    expect(ask('orders', 'user 1', true), 'not even a known one').to.equal(false)
    passTo(1000)
    taken = 0
    for (let i = 0; i < 100; i++) if (ask(`z${i}`, 'user 1', false)) taken++
    expect(taken, 'some are forgiven each second').to.be.within(19, 21)
  })
})
