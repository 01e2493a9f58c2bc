import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BatchSender } from '../../../native/batch-sender.ts'
import { loadNative } from '../../../native/descriptors.ts'
import type { DescriptorPort } from '../../../native/descriptors.ts'
import { DialedLink } from '../../../native/dialed-link.ts'
import { dialFrames, frameStream } from '../../../native/frame-stream.ts'
import type { FrameStream } from '../../../native/frame-stream.ts'

describe('streams between our processes', () => {
  let folder: string
  let path: string
  let server: net.Server
  const native = loadNative().native!
  const streams: FrameStream[] = []
  const messages: object[] = []
  const ends: (Error | undefined)[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hm-stream-'))
    chmodSync(folder, 0o755)
    path = join(folder, 's.sock')
    server = net.createServer((socket) => {
      const stream = frameStream(socket, 1000, native, {
        onMessage: (message) => messages.push(message),
        onClose: (reason) => ends.push(reason),
      })
      if (stream !== undefined) streams.push(stream)
    })
    server.listen(path)
    await once(server, 'listening')
    for (const list of [streams, messages, ends]) list.length = 0
  })

  afterEach(async () => {
    for (const stream of streams) stream.close()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('know who is at the other end and pass messages on in order', async () => {
    const stream = await dialFrames(path, 1000, native, { onMessage: () => {}, onClose: () => {} })
    for (let number = 0; number < 10; number++) stream.send({ number })
    stream.end()
    await until(() => ends.length === 1)
    expect(messages).to.deep.equal(Array.from({ length: 10 }, (_, number) => ({ number })))
    expect(streams[0]!.peerPid).to.equal(process.pid)
  })

  it('are closed with a reason when a frame is too long, and the other side sees it', async () => {
    let isClosed = false
    const stream = await dialFrames(path, 1000, native, {
      onMessage: () => {},
      onClose: () => {
        isClosed = true
      },
    })
    stream.send({ text: 'x'.repeat(2000) })
    await until(() => ends.length === 1 && isClosed)
    expect(ends[0]).to.include({ code: 'E_WIRE' })
  })

  it('from another user are closed before a byte is read', async function () {
    if (process.getuid?.() !== 0) {
      this.test!.title += ' (needs root, to become another user)'
      this.skip()
    }
    chmodSync(path, 0o777)
    const code = `const s = require('node:net').connect(${JSON.stringify(path)})
      s.on('connect', () => s.write(Buffer.from([0, 0, 0, 2, 123, 125])))
      s.on('error', () => {}); s.on('close', () => process.exit(7))`
    // A name of /usr/bin, because another user may not read the folder of our own.
    const stranger = spawn('/proc/self/exe', ['-e', code], {
      argv0: process.execPath,
      uid: 65_534,
      gid: 65_534,
      stdio: 'ignore',
    })
    const [status] = (await once(stranger, 'exit')) as [number]
    expect(status).to.equal(7)
    expect({ streams, messages }).to.deep.equal({ streams: [], messages: [] })
  })

  it('are dialled again when they are lost, and say so', async () => {
    const said: string[] = []
    const link = new DialedLink(path, native, {
      onOpen: () => said.push('open'),
      onMessage: () => {},
      onLost: () => said.push('lost'),
    })
    expect(await link.dial()).to.equal(true)
    await until(() => streams.length === 1)
    streams[0]!.close()
    await until(() => said.length === 3)
    expect(said).to.deep.equal(['open', 'lost', 'open'])
    link.close()
  })

  it('are joined when the hello was answered: with a welcome, or with a refusal', async () => {
    const joining = (answer: (link: DialedLink) => void) => {
      const link: DialedLink = new DialedLink(path, native, {
        onOpen: () => answer(link),
        onMessage: () => {},
        onLost: () => {},
      })
      return link
    }
    const wanted = joining((link) => link.welcome())
    expect(await wanted.join(1)).to.equal('welcome')
    wanted.close()
    const unwanted = joining((link) => link.refuse(new Error('another generation')))
    const refusal = await unwanted.join(1).catch((error: Error) => error.message)
    expect(refusal).to.equal('another generation')
    unwanted.close()
  })

  it('that nobody answers are not an error', async () => {
    const link = new DialedLink(join(folder, 'nobody'), native, {
      onOpen: () => {},
      onMessage: () => {},
      onLost: () => {},
    })
    expect(await link.dial()).to.equal(false)
    expect(await link.join(1)).to.equal('alone')
    link.close()
  })
})

describe('batches of descriptors', () => {
  function sender(outcomes: ('sent' | 'full' | 'gone')[]): { batches: BatchSender; announced: number[] } {
    const port = { send: () => outcomes.shift() ?? 'sent' } as unknown as DescriptorPort
    return { batches: new BatchSender(port, 'x'), announced: [] }
  }

  it('are announced after they were sent, and at most four wait for an answer', async () => {
    const { batches, announced } = sender([])
    const all = Array.from({ length: 6 }, () => batches.send([1], (batch) => announced.push(batch)))
    expect(announced).to.deep.equal([1, 2, 3, 4])
    batches.acknowledge(2)
    expect(announced).to.deep.equal([1, 2, 3, 4, 5])
    for (const batch of [1, 3, 4, 5, 6]) batches.acknowledge(batch)
    expect(await Promise.all(all)).to.deep.equal(Array(6).fill('received'))
  })

  it('wait while the receiver is full, and fail when it is gone or the stream ends', async () => {
    const { batches, announced } = sender(['full', 'full', 'sent', 'gone'])
    const first = batches.send([1], (batch) => announced.push(batch))
    expect(announced).to.deep.equal([])
    while (announced.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    expect(await batches.send([1], () => {})).to.equal('failed')
    batches.close()
    expect(await first).to.equal('failed')
    expect(await batches.send([1], () => {})).to.equal('failed')
  })
})
