/** What one caller of HTTP/2 leaves behind when it goes away in the middle must not meet the next one. */
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'

import { Flags, frame, block, getFields, RawH2Caller, Type, word } from '../../support/http2/frames.ts'
import { endpointOf } from '../../support/worker/snapshots.ts'
import { eventually } from '../../support/worker/eventually.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

const window = 65_535
const size = 300_000

const contentOf = (caller: RawH2Caller): string =>
  Buffer.concat(caller.frames.filter(({ type }) => type === Type.data).map(({ payload }) => payload)).toString('latin1')

/** GET of content that consists of this letter alone. */
const getOf = (letter: string): Buffer => {
  const fields = getFields.map(([name, value]) => [name, name === ':path' ? `/${letter}` : value] as const)
  return frame(Type.headers, Flags.endHeaders | Flags.endStream, 1, block(fields))
}

const widen = (id: number): Buffer => frame(Type.windowUpdate, 0, id, word(10_000_000))

describe('a stream of HTTP/2 that waited for its window and is over', () => {
  let backend: Server
  let worker: StartedWorker

  beforeEach(async () => {
    backend = createServer((request, response) => response.end(Buffer.alloc(size, request.url!.charAt(1))))
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
    const { port } = backend.address() as AddressInfo
    worker = await startWorker({ services: [{ name: 'orders', endpoints: [endpointOf('127.0.0.1', port)] }] })
  })

  afterEach(() => {
    worker.stop()
    backend.close()
    backend.closeAllConnections()
  })

  /** A caller that got as much as its window allows. */
  const waiting = async (letter: string): Promise<RawH2Caller> => {
    const caller = await RawH2Caller.to(worker.port('orders'))
    caller.send(getOf(letter))
    await eventually(() => contentOf(caller).length === window)
    return caller
  }

  /** What the caller said so far was read, and answered. */
  const heard = async (caller: RawH2Caller): Promise<void> => {
    const pongs = (): number => caller.frames.filter(({ type }) => type === Type.ping).length
    const before = pongs()
    caller.send(frame(Type.ping, 0, 0, Buffer.alloc(8)))
    await eventually(() => pongs() > before)
  }

  const isServedWhole = async (caller: RawH2Caller, letter: string): Promise<void> => {
    caller.send(widen(1), widen(0))
    await eventually(() => contentOf(caller).length === size)
    expect(contentOf(caller) === letter.repeat(size), 'its own content').to.equal(true)
  }

  it('reset by its caller: the next caller gets its reply whole, and the first one nothing of it', async () => {
    const first = await waiting('a')
    first.send(frame(Type.rstStream, 0, 1, word(8)))
    await heard(first)
    const second = await waiting('b')
    second.send(widen(1))
    await heard(second)
    first.send(widen(0))
    await heard(first)
    expect(contentOf(first).includes('b'), 'content of the other caller').to.equal(false)
    await isServedWhole(second, 'b')
    first.close()
    second.close()
  })

  it('cut with its connection: the next caller gets its reply whole', async () => {
    const first = await waiting('a')
    first.close()
    await eventually(() => worker.worker.connections.list().every(({ protocol }) => protocol !== 'http2'))
    const second = await waiting('b')
    await isServedWhole(second, 'b')
    second.close()
  })
})
