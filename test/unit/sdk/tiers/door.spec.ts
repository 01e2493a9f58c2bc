import { expect } from 'chai'
import { busyMs, dampMinMs, Door } from '../../../../sdk/tiers/door.ts'
import type { Sign } from '../../../../sdk/tiers/door.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import type { ManualClock } from '../../../support/manual-clock.ts'

describe('a door of the mesh', () => {
  let clock: ManualClock
  let sign: Sign
  let states: string[]
  let door: Door

  beforeEach(() => {
    clock = manualClock()
    sign = 'answered'
    states = []
    door = new Door('127.0.0.1:1', {
      clock,
      ask: () => Promise.resolve(sign),
      onChange: ({ state }) => void states.push(state),
    })
  })
  afterEach(() => door.close())

  const heard = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += busyMs / 4) {
      clock.advance(busyMs / 4)
      await heard()
    }
  }

  async function opened(): Promise<void> {
    door.watch(false)
    await heard()
    expect(door.state).to.equal('up')
  }

  it('may be tried while nothing is known of it, and is up with the first answer', async () => {
    expect(door.isOpen).to.equal(true)
    await opened()
  })

  it('is left by one call that nobody took', async () => {
    await opened()
    door.refused()
    expect(door.isOpen).to.equal(false)
  })

  it('stays through one question without an answer, and is left with the second', async () => {
    await opened()
    sign = 'silent'
    await pass(busyMs)
    expect(door.state).to.equal('up')
    await pass(busyMs)
    expect(door.state).to.equal('down')
  })

  it('is used again only after it has answered for a while, and for longer after each early fall', async () => {
    await opened()
    door.refused()
    await pass(dampMinMs / 2)
    expect(door.state).to.equal('down')
    await pass(dampMinMs)
    expect(door.state).to.equal('up')
    door.refused()
    expect(door.damping).to.equal(2 * dampMinMs)
    await pass(dampMinMs + busyMs)
    expect(door.state).to.equal('down')
    await pass(dampMinMs + busyMs)
    expect(states).to.deep.equal(['up', 'down', 'up', 'down', 'up'])
  })

  it('a door that falls in between begins its while anew', async () => {
    await opened()
    door.refused()
    await pass(dampMinMs - busyMs)
    sign = 'refused'
    await pass(busyMs)
    sign = 'answered'
    await pass(dampMinMs - busyMs)
    expect(door.state).to.equal('down')
  })

  it('tells calls that wait at it when it falls, and those that left nothing', async () => {
    await opened()
    const ended: string[] = []
    door.whenDown(() => void ended.push('waits'))
    door.whenDown(() => void ended.push('left'))()
    door.refused()
    expect(ended).to.deep.equal(['waits'])
  })
})
