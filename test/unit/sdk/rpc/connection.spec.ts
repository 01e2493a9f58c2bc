import { once } from 'node:events'
import net from 'node:net'
import { expect } from 'chai'

import { BoltCodec } from '../../../../rpc/bolt/bolt.ts'
import { FrameKind, RpcFrame } from '../../../../rpc/frame.ts'
import { HeldBudget } from '../../../../rpc/held-budget.ts'
import { RpcConnection } from '../../../../sdk/rpc/connection.ts'
import type { Sent } from '../../../../sdk/rpc/connection.ts'
import { boltFrame, boltRequest } from '../../../support/rpc/bolt-frames.ts'
import { startApplication } from '../../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../../support/rpc/far-sides.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import type { ManualClock } from '../../../support/manual-clock.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const codec = new BoltCodec()

describe('one connection of the SDK', () => {
  let clock: ManualClock
  let connection: RpcConnection
  let closed = 0
  /** How often somebody asked for the time: with each read, too. */
  let looks = 0

  /** `lateMs`: by how much timers are late. */
  const open = (port: number, lateMs = 0): void => {
    const exact = manualClock()
    looks = 0
    clock = {
      ...exact,
      monotonic: () => {
        looks++
        return exact.monotonic()
      },
      after: (ms, call) => exact.after(ms + lateMs, call),
    }
    closed = 0
    connection = new RpcConnection(
      codec,
      { tier: 'direct', address: { host: '127.0.0.1', port }, proxy: undefined, service: '' },
      {
        clock,
        budget: new HeldBudget(100_000_000),
        introduction: () => Buffer.alloc(0),
        onClosed: () => void closed++,
      },
    )
  }
  const send = (contentBytes = 0): Promise<Sent> => {
    const bytes = boltRequest('orders', 'place', { content: Buffer.alloc(contentBytes) })
    const frame = new RpcFrame()
    codec.read(bytes, 0, bytes.length, frame)
    return connection.send(bytes, frame).sent
  }
  const lookMs = 5000

  afterEach(() => connection.close())

  describe('to an endpoint that answers heartbeats', () => {
    let far: RpcApplication

    beforeEach(async () => {
      far = await startApplication(codec, () => boltFrame({ type: 0 }))
    })

    afterEach(() => far.close())

    it('stays while each of them is answered, a few ms later, and its timers are late, too', async () => {
      const [lateMs, answerMs] = [3, 5]
      open(far.port, lateMs)
      await send()
      clock.advance(lookMs + lateMs)
      for (let asked = 1; asked <= 5; asked++) {
        clock.advance(answerMs)
        await eventually(() => far.heartbeats === asked)
        // behind the answer
        expect((await send()).kind).to.equal('reply')
        // what came was too fresh at the next look, and is older than two looks at the one after it
        clock.advance(2 * (lookMs + lateMs) - answerMs)
        await new Promise((resolve) => setImmediate(resolve))
        expect(closed).to.equal(0)
      }
    })
  })

  describe('to an endpoint that says nothing', () => {
    let server: net.Server
    const sockets: net.Socket[] = []

    beforeEach(async () => {
      server = net.createServer((socket) => sockets.push(socket.on('error', () => undefined)))
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    })

    afterEach(() => {
      for (const socket of sockets.splice(0)) socket.destroy()
      server.close()
    })

    const opened = async (): Promise<net.Socket> => {
      open((server.address() as net.AddressInfo).port)
      await eventually(() => sockets.length === 1)
      return sockets[0]!
    }

    it('ends one look after it was asked', async () => {
      const socket = await opened()
      const sent = send()
      const [first] = (await once(socket, 'data')) as [Buffer]
      expect(first.length).to.be.above(20)
      clock.advance(lookMs)
      const [asked] = (await once(socket, 'data')) as [Buffer]
      const frame = new RpcFrame()
      codec.read(asked, 0, asked.length, frame)
      expect([frame.kind, closed]).to.deep.equal([FrameKind.heartbeat, 0])
      clock.advance(lookMs)
      const became = await sent
      expect(became.kind).to.equal('broken')
      expect(closed).to.equal(1)
    })

    it('ends where a reply comes byte by byte and does not end', async () => {
      const socket = await opened()
      const sent = send()
      await once(socket, 'data')
      const reply = boltFrame({ type: 0, content: Buffer.alloc(100) })
      let became: Sent | undefined
      void sent.then((one) => (became = one))
      for (let at = 0; at < 30 && became === undefined; at++) {
        const before = looks
        socket.write(reply.subarray(at, at + 1))
        await eventually(() => looks > before)
        clock.advance(lookMs)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(became?.kind === 'broken' && became.error.message).to.include('a frame stopped coming')
      expect(clock.monotonic()).to.be.at.least(120_000)
    })

    it('ends where heartbeats of the far side are not read when they are answered', async () => {
      const socket = await opened()
      const first = send()
      await once(socket, 'data')
      socket.pause()
      // more than the bound, with what kernels take beside it
      for (let at = 0; at < 4; at++) void send(8_000_000)
      expect([closed, connection.isUsable]).to.deep.equal([0, false])
      socket.write(boltFrame({ command: 0 }))
      const became = await first
      expect(became.kind === 'broken' && became.error.message).to.include('does not read')
    })
  })
})
