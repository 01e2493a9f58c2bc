import { expect } from 'chai'
import { once } from 'node:events'
import net from 'node:net'
import { PortOwnerTable, portOwners } from '../../../../../agent/worker/listen/port-owner.ts'

async function listener(address: string): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer().listen(0, address)
  await once(server, 'listening')
  return { server, port: (server.address() as net.AddressInfo).port }
}

describe('who listens on a port', () => {
  it('is the same in the table as when looked up alone, for IPv4 and IPv6', async () => {
    const table = new PortOwnerTable(() => 0)
    for (const address of ['127.0.0.1', '::1', '0.0.0.0']) {
      const { server, port } = await listener(address)
      const asked = address === '0.0.0.0' ? '127.0.0.1' : address
      expect(
        table.find(asked, port).map((owner) => owner.pid),
        address,
      ).to.deep.equal([process.pid])
      expect(table.find(asked, port)).to.deep.equal(portOwners(asked, port))
      server.close()
      await once(server, 'close')
    }
  })

  it('is nobody for a free port, and for another address', async () => {
    const table = new PortOwnerTable(() => 0)
    const { server, port } = await listener('127.0.0.1')
    expect(table.find('127.0.0.2', port)).to.deep.equal([])
    server.close()
    await once(server, 'close')
    expect(table.find('127.0.0.1', port + 1)).to.deep.equal([])
  })

  it('is looked up again once the table is old', async () => {
    let now = 0
    const table = new PortOwnerTable(() => now)
    const { server, port } = await listener('127.0.0.1')
    expect(table.find('127.0.0.1', port)).to.have.length(1)
    server.close()
    await once(server, 'close')
    now = 1001
    expect(table.find('127.0.0.1', port)).to.deep.equal([])
  })
})
