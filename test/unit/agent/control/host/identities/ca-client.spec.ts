import type { AddressInfo } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import { expect } from 'chai'
import { pinnedTrust } from '../../../../../../agent/control/host/identities/ca-client.ts'
import { refusal } from '../../../../../support/ca/authority-bench.ts'
import { changeProtocol } from '../../../../../support/hostile-server.ts'
import { Authority } from '../../../../../support/tls/authority.ts'

describe('a client of the authority', () => {
  it('gives up a server that changes the protocol', async () => {
    const { certificate, key } = new Authority('somebody').leaf(undefined, { dns: ['localhost'], uris: [] })
    const server = createSecureServer({ cert: certificate, key }, (socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => changeProtocol(socket, ''))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    expect(await refusal(pinnedTrust({ host: '127.0.0.1', port }, 'pin'))).to.include('the authority does not answer')
    await new Promise((resolve) => server.close(resolve))
  })
})
