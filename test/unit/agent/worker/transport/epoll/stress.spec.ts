/**
 * What an edge-triggered loop gets wrong when it is wrong: what is told once must not be lost, told twice, or told to
 * somebody else.
 */
import { expect } from 'chai'
import { readdirSync } from 'node:fs'

import { epollTransports } from '../../../../../../agent/worker/transport/epoll/transports.ts'
import { Output } from '../../../../../../agent/worker/transport/output.ts'
import { rawTransports } from '../../../../../../agent/worker/transport/raw-handle.ts'
import type {
  Transport,
  TransportListener,
  TransportOwner,
  Transports,
} from '../../../../../../agent/worker/transport/transport.ts'
import { loadNative } from '../../../../../../native/descriptors.ts'
import { openFastCalls } from '../../../../../../native/fast-calls.ts'
import { eventually, holds } from '../../../../../support/worker/eventually.ts'
import { seededRandom } from '../../../../../support/seeded-random.ts'
import { sendUrgent } from '../../../../../support/worker/urgent.ts'

const quiet: TransportOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }
const poison = 0xee

for (const kind of ['epoll', 'raw'] as const) {
  describe(`${kind} transports under stress`, () => {
    let output: Output
    let transports: Transports
    let listener: TransportListener
    let accepted: Transport[]
    let all: Transport[]

    beforeEach(async () => {
      output = new Output()
      output.bytes.fill(poison)
      transports = kind === 'raw' ? rawTransports(output) : epollTransports(output, openFastCalls().calls!)
      accepted = []
      all = []
      const options = { address: '127.0.0.1', port: 0, backlog: 511, reusePort: false }
      listener = await transports.listen(options, (one) => {
        accepted.push(one)
        all.push(one)
      })
    })

    afterEach(() => {
      for (const one of all) one.close()
      listener.close()
    })

    const dial = () =>
      new Promise<Transport>((resolve, reject) => {
        transports.dial('127.0.0.1', listener.port, (transport, reason) => {
          if (transport === null) return reject(new Error(reason))
          all.push(transport)
          resolve(transport)
        })
      })
    const pair = async (): Promise<[Transport, Transport]> => {
      const near = await dial()
      await eventually(() => accepted.length > 0)
      return [near, accepted.shift()!]
    }
    const send = (transport: Transport, text: string) => {
      output.latin1(text)
      return transport.write(output)
    }

    it('read what lies behind urgent data', async () => {
      const [near, far] = await pair()
      let text = ''
      far.owner = { ...quiet, onBytes: (bytes, length) => (text += bytes.toString('latin1', 0, length)) }
      far.resumeReading()
      send(near, 'before ')
      await eventually(() => text === 'before ')
      sendUrgent(near.descriptor, '!')
      send(near, 'behind')
      await eventually(() => text === 'before behind')
      far.pauseReading()
      send(near, ' one')
      sendUrgent(near.descriptor, '!')
      send(near, ' two')
      sendUrgent(near.descriptor, '!')
      send(near, ' three')
      near.end()
      let isOver = false
      far.owner = { ...far.owner, onEnd: () => (isOver = true) }
      far.resumeReading()
      await eventually(() => isOver)
      // Only the last urgent byte is taken out of the stream; an earlier one that was not read stays in it.
      expect(text.replaceAll('!', '')).to.equal('before behind one two three')
    })

    it('send nothing but what was written, however slowly it is taken, and read it whole', async () => {
      const [near, far] = await pair()
      const random = seededRandom(7)
      let wrong = 0
      let received = 0
      let sent = 0
      let isDrained = true
      // Every byte says where it stands; a poisoned or a foreign one is seen.
      const valueAt = (at: number): number => at % 251
      near.owner = { ...quiet, onDrained: () => (isDrained = true) }
      far.owner = {
        ...quiet,
        onBytes(bytes, length) {
          for (let i = 0; i < length; i++) if (bytes[i] !== valueAt(received + i)) wrong++
          received += length
          bytes.fill(poison)
          if (random() < 0.3) {
            far.pauseReading()
            setImmediate(() => far.resumeReading())
          }
        },
      }
      far.resumeReading()
      while (sent < 24 * 1024 * 1024) {
        const length = 1 + Math.floor(random() ** 4 * 90_000)
        const part = Buffer.allocUnsafe(length)
        for (let i = 0; i < length; i++) part[i] = valueAt(sent + i)
        if (random() < 0.2) isDrained = near.writeFrom(part, length) && isDrained
        else {
          output.append(part)
          isDrained = near.write(output) && isDrained
        }
        output.bytes.fill(poison, output.length)
        sent += length
        if (!isDrained && random() < 0.7) await eventually(() => isDrained)
      }
      await eventually(() => received === sent)
      expect(wrong).to.equal(0)
    })

    it('tell nobody of a socket whose number was given out anew, also in the same turn', async () => {
      const pairs = await Promise.all(Array.from({ length: 40 }, () => dial()))
      await eventually(() => accepted.length === 40)
      const far = accepted.splice(0)
      const portOf = new Map(far.map((one) => [one.peer().port, one]))
      const told: string[] = []
      let reopened = 0
      for (const near of pairs) {
        const mine = portOf.get(near.peer().localPort)!
        mine.owner = {
          ...quiet,
          onBytes(bytes, length) {
            const text = bytes.toString('latin1', 0, length)
            if (text !== String(near.peer().localPort)) told.push(`${text} to ${near.peer().localPort}`)
            // Closes the whole batch and takes its numbers at once.
            for (const other of far) other.close()
            while (reopened < 40) {
              reopened++
              void dial().then((fresh) => {
                fresh.owner = { ...quiet, onBytes: () => told.push('to a fresh one'), onEnd: () => told.push('end') }
                fresh.resumeReading()
              })
            }
          },
        }
        mine.resumeReading()
      }
      for (const near of pairs) send(near, String(near.peer().localPort))
      await eventually(() => accepted.length === 40)
      await holds(() => told.length === 0, 30)
    })

    it('tell nobody of a socket that was given away while a copy lives', async () => {
      const { native } = loadNative()
      const [near, far] = await pair()
      let told = 0
      far.owner = { ...quiet, onBytes: () => told++, onEnd: () => told++, onClosed: () => told++ }
      far.resumeReading()
      const copy = native!.duplicate(far.descriptor)
      expect(far.detach().unsent.length).to.equal(0)
      send(near, 'hello')
      near.end()
      const other = transports.open(copy, null)
      all.push(other)
      let text = ''
      let isOver = false
      other.owner = {
        ...quiet,
        onBytes: (bytes, length) => (text += bytes.toString('latin1', 0, length)),
        onEnd: () => (isOver = true),
      }
      other.resumeReading()
      await eventually(() => isOver)
      expect([text, told]).to.deep.equal(['hello', 0])
    })

    it('give what was not sent along, in order, and nothing twice', async () => {
      const { native } = loadNative()
      const [near, far] = await pair()
      let sent = 0
      const block = Buffer.alloc(60_000)
      while (near.pendingBytes === 0 || sent % 5 !== 0) {
        block.fill(sent++ % 251)
        output.append(block)
        near.write(output)
        output.bytes.fill(poison)
      }
      const copy = native!.duplicate(near.descriptor)
      const { unsent } = near.detach()
      const other = transports.open(copy, null)
      all.push(other)
      let received = 0
      let wrong = 0
      far.owner = {
        ...quiet,
        onBytes(bytes, length) {
          for (let i = 0; i < length; i++) if (bytes[i] !== Math.floor((received + i) / 60_000) % 251) wrong++
          received += length
        },
      }
      other.writeFrom(unsent, unsent.length)
      far.resumeReading()
      await eventually(() => received === sent * 60_000)
      expect(wrong).to.equal(0)
    })

    it('leave no descriptor behind, however connections end', async () => {
      const descriptors = () => readdirSync('/proc/self/fd').length
      const { native } = loadNative()
      const endings: ((near: Transport, far: Transport) => void)[] = [
        (near) => near.close(),
        (near) => near.reset(),
        (near, far) => {
          near.end()
          far.end()
        },
        (near) => {
          const copy = native!.duplicate(near.descriptor)
          near.detach()
          native!.close(copy)
        },
        (near, far) => {
          output.append(Buffer.alloc(60_000))
          near.write(output)
          far.reset()
        },
      ]
      const round = async () => {
        for (const end of endings) {
          const [near, far] = await pair()
          for (const one of [near, far]) {
            one.owner = { ...quiet, onEnd: () => one.close() }
            one.resumeReading()
          }
          end(near, far)
        }
        const cancelled = transports.dial('127.0.0.1', listener.port, () => expect.fail('a cancelled dial answered'))
        cancelled.cancel()
        await new Promise<void>((resolve) => transports.dial('127.0.0.1', 1, () => resolve()))
      }
      const closeAll = () => {
        for (const one of all.splice(0)) one.close()
        accepted.length = 0
      }
      await round()
      closeAll()
      const before = descriptors()
      for (let count = 0; count < 20; count++) await round()
      closeAll()
      await eventually(() => {
        closeAll()
        return descriptors() <= before
      })
    })

    it('serve everybody while one sends without end', async () => {
      const [loud, loudFar] = await pair()
      const [near, far] = await pair()
      let isOver = false
      const block = Buffer.alloc(64 * 1024, 'x')
      const pour = () => {
        while (!isOver && loud.pendingBytes === 0) loud.writeFrom(block, block.length)
      }
      let poured = 0
      loud.owner = { ...quiet, onDrained: pour }
      loudFar.owner = { ...quiet, onBytes: (_bytes, length) => (poured += length) }
      loudFar.resumeReading()
      pour()
      let rounds = 0
      far.owner = { ...quiet, onBytes: () => send(far, 'pong') }
      near.owner = {
        ...quiet,
        onBytes() {
          if (++rounds < 200) send(near, 'ping')
        },
      }
      near.resumeReading()
      far.resumeReading()
      send(near, 'ping')
      await eventually(() => rounds === 200)
      isOver = true
      expect(poured).to.be.greaterThan(0)
    })
  })
}
