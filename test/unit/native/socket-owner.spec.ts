import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { expect } from 'chai'
import { SocketOwner } from '../../../native/socket-owner.ts'

describe('the owner of a local socket', () => {
  let owner: SocketOwner

  before(() => {
    const opened = SocketOwner.open()
    if (opened === undefined) throw new Error('the kernel does not answer sock_diag here')
    owner = opened
  })
  after(() => owner.close())

  async function connected(address: string, ask: (caller: Socket) => void): Promise<void> {
    const server = createServer((socket) => socket.on('error', () => {})).listen(0, address)
    await once(server, 'listening')
    const caller = connect((server.address() as AddressInfo).port, address)
    await once(caller, 'connect')
    ask(caller)
    caller.destroy()
    server.close()
    await once(server, 'close')
  }

  const endOf = (caller: Socket) => ({ address: caller.localAddress!, port: caller.localPort! })
  const peerOf = (caller: Socket) => ({ address: caller.remoteAddress!, port: caller.remotePort! })

  it('is the user of the process that dialled', () =>
    connected('127.0.0.1', (caller) => {
      expect(owner.uidOf(endOf(caller), peerOf(caller))).to.equal(process.getuid!())
    }))

  it('is found on other loopback addresses too', () =>
    connected('127.0.0.77', (caller) => {
      expect(owner.uidOf(endOf(caller), peerOf(caller))).to.equal(process.getuid!())
    }))

  it('is nobody for a connection that is not there', () =>
    connected('127.0.0.1', (caller) => {
      expect(owner.uidOf(endOf(caller), { ...peerOf(caller), port: 1 })).to.equal(undefined)
      expect(owner.uidOf(endOf(caller), peerOf(caller)), 'the next question is answered again').to.equal(
        process.getuid!(),
      )
    }))

  it('is nobody for what is no address', () => {
    for (const address of ['', 'x', '1.2.3', '1.2.3.999', '::2', 'a.b.c.d']) {
      expect(owner.uidOf({ address, port: 1 }, { address, port: 2 }), address).to.equal(undefined)
    }
    expect(owner.uidOf({ address: '127.0.0.1', port: 1 }, { address: '::1', port: 1 })).to.equal(undefined)
  })
})
