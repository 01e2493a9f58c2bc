import * as grpc from '@grpc/grpc-js'
import { expect } from 'chai'
import { once } from 'node:events'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { AppProtocol } from '../../../../contracts/protocols.ts'
import { Http2Refusal } from '../../../../watchdog/relay/http2-refusal.ts'
import { AddressHealth } from '../../../../watchdog/relay/relay-addresses.ts'
import { relayConnection } from '../../../../watchdog/relay/relayed-connection.ts'
import type { RelayedDeps } from '../../../../watchdog/relay/relayed-deps.ts'
import { Waiting } from '../../../../watchdog/relay/waiting.ts'
import { Wire } from '../../../../watchdog/relay/wire.ts'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

describe('a caller of HTTP/2 that nobody takes', () => {
  let server: Server
  let port: number
  let isGrpc: boolean
  const ended: Promise<unknown>[] = []

  beforeEach(async () => {
    isGrpc = false
    server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      ended.push(new Promise((resolve) => socket.once('close', resolve)))
      new Http2Refusal(Wire.accepted(socket), isGrpc)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterEach(async () => {
    await Promise.all(ended.splice(0))
    server.close()
  })

  it('hears UNAVAILABLE in gRPC, and when to try again', async () => {
    isGrpc = true
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), { 'grpc.enable_retries': 0 })
    const same = (bytes: Buffer): Buffer => bytes
    const failure = await new Promise<grpc.ServiceError>((resolve, reject) => {
      client.makeUnaryRequest('/shop.Orders/Get', same, same, Buffer.alloc(100), (error) => {
        if (error === null) reject(new Error('it was answered'))
        else resolve(error)
      })
    })
    client.close()
    expect(failure.code).to.equal(grpc.status.UNAVAILABLE)
    expect(failure.details).to.contain('E_CENTER_UNREACHABLE  no worker, no center')
    expect(failure.metadata.get('grpc-retry-pushback-ms')).to.deep.equal(['1000'])
    expect(failure.metadata.get('x-mesh-error')).to.deep.equal(['E_CENTER_UNREACHABLE'])
  })

  it('hears 503 and retry-after in HTTP/2, also of a head of several frames', async () => {
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    session.on('error', () => undefined)
    const stream = session.request({ ':path': '/', 'x-long': 'x'.repeat(20_000) })
    stream.on('error', () => undefined)
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(fields).to.include({ ':status': 503, 'retry-after': '1', 'x-mesh-error': 'E_CENTER_UNREACHABLE' })
    session.close()
  })

  it('hears it for each request that had come', async () => {
    const socket = await raw()
    const requests = [1, 3, 5].map((stream) => Buffer.of(0, 0, 1, 1, 5, 0, 0, 0, stream, 0x82))
    socket.write(Buffer.concat([Buffer.from(preface), Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0), ...requests]))
    const answer: Buffer[] = []
    socket.on('data', (bytes: Buffer) => answer.push(bytes))
    await once(socket, 'end')
    socket.end()
    expect(Buffer.concat(answer).toString('latin1').split('retry-after')).to.have.length(4)
  })

  async function raw(): Promise<Socket> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
  const failureOf = (socket: Socket): Promise<string> =>
    new Promise((resolve) => {
      let error = 'no reset'
      socket.once('error', ({ message }) => (error = message))
      socket.once('close', () => resolve(error))
      socket.resume()
    })

  it('is reset where it speaks something else, and where its head has no end', async () => {
    const tls = await raw()
    tls.write(Buffer.of(0x16, 3, 1, 0, 5))
    expect(await failureOf(tls)).to.contain('ECONNRESET')
    const endless = await raw()
    endless.write(preface)
    endless.write(Buffer.alloc(70_000, 0xff))
    expect(await failureOf(endless)).to.contain('ECONNRESET')
  })

  it('is answered however its bytes are cut', async () => {
    const socket = await raw()
    socket.setNoDelay(true)
    const request = Buffer.concat([
      Buffer.from(preface),
      Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0),
      Buffer.of(0, 0, 1, 1, 5, 0, 0, 0, 1, 0x82),
    ])
    const answer: Buffer[] = []
    socket.on('data', (bytes: Buffer) => answer.push(bytes))
    const over = once(socket, 'end')
    for (const byte of request) {
      socket.write(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await over
    socket.end()
    const text = Buffer.concat(answer).toString('latin1')
    expect(text).to.contain('503').and.to.contain('retry-after')
  })
})

describe('a caller whose center is at its bound, and who has no other address', () => {
  let relay: Server
  let center: Server
  let ends: string[]
  let protocol: AppProtocol
  let passedOver: number
  const listening = async (server: Server): Promise<number> => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  beforeEach(async () => {
    ends = []
    passedOver = 0
    protocol = 'grpc'
    // as a center does to whoever waits for its byte: nothing of the call was taken
    center = createServer((socket) => socket.once('data', () => socket.end()))
    const port = await listening(center)
    relay = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      relayConnection(socket, {
        listener: { protocol, service: 'public/DEFAULT_GROUP@@calls' },
        listenerName: 'calls',
        addresses: { of: () => [{ tier: 'center', address: '127.0.0.1', port }] },
        health: new AddressHealth(),
        waiting: new Waiting(),
        introduction: { header: () => Buffer.from('introduction') },
        isRefused: () => false,
        now: () => 0,
        maxBufferBytes: 65_536,
        onRouted: (end: string) => ends.push(end),
        onPassedOver: () => passedOver++,
      } as unknown as RelayedDeps)
    })
    await listening(relay)
  })
  afterEach(() => {
    relay.close()
    center.close()
  })
  const port = (): number => (relay.address() as AddressInfo).port

  it('hears UNAVAILABLE in gRPC with the time until the next try', async () => {
    const client = new grpc.Client(`127.0.0.1:${port()}`, grpc.credentials.createInsecure(), {
      'grpc.enable_retries': 0,
    })
    const same = (bytes: Buffer): Buffer => bytes
    const failure = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest('/shop.Orders/Get', same, same, Buffer.alloc(10), resolve)
    })
    client.close()
    expect(failure?.code).to.equal(grpc.status.UNAVAILABLE)
    expect(failure?.metadata.get('grpc-retry-pushback-ms')).to.deep.equal(['1000'])
    expect(passedOver).to.be.greaterThan(0)
    expect(ends[0]).to.equal('center')
    expect(ends[1]).to.equal('failed')
  })

  it('is reset where it speaks no HTTP', async () => {
    protocol = 'tcp'
    const socket = connect(port(), '127.0.0.1')
    const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>
    await once(socket, 'connect')
    socket.write('hello')
    expect((await failed)[0].code).to.equal('ECONNRESET')
  })
})
