import { expect } from 'chai'
import { watchAddress } from '../../../../../agent/control/host/address-watch.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

describe('the address of a host', () => {
  const setUp = (results: boolean[] = []) => {
    const clock = manualClock()
    const changes: string[] = []
    /** Address and time of each. */
    const tries: (readonly [string, number])[] = []
    const machine: { address: string | undefined } = { address: '10.0.0.5' }
    const watch = watchAddress({
      clock,
      present: '10.0.0.5',
      look: () => machine.address,
      onChange: (address, before) => void changes.push(`${before} -> ${address}`),
      follow(address) {
        tries.push([address, clock.monotonic()])
        return Promise.resolve(results.shift() ?? true)
      },
    })
    const pass = async (...addresses: (string | undefined)[]): Promise<void> => {
      for (const address of addresses) {
        machine.address = address
        clock.advance(2500)
        await Promise.resolve()
      }
    }
    return { changes, pass, tries, watch }
  }

  it('is followed when a new one stays, within five seconds, and said once', async () => {
    const { changes, pass, tries } = setUp()
    await pass('10.0.0.9', '10.0.0.9', '10.0.0.9', '10.0.0.9')
    expect(changes).to.deep.equal(['10.0.0.5 -> 10.0.0.9'])
    expect(tries).to.deep.equal([['10.0.0.9', 5000]])
    await pass('10.0.0.5', '10.0.0.5')
    expect(changes.at(-1)).to.equal('10.0.0.9 -> 10.0.0.5')
  })

  it('is followed again, after ever longer pauses, until that worked, and said once', async () => {
    const { changes, pass, tries } = setUp([false, false, false])
    await pass(...Array.from({ length: 12 }, () => '10.0.0.9'))
    expect(tries.map(([, at]) => at)).to.deep.equal([5000, 7500, 12_500, 22_500])
    expect(changes).to.deep.equal(['10.0.0.5 -> 10.0.0.9'])
  })

  it('is followed at the next look where what was in the way may be gone', async () => {
    const { pass, tries, watch } = setUp(Array.from({ length: 4 }, () => false))
    await pass(...Array.from({ length: 9 }, () => '10.0.0.9'))
    expect(tries).to.have.length(4)
    watch.retry()
    await pass('10.0.0.9', '10.0.0.9')
    expect(tries.map(([, at]) => at).slice(4)).to.deep.equal([25_000])
  })

  it('is not followed any more when it is as announced again, and tried at once when it is another one', async () => {
    const { pass, tries } = setUp([false, false, false])
    await pass('10.0.0.9', '10.0.0.9', '10.0.0.9', '10.0.0.5', '10.0.0.5', '10.0.0.5', '10.0.0.5')
    expect(tries.map(([address]) => address)).to.deep.equal(['10.0.0.9', '10.0.0.9'])
    await pass('10.0.0.8', '10.0.0.8', '10.0.0.7', '10.0.0.7')
    expect(tries.slice(2)).to.deep.equal([
      ['10.0.0.8', 22_500],
      ['10.0.0.7', 27_500],
    ])
  })

  it('is not followed twice at the same time', async () => {
    const clock = manualClock()
    let tries = 0
    let done = (_isAnnounced: boolean): void => undefined
    const watch = watchAddress({
      clock,
      present: '10.0.0.5',
      look: () => '10.0.0.9',
      onChange: () => undefined,
      follow: () => {
        tries++
        return new Promise((resolve) => (done = resolve))
      },
    })
    clock.advance(60_000)
    watch.retry()
    clock.advance(60_000)
    expect(tries).to.equal(1)
    done(false)
    await Promise.resolve()
    clock.advance(5000)
    expect(tries).to.equal(2)
  })

  it('is not followed while it comes and goes, or is away', async () => {
    const { changes, pass, tries } = setUp()
    await pass(undefined, '10.0.0.9', undefined, '10.0.0.9', '10.0.0.5', '10.0.0.9', '10.0.0.8', undefined)
    expect([changes, tries]).to.deep.equal([[], []])
  })

  it('is not looked at after the end', async () => {
    const { changes, pass, watch } = setUp()
    watch.close()
    await pass('10.0.0.9', '10.0.0.9')
    expect(changes).to.deep.equal([])
  })
})
