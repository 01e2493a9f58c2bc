import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { expect } from 'chai'
import { MeshError } from '../../../../contracts/errors.ts'
import { proxyTlv } from '../../../../contracts/words.ts'
import { parseProxyHeader, tlvText } from '../../../../contracts/proxy-protocol.ts'
import { BoltCodec } from '../../../../rpc/bolt/bolt.ts'
import { bolt } from '../../../../sdk/index.ts'
import { freePort } from '../../../support/free-port.ts'
import { boltFrame, boltRequest } from '../../../support/rpc/bolt-frames.ts'
import { afterWork, startApplication } from '../../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../../support/rpc/far-sides.ts'
import { SdkBench } from '../../../support/sdk/sdk-bench.ts'
import { discovery, serviceAt } from '../../../support/sdk/stand-in-agent.ts'

const codec = new BoltCodec()
const request = boltRequest('orders', 'place', { id: 99 })
const replyOf = (text: string): Buffer => boltFrame({ type: 0, content: Buffer.from(text) })

describe('calls of a private RPC by the SDK', () => {
  const bench = new SdkBench()
  const open = (): Promise<void> => bench.open()
  const application = async (answer: Parameters<typeof startApplication>[1]): Promise<RpcApplication> =>
    bench.with(await startApplication(codec, answer))
  const at = (port: number): string => `127.0.0.1:${port}`
  const textOf = (frame: Buffer): string => frame.subarray(-3).toString()
  const refused = async (call: Promise<unknown>): Promise<MeshError> => {
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.be.instanceOf(MeshError)
    return error as MeshError
  }

  it('many calls share one connection, and each reply comes under its caller’s id', async () => {
    const far = await application(({ frame }) => (frame.idLow > 0 ? replyOf('one') : undefined))
    bench.agent.says = discovery({ rpc: { bolt: at(far.port) }, services: { orders: serviceAt() } })
    await open()
    const replies = await Promise.all(Array.from({ length: 50 }, () => bench.mesh.rpc(bolt()).call('orders', request)))
    const ids = replies.map((reply) => reply.readUInt32BE(5))
    expect(new Set(ids)).to.deep.equal(new Set([99]))
    expect(new Set(far.requests.map(({ frame }) => frame.idLow)).size).to.equal(50)
    expect(new Set(far.requests.map(({ connection }) => connection)).size).to.equal(1)
  })

  it('what nobody took goes on to the endpoints, whatever it is', async () => {
    const dead = await freePort()
    const far = await application(() => replyOf('two'))
    bench.agent.says = discovery({ rpc: { bolt: at(dead) }, services: { orders: serviceAt(at(far.port)) } })
    await open()
    expect(textOf(await bench.mesh.rpc(bolt()).call('orders', request))).to.equal('two')
    expect(bench.mesh.status().calls.served.direct).to.equal(1)
  })

  it('what may have been read is not sent again, but an idempotent call is', async () => {
    const far = await application(() => replyOf('two'))
    const dying = await application(({ socket }) => {
      socket.destroy()
      return undefined
    })
    bench.agent.says = discovery({ rpc: { bolt: at(dying.port) }, services: { orders: serviceAt(at(far.port)) } })
    await open()
    const error = await refused(bench.mesh.rpc(bolt()).call('orders', request))
    expect([error.code, error.retry]).to.deep.equal(['E_UPSTREAM_RESET', 'idempotent'])
    expect(far.requests).to.have.length(0)
    expect(textOf(await bench.mesh.rpc(bolt()).call('orders', request, { idempotent: true }))).to.equal('two')
    expect(dying.requests).to.have.length(2)
    expect(far.requests).to.have.length(1)
  })

  it('a center is told service and host, and gets nothing before it says that it goes on', async () => {
    let early = 0
    const header = Promise.withResolvers<Buffer>()
    const far = await application(() => replyOf('mid'))
    const center = net.createServer((socket) => {
      let head: Buffer = Buffer.alloc(0)
      socket.on('error', () => undefined)
      const take = (chunk: Buffer): void => {
        head = Buffer.concat([head, chunk])
        const parsed = parseProxyHeader(head)
        if (parsed.kind !== 'header') return
        if (tlvText(parsed.header, proxyTlv.service) === '') {
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
          return
        }
        early += head.length - parsed.length
        socket.off('data', take)
        header.resolve(head)
        const upstream = net.connect(far.port, '127.0.0.1', () => {
          socket.write(Buffer.of(1))
          socket.pipe(upstream).pipe(socket)
        })
        upstream.on('error', () => socket.destroy())
      }
      socket.on('data', take)
    })
    bench.agent.says = discovery({ centers: [await bench.listening(center)], services: { orders: serviceAt() } })
    await open()
    expect(textOf(await bench.mesh.rpc(bolt()).call('orders', request))).to.equal('mid')
    const parsed = parseProxyHeader(await header.promise)
    if (parsed.kind !== 'header') throw new Error('no header')
    expect(tlvText(parsed.header, proxyTlv.service)).to.equal('public/DEFAULT_GROUP@@orders')
    expect(tlvText(parsed.header, proxyTlv.host)).to.equal('alpha')
    expect(early).to.equal(0)
  })

  it('an endpoint that answers another protocol loses its calls alone, and the frame is not sent again', async () => {
    const server = net.createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 no\r\n\r\n'))
    bench.agent.says = discovery({ services: { orders: serviceAt(await bench.listening(server)) } })
    await open()
    expect((await refused(bench.mesh.rpc(bolt()).call('orders', request))).code).to.equal('E_UPSTREAM_PROTOCOL')
  })

  it('refuses what is no whole request frame before anything is sent', async () => {
    await open()
    for (const frame of [Buffer.alloc(0), request.subarray(0, -1), Buffer.concat([request, request]), replyOf('x')])
      expect((await refused(bench.mesh.rpc(bolt()).call('orders', frame))).code).to.equal('E_HTTP_BAD_REQUEST')
    expect(bench.mesh.status().calls.active).to.equal(0)
  })

  it('a call without a reply ends at its time, and its late reply is thrown away', async () => {
    const held = Promise.withResolvers<Buffer>()
    let count = 0
    const far = await application(() => (++count === 2 ? held.promise : replyOf('new')))
    bench.agent.says = discovery({ services: { orders: serviceAt(at(far.port)) } })
    await open()
    const client = bench.mesh.rpc(bolt())
    // the connection stands from here on, so the next call is sent before its time is over
    await client.call('orders', request)
    expect((await refused(client.call('orders', request, { timeoutMs: 50 }))).code).to.equal('E_UPSTREAM_TIMEOUT')
    expect(count).to.equal(2)
    held.resolve(replyOf('old'))
    expect(textOf(await client.call('orders', request))).to.equal('new')
  })

  /** As a protocol whose ids have one byte. */
  const fewIds = (): BoltCodec => Object.defineProperty(new BoltCodec(), 'idBits', { value: 8 })

  it('more calls than a protocol has ids go over more connections', async () => {
    const far = await application(() => afterWork(20, replyOf('yes')))
    bench.agent.says = discovery({ services: { orders: serviceAt(at(far.port)) } })
    await open()
    const client = bench.mesh.rpc(fewIds())
    const replies = await Promise.all(Array.from({ length: 600 }, () => client.call('orders', request)))
    expect(new Set(replies.map(textOf))).to.deep.equal(new Set(['yes']))
    expect(far.connections).to.be.within(3, 10)
  })

  it('where ids come again soon, a late reply is taken for no other one', async () => {
    const far = await application(({ connection }) => (connection === 1 ? undefined : replyOf('new')))
    bench.agent.says = discovery({ services: { orders: serviceAt(at(far.port)) } })
    await open()
    const client = bench.mesh.rpc(fewIds())
    expect((await refused(client.call('orders', request, { timeoutMs: 50 }))).code).to.equal('E_UPSTREAM_TIMEOUT')
    expect(textOf(await client.call('orders', request))).to.equal('new')
    expect(far.connections).to.equal(2)
  })

  it('a call that ends before its connection stands is never sent', async () => {
    const far = await application(() => replyOf('mid'))
    const center = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (head: Buffer) => {
        if (head.includes('HTTP/1.1')) {
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
          return
        }
        const upstream = net.connect(far.port, '127.0.0.1', () => {
          setTimeout(() => {
            socket.write(Buffer.of(1))
            socket.pipe(upstream).pipe(socket)
          }, 200)
        })
        upstream.on('error', () => socket.destroy())
      })
    })
    bench.agent.says = discovery({ centers: [await bench.listening(center)], services: { orders: serviceAt() } })
    await open()
    const client = bench.mesh.rpc(bolt())
    const early = refused(client.call('orders', request, { timeoutMs: 50 }))
    const patient = client.call('orders', request)
    expect((await early).code).to.equal('E_UPSTREAM_TIMEOUT')
    expect(textOf(await patient)).to.equal('mid')
    expect(far.requests).to.have.length(1)
  })

  it('a process whose work is done ends, whatever connections rest', async () => {
    const far = await application(() => afterWork(50, replyOf('yes')))
    bench.agent.says = discovery({ services: { orders: serviceAt(at(far.port)) } })
    const options = { application: 'shop', dataDirectory: bench.folder, agent: bench.agent.address }
    const script = `import { bolt, createMesh } from '${new URL('../../../../sdk/index.ts', import.meta.url).href}'
      const mesh = createMesh(${JSON.stringify(options)})
      const reply = await mesh.rpc(bolt()).call('orders', Buffer.from('${request.toString('hex')}', 'hex'))
      process.stdout.write(reply.subarray(-3))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
    const tooLong = setTimeout(() => child.kill('SIGKILL'), 20_000)
    const [code] = (await once(child, 'close')) as [number | null]
    clearTimeout(tooLong)
    expect({ code, out }).to.deep.equal({ code: 0, out: 'yes' })
  })
})
