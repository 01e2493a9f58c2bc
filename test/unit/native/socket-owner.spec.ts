import { spawn } from 'node:child_process'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { expect } from 'chai'
import { SocketOwner } from '../../../native/socket-owner.ts'
import { listenerUidInTables, uidInTables, socketTables } from '../../../native/socket-table.ts'
import { readFileSync } from 'node:fs'
import { freePort } from '../../support/free-port.ts'

describe('the owner of a local socket', () => {
  let owner: SocketOwner

  before(() => {
    const opened = SocketOwner.open()
    if (opened === undefined) throw new Error('the kernel does not answer sock_diag here')
    owner = opened
  })
  after(() => owner.close())

  const descriptorOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd

  async function dialled(port: number, address: string): Promise<void> {
    const caller = connect(port, address)
    await once(caller, 'connect')
    const uid = owner.uidOf({ address: '127.0.0.1', port: caller.localPort! }, { address: '127.0.0.1', port })
    caller.destroy()
    expect(uid).to.equal(process.getuid!())
  }

  async function connected(
    address: string,
    ask: (caller: Socket, port: number) => void | Promise<void>,
  ): Promise<void> {
    const server = createServer((socket) => socket.on('error', () => {})).listen(0, address)
    await once(server, 'listening')
    const caller = connect((server.address() as AddressInfo).port, address)
    await once(caller, 'connect')
    await ask(caller, (server.address() as AddressInfo).port)
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

  it('is found for a program that uses IPv6 sockets for everything', () =>
    connected('127.0.0.1', (_caller, port) => dialled(port, '::ffff:127.0.0.1')))

  it('is nobody once the caller has closed, whoever closed first', async () => {
    for (const closesFirst of ['caller', 'server'] as const) {
      const accepted = Promise.withResolvers<Socket>()
      const server = createServer({ allowHalfOpen: true }, (socket) => accepted.resolve(socket)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const caller = connect((server.address() as AddressInfo).port, '127.0.0.1')
      await once(caller, 'connect')
      const [mine, theirs] = [endOf(caller), peerOf(caller)]
      const other = (await accepted.promise).on('error', () => {})
      if (closesFirst === 'caller') {
        caller.end()
        other.resume()
        await once(other, 'end')
        expect(owner.uidOf(mine, theirs), 'half closed: still its owner’s').to.equal(process.getuid!())
        other.end()
      } else {
        other.end()
        caller.resume()
      }
      await once(caller, 'close')
      expect(owner.uidOf(mine, theirs), `${closesFirst} first`).to.equal(undefined)
      const tables = socketTables.map((file) => readFileSync(file, 'latin1'))
      expect(uidInTables(tables, mine, theirs), `${closesFirst} first, by table`).to.equal(undefined)
      other.destroy()
      server.close()
    }
  })

  it('is nobody when our own end was reset: the addresses may be another caller’s by now', async () => {
    const accepted = Promise.withResolvers<Socket>()
    const server = createServer((socket) => accepted.resolve(socket.on('error', () => {}).pause())).listen(
      0,
      '127.0.0.1',
    )
    await once(server, 'listening')
    const port = (server.address() as AddressInfo).port
    // not an ephemeral one, which anybody could have taken before the second connection
    const localPort = await freePort()
    const caller = connect({ port, host: '127.0.0.1', localPort })
    await once(caller, 'connect')
    const [mine, theirs] = [endOf(caller), peerOf(caller)]
    const ours = descriptorOf(await accepted.promise)
    expect(owner.uidOf(mine, theirs, ours)).to.equal(process.getuid!())
    caller.resetAndDestroy()
    await once(caller, 'close')
    const again = connect({ port, host: '127.0.0.1', localPort })
    await once(again, 'connect')
    expect(owner.uidOf(mine, theirs), 'the second connection is there').to.equal(process.getuid!())
    expect(owner.uidOf(mine, theirs, ours), 'but it is not the one that was accepted').to.equal(undefined)
    again.destroy()
    ;(await accepted.promise).destroy()
    server.close()
  })

  it('is told of listening sockets, dual-stack ones too', async () => {
    const tables = (): string[] => socketTables.map((file) => readFileSync(file, 'latin1'))
    for (const address of ['127.0.0.1', '0.0.0.0', '::', '::1', '::ffff:127.0.0.1']) {
      const server = createServer().listen(0, address)
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const at = { address: address === '::1' ? '0:0:0:0:0:0:0:1' : '127.0.0.1', port }
      expect(owner.uidOfListener(at), address).to.equal(process.getuid!())
      expect(listenerUidInTables(tables(), at), `${address} by table`).to.equal(process.getuid!())
      server.close()
      await once(server, 'close')
      expect(owner.uidOfListener(at), `${address} closed`).to.equal(undefined)
      expect(listenerUidInTables(tables(), at), `${address} closed, by table`).to.equal(undefined)
    }
  })

  it('is never another one’s, however fast users and ports change', async function () {
    if (process.getuid!() !== 0) this.skip()
    this.timeout(60_000)
    const wrong: string[] = []
    let [asked, known] = [0, 0]
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        const [claim] = bytes.toString().split(' ')
        const uid = owner.uidOf(
          { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
          { address: '127.0.0.1', port: socket.localPort ?? 0 },
          descriptorOf(socket),
        )
        asked++
        if (uid !== undefined) known++
        if (uid !== undefined && String(uid) !== claim) wrong.push(`${claim} taken for ${uid}`)
        socket.destroy()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    // both use the same few source ports, and close before they are looked at as often as not
    const script = `
      const net = require('node:net'); let left = 600, at = 0
      const next = () => {
        if (left-- <= 0) return
        const socket = net.connect({ port: ${port}, host: '127.0.0.1', localPort: 42000 + (at++ % 120) })
        socket.on('error', () => {})
        socket.on('connect', () => {
          socket.write(process.getuid() + ' ')
          if (left % 3 === 0) socket.destroy(); else if (left % 3 === 1) socket.resetAndDestroy()
        })
        socket.on('close', () => setImmediate(next))
      }
      for (let i = 0; i < 4; i++) next()`
    const callers = [1001, 65534].map((uid) => spawn(process.execPath, ['-e', script], { uid, gid: uid, cwd: '/' }))
    await Promise.all(callers.map((caller) => once(caller, 'exit')))
    server.close()
    expect(wrong).to.deep.equal([])
    expect(asked).to.be.greaterThan(300)
    expect(known).to.be.greaterThan(0)
  })

  it('is nobody for what is no address', () => {
    for (const address of ['', 'x', '1.2.3', '1.2.3.999', '::2', 'a.b.c.d']) {
      expect(owner.uidOf({ address, port: 1 }, { address, port: 2 }), address).to.equal(undefined)
    }
    expect(owner.uidOf({ address: '127.0.0.1', port: 1 }, { address: '::1', port: 1 })).to.equal(undefined)
  })
})
