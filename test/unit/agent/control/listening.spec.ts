import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { expect } from 'chai'
import { listening } from '../../../../agent/control/listening.ts'
import type { MeshError } from '../../../../contracts/errors.ts'

describe('a server of control that is to listen', () => {
  const servers: Server[] = []
  const server = (): Server => {
    const made = createServer()
    servers.push(made)
    return made
  }

  afterEach(async () => {
    for (const one of servers.splice(0)) if (one.listening) await once(one.close(), 'close')
  })

  it('says that its port is taken, and has it when it asks again after that is free', async () => {
    const other = server()
    await listening(other, 'other', { host: '127.0.0.1', port: 0 })
    const where = { host: '127.0.0.1', port: (other.address() as AddressInfo).port }
    const wanted = server()
    for (let tries = 0; tries < 3; tries++) {
      const refused = await listening(wanted, 'wanted', where).catch((error: MeshError) => error)
      expect(refused).to.include({
        code: 'E_LISTEN_IN_USE',
        message: 'wanted: cannot listen: taken by another process; free it or choose another address',
      })
    }
    expect(wanted.listenerCount('listening')).to.equal(0)
    await once(other.close(), 'close')
    await listening(wanted, 'wanted', where)
    expect(wanted.address()).to.deep.include({ port: where.port })
  })

  it('goes on when a connection cannot be accepted', async () => {
    const one = server()
    await listening(one, 'one', { host: '127.0.0.1', port: 0 })
    one.emit('error', new Error('EMFILE'))
    expect(one.listening).to.equal(true)
  })
})
