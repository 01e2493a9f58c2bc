import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

import { expect } from 'chai'

import { socketOptions } from '../../../../../agent/worker/connect/socket-options.ts'
import { Output } from '../../../../../agent/worker/transport/output.ts'
import { rawTransports } from '../../../../../agent/worker/transport/raw-handle.ts'
import type { Transport } from '../../../../../agent/worker/transport/transport.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { loadNative } from '../../../../../native/descriptors.ts'

/** Numbers of Linux: SOL_SOCKET, SO_KEEPALIVE, IPPROTO_TCP and its options. */
const option = { keepAlive: [1, 9], idle: [6, 4], interval: [6, 5], probes: [6, 6], userTimeout: [6, 18] } as const

describe('socket options of upstream connections', () => {
  let server: Server
  let transport: Transport
  const { native } = loadNative()

  beforeEach(async () => {
    server = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const transports = rawTransports(new Output())
    transport = await new Promise((resolve, reject) => {
      transports.dial('127.0.0.1', (server.address() as AddressInfo).port, (dialled, reason) =>
        dialled === null ? reject(new Error(reason)) : resolve(dialled),
      )
    })
  })

  afterEach(async () => {
    transport.close()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })

  const read = ([level, name]: readonly [number, number]) => native!.getOption(transport.descriptor, level, name)

  it('set keepalive time, interval, probes and user timeout as the policy says', () => {
    const warned: string[] = []
    const tcpKeepalive = { timeMs: 30_000, intervalMs: 7000, probes: 4 }
    socketOptions((text) => warned.push(text)).apply(transport, {
      ...defaultTrafficPolicy.pool,
      tcpKeepalive,
      tcpUserTimeoutMs: 12_000,
    })
    expect(warned).to.deep.equal([])
    expect(read(option.keepAlive)).to.equal(1)
    expect(read(option.idle)).to.equal(30)
    expect(read(option.interval)).to.equal(7)
    expect(read(option.probes)).to.equal(4)
    expect(read(option.userTimeout)).to.equal(12_000)
  })

  it('end a connection after 20 s without an answer where the policy says nothing, with probes while nothing moves', () => {
    socketOptions(() => {}).apply(transport, defaultTrafficPolicy.pool)
    expect(read(option.keepAlive)).to.equal(1)
    expect(read(option.idle)).to.equal(15)
    expect(read(option.interval)).to.equal(5)
    expect(read(option.userTimeout)).to.equal(20_000)
  })

  it('end it after 5 s once the endpoint has left, unless the policy is shorter or wants none', () => {
    const { watchClosely } = socketOptions(() => {})
    watchClosely(transport, { ...defaultTrafficPolicy.pool, tcpUserTimeoutMs: 0 })
    watchClosely(transport, { ...defaultTrafficPolicy.pool, tcpUserTimeoutMs: 3000 })
    expect([read(option.keepAlive), read(option.userTimeout)]).to.deep.equal([0, 0])
    watchClosely(transport, defaultTrafficPolicy.pool)
    expect([read(option.keepAlive), read(option.userTimeout)]).to.deep.equal([1, 5000])
  })

  it('are left alone by a policy that wants none', () => {
    socketOptions(() => {}).apply(transport, { ...defaultTrafficPolicy.pool, tcpUserTimeoutMs: 0 })
    expect(read(option.keepAlive)).to.equal(0)
    expect(read(option.userTimeout)).to.equal(0)
  })
})
