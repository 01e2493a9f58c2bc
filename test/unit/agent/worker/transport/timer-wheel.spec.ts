import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect } from 'chai'

import { eventually } from '../../../../support/worker/eventually.ts'
import { processWakeUp, tickMs, Timer, TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'

/** A wheel on a manual clock; `advance` also makes the wake-up call when it is due. */
function manualWheel() {
  let now = 1000
  let wake: (() => void) | undefined
  let wakeAt = Infinity
  let wakeUps = 0
  const wheel = new TimerWheel(
    () => now,
    (callback, delayMs) => {
      wake = callback
      wakeAt = now + delayMs
    },
  )
  return {
    wheel,
    get now() {
      return now
    },
    get wakeUps() {
      return wakeUps
    },
    advance(ms: number) {
      const end = now + ms
      while (wakeAt <= end) {
        now = wakeAt
        wakeAt = Infinity
        wakeUps++
        wake!()
      }
      now = end
    },
  }
}

function recorder() {
  const fired: number[] = []
  return { fired, onTimer: (timer: Timer) => void fired.push(timer.kind) }
}

describe('timer wheel', () => {
  for (const delay of [1, 5, 100, 4090, 4100, 60_000, 3_600_000]) {
    it(`fires a deadline ${delay} ms away never early and at most two ticks late`, () => {
      const clock = manualWheel()
      let firedAt = 0
      const timer = new Timer({ onTimer: () => (firedAt = clock.now) }, 0)
      const due = clock.now + delay
      clock.wheel.arm(timer, due)
      clock.advance(delay + 3 * tickMs)
      expect(firedAt).to.be.at.least(due)
      expect(firedAt).to.be.at.most(due + 2 * tickMs)
    })
  }

  it('does not fire a timer that was disarmed', () => {
    const clock = manualWheel()
    const owner = recorder()
    const timer = new Timer(owner, 7)
    clock.wheel.arm(timer, clock.now + 50)
    clock.wheel.disarm(timer)
    clock.advance(200)
    expect(owner.fired).to.deep.equal([])
    expect(clock.wheel.size).to.equal(0)
  })

  it('fires at the later deadline when a timer is moved away', () => {
    const clock = manualWheel()
    const owner = recorder()
    const timer = new Timer(owner, 7)
    clock.wheel.arm(timer, clock.now + 50)
    clock.wheel.arm(timer, clock.now + 500)
    clock.advance(400)
    expect(owner.fired).to.deep.equal([])
    clock.advance(200)
    expect(owner.fired).to.deep.equal([7])
  })

  it('fires at the earlier deadline when a timer is moved nearer', () => {
    const clock = manualWheel()
    const owner = recorder()
    const timer = new Timer(owner, 7)
    clock.wheel.arm(timer, clock.now + 60_000)
    clock.wheel.arm(timer, clock.now + 20)
    clock.advance(40)
    expect(owner.fired).to.deep.equal([7])
  })

  it('lets a timer be armed again from its own call', () => {
    const clock = manualWheel()
    let count = 0
    const timer: Timer = new Timer(
      {
        onTimer: () => {
          if (++count < 3) clock.wheel.arm(timer, clock.now + 10)
        },
      },
      0,
    )
    clock.wheel.arm(timer, clock.now + 10)
    clock.advance(100)
    expect(count).to.equal(3)
  })

  it('does not hold a dropped timer', () => {
    const clock = manualWheel()
    const timer = new Timer(recorder(), 0)
    clock.wheel.arm(timer, clock.now + 60_000)
    clock.wheel.drop(timer)
    expect(clock.wheel.size).to.equal(0)
  })

  it('sleeps through quiet time: a deadline of a minute costs at most one wake-up per four seconds', () => {
    const clock = manualWheel()
    clock.wheel.arm(new Timer(recorder(), 0), clock.now + 60_000)
    clock.advance(60_100)
    expect(clock.wakeUps).to.be.at.most(17)
  })

  it('fires ten thousand deadlines in order of their ticks', () => {
    const clock = manualWheel()
    const owner = recorder()
    const dues = Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 10_000)
    for (const due of dues) clock.wheel.arm(new Timer(owner, due), clock.now + due)
    clock.advance(10_100)
    expect(owner.fired).to.have.length(10_000)
    for (let i = 1; i < owner.fired.length; i++) expect(owner.fired[i]! - owner.fired[i - 1]!).to.be.above(-2 * tickMs)
  })
})

describe('the wake-up call of a process', () => {
  it('comes behind what lies in the sockets when the process stood still', async () => {
    const order: string[] = []
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [peer] = (await once(server, 'connection')) as [Socket]
    await once(endpoint, 'ready')
    peer.once('data', () => order.push('reply'))
    setImmediate(() => {
      processWakeUp()(() => order.push('time-out'), tickMs)
      endpoint.write('reply')
      for (const end = performance.now() + 100; performance.now() < end;);
    })
    await eventually(() => order.length === 2)
    expect(order).to.deep.equal(['reply', 'time-out'])
    endpoint.destroy()
    server.close()
  })
})
