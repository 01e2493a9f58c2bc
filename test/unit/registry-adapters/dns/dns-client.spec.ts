import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import { DnsClient, type NameServer } from '../../../../registry-adapters/dns/dns-client.ts'
import { a, startNameServer } from '../../../support/dns/server.ts'
import type { NameServerDouble } from '../../../support/dns/server.ts'

describe('a question to name servers', () => {
  let good: NameServerDouble
  beforeEach(async () => {
    good = await startNameServer()
    good.set('orders.example.com', { records: [a('orders.example.com', '10.0.0.1')] })
  })
  afterEach(() => good.stop())
  // the system gives no way there without being asked for it, as where there is no route
  const noWay: NameServer = { host: '255.255.255.255', port: 53 }
  const clientOf = (...servers: readonly NameServer[]): DnsClient =>
    new DnsClient({ servers: () => servers, clock: systemClock, random: () => 0.5, timeoutMs: 20_000 })

  it('goes to the next one when there is no way to the first', async () => {
    const client = clientOf(noWay, { host: '127.0.0.1', port: good.port })
    const { answers } = await client.ask('orders.example.com', 'A')
    expect(answers?.map((one) => (one as { data?: unknown }).data)).to.deep.equal(['10.0.0.1'])
    expect(client.server).to.equal(`127.0.0.1:${good.port}`)
  })

  it('fails with the reason when there is no way to any of them', async () => {
    const error = await clientOf(noWay)
      .ask('orders.example.com', 'A')
      .catch((cause: unknown) => cause)
    expect(error).to.include({ code: 'E_REGISTRY_UNREACHABLE' })
    expect((error as Error).message)
      .to.contain('255.255.255.255:53 A orders.example.com: ')
      .and.contain('EACCES')
  })
})
