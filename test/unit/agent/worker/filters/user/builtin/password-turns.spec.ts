import { expect } from 'chai'
import {
  longestWaitMs,
  mostInAll,
  mostOfCaller,
  PasswordTurns,
} from '../../../../../../../agent/worker/filters/user/builtin/password-turns.ts'

describe('turns for passwords', () => {
  let now: number
  let turns: PasswordTurns
  /** What is being counted: whose it is, and how to end it. */
  let counted: { readonly caller: string; end(): void }[]
  let told: (readonly [caller: string, isGood: boolean | undefined])[]

  beforeEach(() => {
    now = 0
    turns = new PasswordTurns(() => now)
    counted = []
    told = []
  })

  function take(caller: string): void {
    const count = () => new Promise<boolean>((resolve) => counted.push({ caller, end: () => resolve(true) }))
    void turns.take(caller, count).then((isGood) => told.push([caller, isGood]))
  }

  /** Lets promises go on. */
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  async function endOne(): Promise<void> {
    counted.shift()!.end()
    await settled()
  }

  const callers = (): string[] => counted.map(({ caller }) => caller)

  it('are two at a time, and in rotation: one that tries many stands in nobody’s way', async () => {
    for (let nth = 0; nth < mostOfCaller; nth++) take('eve')
    take('ann')
    take('bob')
    await settled()
    expect(callers()).to.deep.equal(['eve', 'eve'])
    const order: string[] = []
    while (counted.length > 0) {
      await endOne()
      if (counted.length > 1) order.push(counted[1]!.caller)
    }
    expect(order).to.deep.equal(['eve', 'ann', 'bob', 'eve'])
    expect(told).to.have.length(6)
    expect(told.every(([, isGood]) => isGood === true)).to.equal(true)
  })

  it('are few for one caller and for all, and free again with each that ends', async () => {
    for (let nth = 0; nth < mostOfCaller + 1; nth++) take('eve')
    await settled()
    expect(told).to.deep.equal([['eve', undefined]])
    for (let nth = mostOfCaller; nth < mostInAll + 1; nth++) take(`c${nth}`)
    await settled()
    expect(told.at(-1)).to.deep.equal([`c${mostInAll}`, undefined])
    while (counted.length > 0) await endOne()
    told = []
    for (let nth = 0; nth < mostOfCaller; nth++) take('eve')
    while (told.length < mostOfCaller) {
      await settled()
      await endOne()
    }
    expect(told.every(([, isGood]) => isGood === true)).to.equal(true)
  })

  it('are refused to who waited too long, and go to the next one', async () => {
    for (let nth = 0; nth < 3; nth++) take('eve')
    await settled()
    now = longestWaitMs + 1
    take('ann')
    await endOne()
    expect(told).to.have.deep.members([
      ['eve', undefined],
      ['eve', true],
    ])
    expect(callers()).to.deep.equal(['eve', 'ann'])
  })

  it('end with what cannot be counted', async () => {
    const failing = turns.take('eve', () => Promise.reject(new Error('broken')))
    expect(await failing.catch((error: Error) => error.message)).to.equal('broken')
    for (let nth = 0; nth < mostOfCaller; nth++) take('eve')
    await settled()
    expect(counted).to.have.length(2)
    expect(told).to.deep.equal([])
  })
})
