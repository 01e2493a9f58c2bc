import { expect } from 'chai'
import { CallerAccount } from '../../../../../agent/worker/callers/caller-account.ts'
import { busyAbove, FairTurns, perTurn, Turn } from '../../../../../agent/worker/callers/fair-turns.ts'

class World {
  now = 0
  most = 10_000
  readonly begun: string[] = []
  private due: (() => void)[] = []
  readonly turns = new FairTurns({
    now: () => this.now,
    most: () => this.most,
    behindTurn: (callback) => this.due.push(callback),
  })

  ask(account: CallerAccount) {
    const turned = { account, callerKey: account.name, onTurn: () => void this.begun.push(account.name) }
    return { turned, turn: this.turns.enter(turned) }
  }

  /** Asks `count` times; answers how many began at once. */
  flood(account: CallerAccount, count: number): number {
    let now = 0
    for (let nth = 0; nth < count; nth++) if (this.ask(account).turn === Turn.now) now++
    return now
  }

  /** The loop comes around. */
  turn(): void {
    const { due } = this
    this.due = []
    for (const callback of due) callback()
  }
}

describe('turns of callers', () => {
  let world: World
  let batch: CallerAccount
  let shop: CallerAccount

  beforeEach(() => {
    world = new World()
    batch = new CallerAccount('batch')
    shop = new CallerAccount('shop')
  })

  it('are not asked for while little is in hand, nor by a caller that is alone', () => {
    const unknown = {
      callerKey: '',
      onTurn() {},
      get account(): CallerAccount {
        throw new Error('asked')
      },
    }
    expect(world.turns.enter(unknown)).to.equal(Turn.now)
    expect(world.flood(batch, 5000)).to.equal(5000)
  })

  it('are so many of each caller in one turn of the loop, once there are two', () => {
    world.flood(batch, busyAbove)
    world.flood(batch, 1)
    expect(world.ask(shop).turn).to.equal(Turn.now)
    expect(world.flood(batch, 100)).to.equal(perTurn)
    expect(world.ask(shop).turn, 'who asks little does not wait').to.equal(Turn.now)
    expect(batch.waits).to.equal(100 - perTurn)
    expect(shop.waits).to.equal(0)
  })

  it('go round the callers that wait, so many behind each turn', () => {
    world.flood(batch, busyAbove + 1)
    world.flood(shop, perTurn)
    world.flood(batch, perTurn + 100)
    world.flood(shop, 4)
    world.turn()
    expect(world.begun.slice(0, 8)).to.deep.equal(['batch', 'shop', 'batch', 'shop', 'batch', 'shop', 'batch', 'shop'])
    expect(world.begun).to.have.length(perTurn)
    for (let nth = 0; nth < 10; nth++) world.turn()
    expect(world.begun).to.have.length(104)
    expect(world.turns.size).to.equal(0)
  })

  it('count what is in hand, and let go of who waits no more', () => {
    world.flood(batch, busyAbove + 1)
    world.ask(shop)
    world.flood(batch, perTurn)
    const { turn, turned } = world.ask(batch)
    expect(turn).to.equal(Turn.later)
    expect(world.turns.forget(turned)).to.equal(true)
    expect(world.turns.forget(turned)).to.equal(false)
    world.turn()
    expect(world.begun).to.deep.equal([])
    expect(world.turns.inHand).to.equal(busyAbove + 2 + perTurn)
    world.turns.leave()
    expect(world.turns.inHand).to.equal(busyAbove + 1 + perTurn)
  })

  it('are refused at the bound of those that wait', () => {
    world.most = 3
    world.flood(batch, busyAbove + 1)
    world.ask(shop)
    world.flood(batch, perTurn + 3)
    expect(world.ask(batch).turn).to.equal(Turn.refused)
    expect(world.turns.size).to.equal(3)
  })

  it('end a second after the other caller was heard last', () => {
    world.flood(batch, busyAbove + 1)
    world.ask(shop)
    world.flood(batch, perTurn)
    world.turn()
    world.now = 1001
    expect(world.flood(batch, 100)).to.equal(100)
  })
})
