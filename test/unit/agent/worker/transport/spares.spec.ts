import { expect } from 'chai'
import { Spares } from '../../../../../agent/worker/transport/spares.ts'

class Thing {
  readonly name: number
  private readonly home: Spares<Thing>

  constructor(name: number, home: Spares<Thing>) {
    this.name = name
    this.home = home
  }

  done(): void {
    this.home.give(this)
  }
}

describe('objects kept for reuse', () => {
  let made: number
  let ended: number[]
  let spares: Spares<Thing>

  beforeEach(() => {
    made = 0
    ended = []
    spares = new Spares(
      (home) => new Thing(++made, home),
      ({ name }) => void ended.push(name),
      2,
    )
  })

  it('are taken again before new ones are made, the one used last first', () => {
    const [first, second] = [spares.take(), spares.take()]
    first.done()
    second.done()
    expect([spares.take(), spares.take()]).to.deep.equal([second, first])
    expect(spares.take().name).to.equal(3)
  })

  it('are ended when enough are kept', () => {
    for (const one of [spares.take(), spares.take(), spares.take()]) one.done()
    expect(ended).to.deep.equal([3])
  })

  it('are ended and made anew when what they were made for has changed', () => {
    spares.take().done()
    spares.clear()
    expect({ ended, next: spares.take().name }).to.deep.equal({ ended: [1], next: 2 })
  })
})
