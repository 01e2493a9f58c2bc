import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrameSocket } from '../../../../../agent/control/telemetry/frame-socket.ts'
import { maxTelemetryFrameBytes } from '../../../../../contracts/telemetry.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

const frame = (length: number, fill: number): Buffer => {
  const bytes = Buffer.alloc(4 + length, fill)
  bytes.writeUInt32BE(length)
  return bytes
}

for (const isHidden of [false, true])
  describe(`frames of a worker, ${isHidden ? 'where its handle cannot be had' : 'read into one memory'}`, () => {
    let folder: string
    let server: Server
    let worker: Socket
    let frames: { length: number; fill: number }[]
    let broken: string[]
    let isClosed: boolean
    let isWanted: boolean
    let socket: FrameSocket

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'hostmesh-frames-'))
      frames = []
      broken = []
      isClosed = false
      isWanted = true
      server = createServer({ pauseOnConnect: true }, (accepted) => {
        const given = isHidden ? withoutHandle(accepted) : accepted
        socket = new FrameSocket(given, {
          onFrame: (bytes) => {
            expect(bytes.every((byte) => byte === bytes[0])).to.equal(true)
            frames.push({ length: bytes.length, fill: bytes[0]! })
            return isWanted
          },
          onBroken: (reason) => broken.push(reason),
          onClosed: () => (isClosed = true),
        })
      })
      server.listen(join(folder, 's'))
      await once(server, 'listening')
      worker = connect(join(folder, 's'))
      worker.on('error', () => {})
      await once(worker, 'connect')
    })
    afterEach(async () => {
      worker.destroy()
      await eventually(() => isClosed)
      await new Promise((resolve) => server.close(resolve))
      rmSync(folder, { recursive: true })
    })

    it('come whole and in order, in whatever pieces, up to the largest', async () => {
      const lengths = [1, 3, 70_000, 5, maxTelemetryFrameBytes, 2, 200_000, 200_000]
      const all = Buffer.concat(lengths.map((length, at) => frame(length, at + 1)))
      let at = 0
      for (const size of [1, 2, 2, 3, 40_000, 300_000]) {
        worker.write(all.subarray(at, at + size))
        at += size
        await new Promise(setImmediate)
      }
      worker.write(all.subarray(at))
      await eventually(() => frames.length === lengths.length)
      expect(frames).to.deep.equal(lengths.map((length, index) => ({ length, fill: index + 1 })))
      expect(broken).to.deep.equal([])
    })

    it('wait in the kernel while there is no room, and come when there is', async () => {
      isWanted = false
      worker.write(frame(10, 1))
      await eventually(() => frames.length === 1)
      const more = Buffer.concat(Array.from({ length: 8 }, (_, at) => frame(500_000, at + 2)))
      let isTaken = false
      worker.write(more, () => (isTaken = true))
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
      expect(isTaken).to.equal(false)
      isWanted = true
      socket.resume()
      await eventually(() => frames.length === 9)
      expect(isTaken).to.equal(true)
    })

    it('end with a worker that says what is none', async () => {
      worker.write(frame(10, 1))
      worker.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1]))
      await eventually(() => isClosed)
      expect(frames).to.have.length(1)
      expect(broken[0]).to.match(/a frame of 4294967295 bytes, allowed 1048576/)
    })

    it('end once, whatever else came in the same read', async () => {
      worker.write(Buffer.concat([frame(10, 1), Buffer.from([0xff, 0xff])]))
      await eventually(() => frames.length === 1)
      worker.write(Buffer.alloc(200_000, 0xff))
      await eventually(() => isClosed)
      expect(broken).to.have.length(1)
      expect(frames).to.have.length(1)
    })

    it('end with its worker', async () => {
      worker.end(frame(10, 1))
      await eventually(() => isClosed)
      expect(frames).to.have.length(1)
    })
  })

/** As a Node that calls it something else would show it. */
function withoutHandle(socket: Socket): Socket {
  return new Proxy(socket, {
    get: (target, name) => {
      if (name === '_handle') return undefined
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}
