import { expect } from 'chai'
import { CallerIdentity } from '../../../../../agent/worker/listen/caller-identity.ts'
import type { SocketOwner } from '../../../../../native/socket-owner.ts'
import { noIdentity } from '../../../../../agent/worker/transport/transport.ts'

const peer = { address: '127.0.0.1', port: 40_000, localAddress: '127.0.0.1', localPort: 15_001 }

/**
 * The columns of /proc/net/tcp as far as the inode: of a connected socket, or of another state, or one that its owner
 * has closed.
 */
const row = (state = '01', inode = 5): string =>
  `  sl  local_address rem_address   st\n   7: 0100007F:9C40 0100007F:3A99 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1\n`
const table = row()

const answering = (uid: number | undefined): (() => SocketOwner) => {
  const asked = { uidOf: () => uid, hasAnswered: uid !== undefined, close: () => {} }
  return () => asked as unknown as SocketOwner
}

describe('the user who calls', () => {
  it('is the one that the kernel names, without reading the table of sockets', async () => {
    const callers = new CallerIdentity(
      () => 0,
      () => expect.fail('the table was read'),
      answering(1000),
    )
    expect(await callers.find(peer)).to.deep.equal({ kind: 'user', uid: 1000 })
    expect(await callers.find({ ...peer, address: '::1', localAddress: '::1' })).to.deep.equal({
      kind: 'user',
      uid: 1000,
    })
  })

  it('is looked up in the table where the kernel does not answer', async () => {
    for (const owner of [() => undefined, answering(undefined)]) {
      const callers = new CallerIdentity(
        () => 0,
        () => Promise.resolve(table),
        owner,
      )
      expect(await callers.find(peer)).to.deep.equal({ kind: 'user', uid: 1000 })
      expect(await callers.find({ ...peer, port: 40_001 })).to.equal(noIdentity)
    }
  })

  it('is nobody for a socket that is not connected or that its owner has closed, in the table too', async () => {
    for (const line of [row('06', 0), row('06'), row('01', 0), row('0A'), row('02'), row('07')]) {
      const callers = new CallerIdentity(
        () => 0,
        () => Promise.resolve(line),
        () => undefined,
      )
      expect(await callers.find(peer), line).to.equal(noIdentity)
    }
  })

  it('is found in the table for a program that uses IPv6 sockets for everything', async () => {
    const mapped = row().replace(/0100007F/g, '0000000000000000FFFF00000100007F')
    const callers = new CallerIdentity(
      () => 0,
      (file) => Promise.resolve(file.endsWith('6') ? mapped : ''),
      () => undefined,
    )
    expect(await callers.find(peer)).to.deep.equal({ kind: 'user', uid: 1000 })
  })

  it('does not read the table for every caller that has gone, once the kernel has answered', async () => {
    const asked = { uidOf: () => undefined, hasAnswered: true, close: () => {} } as unknown as SocketOwner
    const callers = new CallerIdentity(
      () => 0,
      () => expect.fail('the table was read'),
      () => asked,
    )
    expect(await callers.find(peer)).to.equal(noIdentity)
  })

  it('is unknown for other hosts, and when nothing can be read', async () => {
    const remote = new CallerIdentity(
      () => 0,
      () => expect.fail('read'),
      () => expect.fail('asked'),
    )
    expect(await remote.find({ ...peer, address: '10.0.0.1' })).to.equal(noIdentity)
    const blind = new CallerIdentity(
      () => 0,
      () => Promise.reject(new Error('no /proc')),
      () => undefined,
    )
    expect(await blind.find(peer)).to.equal(noIdentity)
  })

  it('is asked for over one socket, which is closed with it', async () => {
    let [opened, closed] = [0, 0]
    const owner = { uidOf: () => 1000, close: () => closed++ } as unknown as SocketOwner
    const callers = new CallerIdentity(
      () => 0,
      () => Promise.resolve(''),
      () => (opened++, owner),
    )
    for (let i = 0; i < 3; i++) await callers.find(peer)
    callers.close()
    expect([opened, closed]).to.deep.equal([1, 1])
  })
})
