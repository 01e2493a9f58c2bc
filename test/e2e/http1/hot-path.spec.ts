/**
 * What one keep-alive request may cost a worker process: system calls and garbage. Alarms for a jump; exact figures are
 * the benchmarks'.
 */
import { expect } from 'chai'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

import { snapshotOf } from '../../support/worker/snapshots.ts'
import { freePort } from '../../support/free-port.ts'
import { goBeforeOthers } from '../../support/priority.ts'
import { WorkerProcess } from '../../support/worker/worker-process.ts'

const request = Buffer.from('GET /api/orders?x=1 HTTP/1.1\r\nHost: orders\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n')
const reply = Buffer.from('HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok')
const connections = 16

describe('the hot path of a worker', function () {
  this.timeout(120_000)
  let origin: Server
  let worker: WorkerProcess
  let port: number
  let goAsOthers: () => void

  before(async () => {
    // how many requests a turn of the loop serves is part of what each costs
    goAsOthers = goBeforeOthers()
    // One request at a time per connection, each in one piece: a piece is a request
    origin = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', () => socket.write(reply))
    })
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
    port = await freePort()
    const endpoint = { address: '127.0.0.1', port: (origin.address() as AddressInfo).port }
    worker = await WorkerProcess.start(
      snapshotOf({
        services: [{ name: 'orders', endpoints: [endpoint] }],
        listen: { orders: { address: '127.0.0.1', port } },
      }),
      ['--trace-gc'],
      // What sockets of our own cost is counted call by call in epoll/calls-per-request.spec.ts: /proc/PID/io does not
      // know recv and send
      { transport: 'raw' },
    )
    await send(20_000)
  })

  after(async () => {
    await worker?.stop()
    await new Promise<void>((resolve) => origin.close(() => resolve()))
    goAsOthers()
  })

  /** Sends that many requests over keep-alive connections, each of them one after another. */
  async function send(count: number): Promise<void> {
    let left = count
    await Promise.all(
      Array.from(
        { length: connections },
        () =>
          new Promise<void>((resolve, reject) => {
            const socket = connect({ port, host: '127.0.0.1', noDelay: true })
            socket.on('error', reject)
            const next = () => {
              if (left-- <= 0) {
                socket.destroy()
                resolve()
              } else socket.write(request)
            }
            let text = ''
            socket.on('data', (chunk: Buffer) => {
              text += chunk.toString('latin1')
              if (!text.endsWith('\r\n\r\nok')) return
              if (!text.startsWith('HTTP/1.1 200 ')) reject(new Error(text))
              text = ''
              next()
            })
            socket.once('connect', next)
          }),
      ),
    )
  }

  it('makes two reads and two writes per request (needs /proc/PID/io)', async function () {
    const file = `/proc/${worker.pid}/io`
    if (!existsSync(file)) {
      // Needs a kernel that counts system calls per process (CONFIG_TASK_IO_ACCOUNTING)
      this.skip()
    }
    const calls = () => {
      const text = readFileSync(file, 'utf8')
      const of = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1])
      return { reads: of('syscr'), writes: of('syscw') }
    }
    const count = 20_000
    const before = calls()
    await send(count)
    const after = calls()
    // Below 2 the calls would be others than read and write, which this file does not count
    expect((after.reads - before.reads) / count, 'reads').to.be.within(1.98, 2.1)
    expect((after.writes - before.writes) / count, 'writes').to.be.within(1.98, 2.1)
  })

  it('leaves so little garbage that 100,000 requests need at most five scavenges of 2.8 MB', async () => {
    // In bytes, because the engine makes its young generation smaller when little happens, and then scavenges more
    // often
    const collected = (): number => {
      const scavenges = [...worker.log(Infinity).matchAll(/Scavenge ([\d.]+) \([\d.]+\) -> ([\d.]+) /g)]
      return scavenges.reduce((sum, [, before, after]) => sum + Number(before) - Number(after), 0)
    }
    const count = 60_000
    // The best of at most three: on a busy machine the engine is still compiling during the first, and what is
    // interpreted makes garbage
    const made: number[] = []
    for (let round = 0; round < 3; round++) {
      const before = collected()
      await send(count)
      made.push(((collected() - before) * 100_000) / count)
      if (made.at(-1)! <= 5 * 2.8) break
    }
    expect(collected(), 'what is counted').to.be.above(0)
    expect(Math.min(...made), `MB: ${made.join()}`).to.be.at.most(5 * 2.8)
  })
})
