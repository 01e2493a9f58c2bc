import { expect } from 'chai'

import { ParkedNames } from '../../../../../agent/worker/link/parked-names.ts'
import type { Parkable } from '../../../../../agent/worker/link/parked-names.ts'
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
  let wake: () => void
  let asked: string[]
  let answered: Set<string>
  let tallies: Tallies
  let parked: ParkedNames

  beforeEach(() => {
    now = 0
    wake = () => {}
    asked = []
    answered = new Set()
    tallies = new Tallies()
    const wheel = new TimerWheel(
      () => now,
      (callback) => (wake = callback),
    )
    parked = new ParkedNames({
      wheel,
      now: () => now,
      tallies,
      limits: () => ({ maxParkedRequests: 3, parkTimeoutMs: 1000 }),
      ask: (names) => asked.push(...names),
      isAnswered: (name) => answered.has(name),
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
    parked.park('a', requests[0])
    parked.park('a', requests[1])
    parked.park('b', requests[2])
    expect(asked).to.deep.equal(['a', 'b'])
    answered.add('a')
    parked.answered()
    expect(requests.map((request) => request.heard)).to.deep.equal([['answer'], ['answer'], []])
    expect([parked.size, parked.pendingNames()]).to.deep.equal([1, ['b']])
  })

  it('are refused beyond the bound, and counted', () => {
    for (let i = 0; i < 3; i++) expect(parked.park('a', new Request())).to.equal(true)
    expect(parked.park('a', new Request())).to.equal(false)
    expect([tallies.parkedRequests, tallies.parkOverflows]).to.deep.equal([3, 1])
  })

  it('hear of the end of their time', () => {
    const request = new Request()
    parked.park('a', request)
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
    parked.park('a', request)
    passTo(900)
    parked.forget(request)
    parked.park('b', request)
    passTo(1500)
    expect(request.heard, 'after the first deadline').to.deep.equal([])
    passTo(1920)
    expect(request.heard).to.deep.equal(['timeout'])
  })
})
