import { once } from 'node:events'
import { request } from 'node:http'
import net from 'node:net'
import { expect } from 'chai'
import { Pools } from '../../../../sdk/http/pools.ts'

describe('connections of the SDK to a center', () => {
  it('fail as connections do when the proof cannot be given, and nothing is sent', async () => {
    let bytes = 0
    const center = net.createServer((socket) =>
      socket.on('error', () => undefined).on('data', (chunk) => (bytes += chunk.length)),
    )
    center.listen(0, '127.0.0.1')
    await once(center, 'listening')
    const { port } = center.address() as net.AddressInfo
    const address = { host: '127.0.0.1', port }
    const pools = new Pools({
      header() {
        throw new Error('the proof is gone')
      },
    })
    try {
      const sent = request({ ...address, agent: pools.of({ tier: 'center', address, proxy: undefined, service: '' }) })
      sent.end('secret')
      const [error] = (await once(sent, 'error').catch((reason: unknown) => [reason])) as [Error]
      expect(error.message).to.equal('the proof is gone')
      expect(bytes).to.equal(0)
    } finally {
      pools.close()
      center.close()
    }
  })
})
