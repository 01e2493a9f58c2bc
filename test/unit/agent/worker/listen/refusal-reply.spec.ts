import { expect } from 'chai'
import { RefusalReply } from '../../../../../agent/worker/listen/refusal-reply.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { Output } from '../../../../../agent/worker/transport/output.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import { defaultLimits } from '../../../../../contracts/snapshot.ts'
import { MemoryTransport } from '../../../../support/memory-transport.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const limits = { ...defaultLimits, drainTimeoutMs: 1000, maxDrainBytes: 100 }

describe('an answer to a connection that is not served', () => {
  function refuse(transport = new MemoryTransport()) {
    let now = 1000
    const wheel = new TimerWheel(
      () => now,
      () => () => undefined,
    )
    const deps = { clock: new Clock(() => now), wheel, output: new Output(), tier: () => 'agent' as const }
    const seen = { transport, ended: 0 }
    void new RefusalReply({ ...deps, limits: () => limits }, transport, Buffer.from('no'), () => seen.ended++)
    const pass = (ms: number): void => {
      now += ms
      wheel.advance()
    }
    return { seen, pass }
  }

  it('counts until the caller closes', async () => {
    const { pass, seen } = refuse()
    expect([seen.transport.received.toString(), seen.transport.hasSentEnd, seen.ended]).to.deep.equal(['no', true, 0])
    seen.transport.sendEnd()
    await eventually(() => seen.ended === 1)
    pass(2000)
    expect([seen.transport.isClosed, seen.ended]).to.deep.equal([true, 1])
  })

  it('counts until its time is over', () => {
    const { pass, seen } = refuse()
    pass(900)
    expect(seen.ended).to.equal(0)
    pass(200)
    expect([seen.transport.isClosed, seen.ended]).to.deep.equal([true, 1])
  })

  it('counts until the caller has sent too much, or broke the connection', async () => {
    const [much, broken] = [refuse().seen, refuse().seen]
    much.transport.send('x'.repeat(limits.maxDrainBytes + 1))
    broken.transport.breakNow()
    await eventually(() => much.transport.isClosed)
    expect([much.ended, broken.ended]).to.deep.equal([1, 1])
  })

  it('to who is gone already is none', () => {
    const gone = new MemoryTransport()
    gone.close()
    expect(refuse(gone).seen.ended).to.equal(1)
  })
})
