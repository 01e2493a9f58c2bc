import { expect } from 'chai'
import { busyMs, dampMinMs, MeshProxy } from '../../../../sdk/tiers/proxy.ts'
import type { ProbeResult } from '../../../../sdk/tiers/proxy.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import type { ManualClock } from '../../../support/manual-clock.ts'

describe('a proxy of the mesh', () => {
  let clock: ManualClock
  let result: ProbeResult
  let states: string[]
  let proxy: MeshProxy

  beforeEach(() => {
    clock = manualClock()
    result = 'answered'
    states = []
    proxy = new MeshProxy('127.0.0.1:1', {
      clock,
      ask: () => Promise.resolve(result),
      onChange: ({ state }) => void states.push(state),
    })
  })
  afterEach(() => proxy.close())

  const heard = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += busyMs / 4) {
      clock.advance(busyMs / 4)
      await heard()
    }
  }

  async function opened(): Promise<void> {
    proxy.watch(false)
    await heard()
    expect(proxy.state).to.equal('up')
  }

  it('may be tried while nothing is known of it, and is up with the first answer', async () => {
    expect(proxy.isUsable).to.equal(true)
    await opened()
  })

  it('is left by one call that nobody took', async () => {
    await opened()
    proxy.refused()
    expect(proxy.isUsable).to.equal(false)
  })

  it('stays through one question without an answer, and is left with the second', async () => {
    await opened()
    result = 'silent'
    await pass(busyMs)
    expect(proxy.state).to.equal('up')
    await pass(busyMs)
    expect(proxy.state).to.equal('down')
  })

  it('is used again only after it has answered for a while, and for longer after each early fall', async () => {
    await opened()
    proxy.refused()
    await pass(dampMinMs / 2)
    expect(proxy.state).to.equal('down')
    await pass(dampMinMs)
    expect(proxy.state).to.equal('up')
    proxy.refused()
    expect(proxy.damping).to.equal(2 * dampMinMs)
    await pass(dampMinMs + busyMs)
    expect(proxy.state).to.equal('down')
    await pass(dampMinMs + busyMs)
    expect(states).to.deep.equal(['up', 'down', 'up', 'down', 'up'])
  })

  it('a proxy that falls in between begins its while anew', async () => {
    await opened()
    proxy.refused()
    await pass(dampMinMs - busyMs)
    result = 'refused'
    await pass(busyMs)
    result = 'answered'
    await pass(dampMinMs - busyMs)
    expect(proxy.state).to.equal('down')
  })

  it('tells calls that wait at it when it falls, and those that left nothing', async () => {
    await opened()
    const ended: string[] = []
    proxy.whenDown(() => void ended.push('waits'))
    proxy.whenDown(() => void ended.push('left'))()
    proxy.refused()
    expect(ended).to.deep.equal(['waits'])
  })
})
