/**
 * Callers that drip their head or body, or do not read: all are ended by the limits while others are served as if
 * nothing were.
 */
import { expect } from 'chai'

import { RawCaller } from '../../support/http1/raw-caller.ts'
import { startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { goBeforeOthers } from '../../support/priority.ts'

const drippers = 200
/** Each one's reply fills the kernel's buffers on the way, so there are fewer of them. */
const nonReaders = 20
const limits = {
  headTimeoutMs: 2500,
  bodyIdleTimeoutMs: 2500,
  requestTimeoutMs: 5000,
  drainTimeoutMs: 300,
  keepAliveTimeoutMs: 20_000,
}

describe('a worker with hundreds of slow callers', function () {
  this.timeout(120_000)
  let mesh: RecordedMesh
  const callers: RawCaller[] = []
  let goAsOthers: () => void

  before(async () => {
    goAsOthers = goBeforeOthers()
    mesh = await startRecordedMesh('process', limits)
  })

  after(async () => {
    for (const caller of callers) caller.close()
    await mesh.close()
    goAsOthers()
  })

  async function slow(count: number, first: string, drip: string, reads: boolean): Promise<void> {
    for (let i = 0; i < count; i++) {
      const caller = await RawCaller.open(mesh.port)
      callers.push(caller)
      if (!reads) caller.socket.pause()
      caller.send(first)
      if (drip === '') continue
      const timer = setInterval(() => caller.send(drip), 250)
      caller.socket.once('close', () => clearInterval(timer))
      caller.socket.once('end', () => clearInterval(timer))
    }
  }

  it('ends every slow one and answers a healthy one all the time', async () => {
    const large = Buffer.alloc(24_000_000, 'x')
    const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`)
    mesh.backend.answer = (message, connection) => {
      if (message.target !== '/large') return 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      connection.socket.write(head)
      return large
    }
    await slow(drippers, 'GET / HTTP/1.1\r\nHost: a\r\n', 'X-Drip: 1\r\n', true)
    await slow(drippers, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n', 'x', true)
    await slow(nonReaders, 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n', '', false)

    const healthy = await RawCaller.open(mesh.port)
    callers.push(healthy)
    const times: number[] = []
    const isSlowOver = () => callers.every((caller) => caller === healthy || caller.isOver || caller.socket.isPaused())
    const begin = performance.now()
    while (times.length < 200 || !isSlowOver()) {
      if (performance.now() - begin > 30_000) throw new Error('slow callers are still there')
      const startedAt = performance.now()
      healthy.bytes = Buffer.alloc(0)
      healthy.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await healthy.expect(/ok$/)
      times.push(performance.now() - startedAt)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await grown(drippers, 'hostmesh_request_head_timeouts_total')).to.equal(drippers)
    // On a busy machine a drip may come so late that the pause is what ends it
    const bodies = ['hostmesh_request_timeouts_total', 'hostmesh_request_body_timeouts_total']
    expect(await grown(drippers, ...bodies)).to.be.at.least(drippers)
    expect(await grown(nonReaders, 'hostmesh_stalled_callers_total')).to.equal(nonReaders)
    times.sort((a, b) => a - b)
    // Far above a quiet machine's: the bound is for a worker that stalls, not for a busy test machine
    expect(times[Math.floor(times.length * 0.99)]).to.be.lessThan(1000)
    mesh.expectAlive()
  })

  /** The sum of the metrics once it reached `wanted`, or what it was when time ran out. */
  async function grown(wanted: number, ...metrics: string[]): Promise<number> {
    const deadline = performance.now() + 10_000
    for (;;) {
      const values = await Promise.all(metrics.map((metric) => mesh.metric(metric)))
      const sum = values.reduce<number>((total, value) => total + (value ?? 0), 0)
      if (sum >= wanted || performance.now() > deadline) return sum
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
})
