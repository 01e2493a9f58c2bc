import { expect } from 'chai'
import { Arriving } from '../../../../../agent/worker/listen/arriving.ts'
import { FirstBytes } from '../../../../../agent/worker/listen/first-bytes.ts'
import { listenerContext } from '../../../../../agent/worker/listen/listener-context.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'

const spec: ListenerSpec = { name: 'shared', address: '::1', port: 1, proxyProtocol: 'off', kind: 'shared-http' }

/** Has seen enough with three bytes. */
class ThreeBytes extends FirstBytes {
  text = ''
  timeouts = 0

  onTimer(): void {
    this.timeouts++
    this.end()
  }

  protected look(): boolean {
    if (this.received.length < 3) return false
    this.finish()
    this.text = this.received.toString()
    return true
  }
}

describe('the first bytes of an arriving connection', () => {
  function begin(received: string | null = null) {
    let now = 1000
    const seen = { calls: [] as string[], ended: 0 }
    const transport = {
      owner: null,
      pauseReading: () => seen.calls.push('pause'),
      resumeReading: () => seen.calls.push('resume'),
      close: () => seen.calls.push('close'),
    } as unknown as Transport
    const wheel = new TimerWheel(
      () => now,
      () => () => undefined,
    )
    const arriving = new Arriving(transport, spec, listenerContext(spec, 1), () => seen.ended++)
    if (received !== null) arriving.received = Buffer.from(received)
    const step = new ThreeBytes({ wheel, clock: new Clock(() => now) }, arriving)
    step.begin(500)
    const pass = (ms: number): void => {
      now += ms
      wheel.advance()
    }
    /** In memory that is used again, as transports do. */
    const come = (text: string): void => {
      const shared = Buffer.from(text.padEnd(8, '#'))
      step.onBytes(shared, text.length)
      shared.fill('!')
    }
    return { step, seen, pass, come }
  }

  it('are put together until they are enough; then nothing is read and no time runs', () => {
    const { step, seen, pass, come } = begin()
    come('a')
    come('b')
    expect(step.text).to.equal('')
    come('cd')
    expect(step.text).to.equal('abcd')
    pass(10_000)
    expect(step.timeouts).to.equal(0)
    expect(seen).to.deep.equal({ calls: ['resume', 'pause'], ended: 0 })
  })

  it('may have come already, with what a step before read', () => {
    const { step, seen } = begin('abc')
    expect(step.text).to.equal('abc')
    expect(seen.calls).to.deep.equal(['pause'])
  })

  it('are waited for so long and no longer', () => {
    const { step, seen, pass, come } = begin()
    come('a')
    pass(400)
    expect(step.timeouts).to.equal(0)
    pass(300)
    expect(step.timeouts).to.equal(1)
    expect(seen).to.deep.equal({ calls: ['resume', 'pause', 'close'], ended: 1 })
  })

  it('end with a caller that goes before, and the bound counts it out once', () => {
    const { step, seen, pass, come } = begin()
    come('ab')
    step.onEnd()
    step.onClosed()
    pass(10_000)
    expect(seen.ended).to.equal(1)
    expect(step.timeouts).to.equal(0)
  })
})
