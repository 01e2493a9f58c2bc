import { closeSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { TcpSockets } from '../../../native/tcp-sockets.ts'

describe('a socket that is being connected', () => {
  it('is one while the system goes on connecting', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    const sockets = new TcpSockets()
    const socket = sockets.connecting('127.0.0.1', (server.address() as AddressInfo).port)
    await accepted
    expect(sockets.connectFailure(socket)).to.equal(0)
    closeSync(socket)
    server.close()
  })

  it('is none where the system says so at once', () => {
    expect(() => new TcpSockets().connecting('255.255.255.255', 9)).to.throw('connect 255.255.255.255:9: E')
  })
})
