import { createServer, connect } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { once } from 'node:events'

import { expect } from 'chai'

import { descriptorOf } from '../../../native/frame-stream.ts'
import { KernelPipe, nothingToTake, takeFailed } from '../../../native/kernel-pipe.ts'
import { openFastCalls } from '../../../native/fast-calls.ts'
import { eventually } from '../../support/worker/eventually.ts'

/** More than a loopback connection's buffers hold when nobody reads. */
const tooMuch = 32 * 1024 * 1024

for (const isFast of [false, true])
  describe(`a pipe of the kernel${isFast ? ', by calls without a wrapper' : ''}`, () => {
    let pipe: KernelPipe
    let server: Server
    const sockets: Socket[] = []

    before(() => {
      const opened = KernelPipe.open(256 * 1024, isFast ? openFastCalls().calls : undefined)
      if (opened === undefined) throw new Error('the kernel does not splice here')
      pipe = opened
    })
    after(() => pipe.close())

    beforeEach(async () => {
      server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1')
      await once(server, 'listening')
    })
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.destroy()
      server.close()
      await once(server, 'close')
    })

    /** Two ends of a connection; Node reads neither. */
    async function connection(): Promise<[near: Socket, far: Socket]> {
      const accepted = once(server, 'connection') as Promise<[Socket]>
      const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
      near.pause()
      const [far] = await accepted
      if (near.connecting) await once(near, 'connect')
      for (const socket of [near, far]) {
        socket.on('error', () => {})
        sockets.push(socket)
      }
      return [near, far]
    }

    async function takenFrom(socket: Socket, atMost: number): Promise<number> {
      let taken = nothingToTake
      await eventually(() => (taken = pipe.take(descriptorOf(socket), atMost)) !== nothingToTake)
      return taken
    }

    it('has the size that was asked for', () => {
      expect(pipe.capacity).to.equal(256 * 1024)
    })

    it('carries bytes from one connection to another', async () => {
      const [source, from] = await connection()
      const [to, sink] = await connection()
      expect(pipe.take(descriptorOf(from), 100)).to.equal(nothingToTake)
      source.write('hello')
      expect(await takenFrom(from, 100)).to.equal(5)
      expect(pipe.give(descriptorOf(to), 5)).to.equal(5)
      const [bytes] = (await once(sink.resume(), 'data')) as [Buffer]
      expect(bytes.toString()).to.equal('hello')
    })

    it('takes no more than it may, and tells the end', async () => {
      const [source, from] = await connection()
      source.end('hello')
      expect(await takenFrom(from, 3)).to.equal(3)
      expect(pipe.rest(3).toString()).to.equal('hel')
      expect(await takenFrom(from, 100)).to.equal(2)
      expect(pipe.rest(2).toString()).to.equal('lo')
      expect(await takenFrom(from, 100)).to.equal(0)
    })

    it('gives back what a receiver that does not read has not taken, in order', async () => {
      const [source, from] = await connection()
      const [to, sink] = await connection()
      const sent = Buffer.alloc(tooMuch, 'abcdefghijklm')
      source.write(sent)
      let given = 0
      let rest: Buffer = Buffer.alloc(0)
      while (rest.length === 0) {
        if (given > tooMuch) throw new Error('the receiver took everything')
        const taken = await takenFrom(from, pipe.capacity)
        const step = pipe.give(descriptorOf(to), taken)
        given += step
        if (step < taken) rest = pipe.rest(taken - step)
      }
      expect(pipe.give(descriptorOf(to), 1), 'nothing is left in the pipe').to.equal(0)
      expect(rest.equals(sent.subarray(given, given + rest.length))).to.equal(true)
      let received = 0
      sink.on('data', (bytes: Buffer) => (received += bytes.length)).resume()
      await eventually(() => received === given)
    })

    it('tells a reset apart from the end, and places nothing at a closed connection', async () => {
      const [source, from] = await connection()
      source.resetAndDestroy()
      expect(await takenFrom(from, 100)).to.equal(takeFailed)
      const [other, back] = await connection()
      other.write('x')
      expect(await takenFrom(back, 100)).to.equal(1)
      expect(pipe.give(descriptorOf(from), 1)).to.equal(0)
      expect(pipe.rest(1).toString()).to.equal('x')
    })
  })
