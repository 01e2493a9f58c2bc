import { expect } from 'chai'

import { epollTransports } from '../../../../../agent/worker/transport/epoll/transports.ts'
import { Output } from '../../../../../agent/worker/transport/output.ts'
import { publicTransports } from '../../../../../agent/worker/transport/public-socket.ts'
import { rawTransports } from '../../../../../agent/worker/transport/raw-handle.ts'
import { proveTransports } from '../../../../../agent/worker/transport/raw-self-test.ts'
import { Fate } from '../../../../../agent/worker/transport/transport.ts'
import type { Transport, TransportKind, Transports } from '../../../../../agent/worker/transport/transport.ts'
import { loadNative } from '../../../../../native/descriptors.ts'
import { openFastCalls } from '../../../../../native/fast-calls.ts'
import { TcpSockets } from '../../../../../native/tcp-sockets.ts'
import { allowedBacklog, backlogOf } from '../../../../support/continuity/backlog.ts'
import { eventually, holds } from '../../../../support/worker/eventually.ts'

interface Side {
  readonly transport: Transport
  text: string
  hasEnded: boolean
  drains: number
  closed: string | undefined
}

function watch(transport: Transport): Side {
  const side: Side = { transport, text: '', hasEnded: false, drains: 0, closed: undefined }
  transport.owner = {
    onBytes: (bytes, length) => (side.text += bytes.toString('latin1', 0, length)),
    onEnd: () => (side.hasEnded = true),
    onDrained: () => side.drains++,
    onClosed: (reason) => (side.closed = reason),
  }
  return side
}

const makers: Readonly<Record<TransportKind, (output: Output) => Transports>> = {
  epoll: (output) => {
    const { calls, problem } = openFastCalls()
    if (calls === undefined) throw new Error(problem)
    return epollTransports(output, calls)
  },
  raw: rawTransports,
  public: publicTransports,
}

for (const kind of ['epoll', 'raw', 'public'] as const) {
  describe(`${kind} transports`, () => {
    let output: Output
    let transports: Transports
    let near: Side
    let far: Side
    let close: () => void

    beforeEach(async () => {
      output = new Output()
      transports = makers[kind](output)
      const accepted: Transport[] = []
      const listener = await transports.listen({ address: '127.0.0.1', port: 0, backlog: 8, reusePort: false }, (one) =>
        accepted.push(one),
      )
      const dialled = await new Promise<Transport>((resolve, reject) => {
        transports.dial('127.0.0.1', listener.port, (transport, reason) =>
          transport === null ? reject(new Error(reason)) : resolve(transport),
        )
      })
      await eventually(() => accepted.length === 1)
      near = watch(dialled)
      far = watch(accepted[0]!)
      close = () => {
        near.transport.close()
        far.transport.close()
        listener.close()
      }
    })

    afterEach(() => close())

    const send = (side: Side, text: string): boolean => {
      output.latin1(text)
      return side.transport.write(output)
    }

    it('pass the self-test', async () => {
      await proveTransports(transports, output)
    })

    it('carry bytes and tell both ends of the connection', async () => {
      far.transport.resumeReading()
      expect(send(near, 'hello')).to.equal(true)
      await eventually(() => far.text === 'hello')
      expect(near.transport.peer().port).to.equal(far.transport.peer().localPort)
      expect(near.transport.peer().localPort).to.equal(far.transport.peer().port)
    })

    it('say nothing while reading is paused, not even the end, and lose nothing', async () => {
      far.transport.resumeReading()
      send(near, 'a')
      await eventually(() => far.text === 'a')
      far.transport.pauseReading()
      send(near, 'b')
      near.transport.end()
      await holds(() => far.text === 'a' && !far.hasEnded, 30)
      far.transport.resumeReading()
      await eventually(() => far.hasEnded)
      expect(far.text).to.equal('ab')
    })

    it('keep the bytes of a slow write while the output is filled anew, in order', async () => {
      let expected = ''
      const block = 'x'.repeat(60_000)
      let round = 0
      while (near.transport.pendingBytes === 0) {
        const text = `${round++}:${block}`
        expected += text
        send(near, text)
      }
      for (let i = 0; i < 5; i++) {
        expected += `late${i}`
        expect(send(near, `late${i}`)).to.equal(false)
      }
      far.transport.resumeReading()
      await eventually(() => far.text.length === expected.length)
      expect(far.text === expected).to.equal(true)
      await eventually(() => near.drains > 0)
      expect(near.transport.pendingBytes).to.equal(0)
    })

    if (kind !== 'public') {
      it('read nothing while they only wait, and tell again and again that something is there', async () => {
        let told = 0
        far.transport.owner = {
          ...far.transport.owner,
          onBytes(bytes, length) {
            far.text += bytes.toString('latin1', 0, length)
            if (far.text === 'first') far.transport.awaitReadable(true)
          },
          onReadable() {
            if (++told === 3) far.transport.awaitReadable(false)
          },
        }
        far.transport.resumeReading()
        send(near, 'first')
        await eventually(() => far.text === 'first')
        send(near, ' second')
        near.transport.end()
        await eventually(() => far.hasEnded)
        expect(told).to.equal(3)
        expect(far.text).to.equal('first second')
      })

      it('do not even say that something is there while they are paused', async () => {
        let told = 0
        far.transport.owner = {
          ...far.transport.owner,
          onBytes() {
            far.transport.awaitReadable(true)
            far.transport.pauseReading()
          },
          onReadable() {
            told++
            far.transport.awaitReadable(false)
          },
        }
        far.transport.resumeReading()
        send(near, 'first')
        await holds(() => told === 0, 20)
        send(near, 'second')
        await holds(() => told === 0, 20)
        far.transport.resumeReading()
        await eventually(() => told === 1)
      })
    }

    describe('say of what was sent over a connection that ended', () => {
      const fate = (sent: number) => near.transport.fateOf(sent)
      const ended = async () => {
        near.transport.resumeReading()
        await eventually(() => near.hasEnded || near.closed !== undefined)
      }

      it('that it may be read where the peer had it before it closed', async () => {
        far.transport.resumeReading()
        send(near, 'hello')
        await eventually(() => far.text === 'hello')
        far.transport.close()
        await ended()
        expect(fate(5)).to.equal(Fate.mayBeRead)
      })

      it(`that ${kind !== 'public' ? 'it was not acknowledged' : 'it may be read'} where the peer had closed before`, async () => {
        far.transport.close()
        send(near, 'hello')
        await ended()
        expect(fate(5)).to.equal(kind !== 'public' ? Fate.unacknowledged : Fate.mayBeRead)
      })

      it('that it may be read where a reset tells nothing', async () => {
        far.transport.resumeReading()
        send(near, 'hello')
        await eventually(() => far.text === 'hello')
        far.transport.reset()
        await ended()
        expect(near.closed).to.equal('ECONNRESET')
        expect(fate(5)).to.equal(Fate.mayBeRead)
      })

      if (kind !== 'public') {
        it('that nobody read it where the write failed', async () => {
          far.transport.reset()
          send(near, 'hello')
          await ended()
          expect(fate(5)).to.equal(Fate.unread)
          expect(fate(6)).to.equal(Fate.mayBeRead)
        })
      }
    })

    it('tell a reset, and nothing after it', async () => {
      far.transport.resumeReading()
      near.transport.reset()
      await eventually(() => far.closed !== undefined)
      expect(far.closed).to.equal('ECONNRESET')
      expect(far.transport.isClosed).to.equal(true)
      expect(send(far, 'x')).to.equal(false)
    })

    it('tell a write to a broken connection in a later turn', async () => {
      near.transport.reset()
      await holds(() => far.closed === undefined, 20)
      send(far, 'x')
      expect(far.closed).to.equal(undefined)
      far.transport.resumeReading()
      await eventually(() => far.closed !== undefined)
    })

    if (kind !== 'public')
      it('tell first what the peer said before the reset that a write meets, then that it is broken and not just ended', async () => {
        send(far, 'too large')
        far.transport.reset()
        await eventually(() => near.transport.hasPeerEnded)
        near.transport.resumeReading()
        expect(send(near, 'more')).to.equal(false)
        // not idle in between
        await new Promise((resolve) => setImmediate(resolve))
        expect(near.transport.isClosed || near.transport.pendingBytes > 0).to.equal(true)
        await eventually(() => near.closed !== undefined)
        expect(near.text).to.equal('too large')
        expect([near.hasEnded, near.transport.isClosed]).to.deep.equal([false, true])
        expect(near.transport.fateOf(4)).to.equal(Fate.unread)
      })

    it('can be closed twice', () => {
      near.transport.close()
      near.transport.close()
      near.transport.reset()
      expect(near.transport.isClosed).to.equal(true)
    })

    it('name the reason of a failed dial', async () => {
      const reason = await new Promise<string>((resolve) => {
        transports.dial('127.0.0.1', 1, (_transport, error) => resolve(error))
      })
      expect(reason).to.equal('ECONNREFUSED')
    })

    it('accept on a socket of another process with the queue that they are told, whatever it had', async () => {
      const sockets = new TcpSockets()
      const { native, problem } = loadNative()
      if (native === undefined) throw new Error(problem)
      const descriptor = sockets.bound('127.0.0.1', 0, false)
      sockets.listen(descriptor, 4, 'test')
      const copy = native.duplicate(descriptor)
      const adopted = await transports.listenOn(descriptor, 1000, (one) => one.close())
      try {
        expect(backlogOf(copy)).to.equal(allowedBacklog(1000))
      } finally {
        adopted.close()
        native.close(copy)
      }
    })

    it('reject a taken address with its code', async () => {
      const { localPort } = far.transport.peer()
      const options = { address: '127.0.0.1', port: localPort, backlog: 1, reusePort: false }
      let code: unknown
      await transports.listen(options, () => {}).catch((error: NodeJS.ErrnoException) => (code = error.code))
      expect(code).to.equal('EADDRINUSE')
    })
  })
}
