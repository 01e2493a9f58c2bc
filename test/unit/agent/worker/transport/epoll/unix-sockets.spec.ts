import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Edge } from '../../../../../../agent/worker/transport/epoll/loop.ts'
import type { EpollTransport } from '../../../../../../agent/worker/transport/epoll/socket.ts'
import { epollTransports } from '../../../../../../agent/worker/transport/epoll/transports.ts'
import { Output } from '../../../../../../agent/worker/transport/output.ts'
import type { Transports } from '../../../../../../agent/worker/transport/transport.ts'
import { loadNative } from '../../../../../../native/descriptors.ts'
import { openFastCalls } from '../../../../../../native/fast-calls.ts'
import { UnixSockets } from '../../../../../../native/unix-sockets.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

describe('a unix socket of our own', () => {
  let folder: string
  let output: Output
  let transports: Transports
  let near: EpollTransport
  let far: Socket
  let close: () => void
  let events: number[]

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-unix-'))
    const path = join(folder, 'a.sock')
    output = new Output()
    transports = epollTransports(output, openFastCalls().calls!)
    const accepted: EpollTransport[] = []
    const socket = UnixSockets.open()!.listener(path, { mode: 0o600 }, 8)
    const listener = await transports.listenOn(socket, 8, (one) => accepted.push(one as EpollTransport))
    far = connect(path)
    await eventually(() => accepted.length === 1)
    near = accepted[0]!
    events = watched(near)
    close = () => {
      far.destroy()
      near.close()
      listener.close()
    }
  })

  afterEach(() => {
    close()
    rmSync(folder, { recursive: true })
  })

  function watched(transport: EpollTransport): number[] {
    const seen: number[] = []
    const onEvents = transport.onEvents.bind(transport)
    transport.onEvents = (told) => {
      seen.push(told)
      onEvents(told)
    }
    return seen
  }

  async function answerRounds(transport: EpollTransport, rounds: number): Promise<void> {
    transport.owner = {
      onBytes() {
        output.latin1('answer')
        transport.write(output)
      },
      onEnd() {},
      onDrained() {},
      onClosed() {},
    }
    transport.resumeReading()
    for (let round = 0; round < rounds; round++) {
      far.write('question')
      await once(far, 'data')
    }
  }

  it('tells nothing when its peer has read, which would be an event for each answer', async () => {
    await answerRounds(near, 50)
    expect(events.filter((told) => (told & Edge.out) !== 0)).to.deep.equal([])
    expect(events).to.have.length(50)
  })

  it('nor does one that was taken over from another process', async () => {
    // a number of its own for the same socket, as one that comes by a message
    const copy = loadNative().native!.duplicate(near.descriptor)
    near.close()
    near = transports.open(copy, null) as EpollTransport
    events = watched(near)
    await answerRounds(near, 20)
    expect(events.filter((told) => (told & Edge.out) !== 0)).to.deep.equal([])
  })

  it('tells of room where something waits for it, each time, and loses nothing', async () => {
    let drains = 0
    near.owner = { onBytes() {}, onEnd() {}, onDrained: () => drains++, onClosed() {} }
    near.resumeReading()
    let received = 0
    for (let time = 1; time <= 3; time++) {
      far.pause()
      const before = received
      const piece = Buffer.alloc(100_000, time)
      let sent = 0
      let isTaken = true
      while (isTaken) {
        output.copy(piece, 0, piece.length)
        isTaken = near.write(output)
        sent += piece.length
      }
      output.copy(piece, 0, piece.length)
      expect(near.write(output), 'behind what waits').to.equal(false)
      sent += piece.length
      far.removeAllListeners('data')
      far.on('data', (chunk: Buffer) => {
        expect([...new Set(chunk)]).to.deep.equal([time])
        received += chunk.length
      })
      far.resume()
      await eventually(() => received - before === sent && near.pendingBytes === 0)
      expect(drains).to.equal(time)
    }
    far.removeAllListeners('data')
    const asked = events.length
    await answerRounds(near, 10)
    expect(
      events.slice(asked).filter((told) => (told & Edge.out) !== 0),
      'afterwards',
    ).to.deep.equal([])
  })
})
