import { expect } from 'chai'
import { discoveryPage, maxNames } from '../../../../../agent/control/admin/page-discovery.ts'
import type { AdminContext } from '../../../../../agent/control/admin/context.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { AgentDiscovery } from '../../../../../contracts/sdk-discovery.ts'
import { readDiscovery } from '../../../../../sdk/sources/kept-file.ts'
import { openBench, type Bench } from '../support/control-bench.ts'
import { endpoint, fakeRegistry, type FakeRegistry } from '../support/fake-registry.ts'

describe('the page that an SDK reads', () => {
  let bench: Bench
  let registry: FakeRegistry
  const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

  beforeEach(async () => {
    registry = fakeRegistry('main')
    bench = await openBench(
      {
        center: { addresses: ['10.0.0.8:15443'] },
        outbound: { rpc: [{ protocol: 'bolt', address: '127.0.0.1:12200' }] },
      },
      { adapters: [registry] },
    )
  })
  afterEach(() => bench.close())

  async function ask(...names: string[]): Promise<AgentDiscovery> {
    return askOf(bench.control, names)
  }

  async function askOf(control: Bench['control'], names: readonly string[] = []): Promise<AgentDiscovery> {
    const page = discoveryPage({ control } as unknown as AdminContext)
    const query = new URLSearchParams(names.map((name) => ['service', name]))
    const request = { method: 'GET', path: page.path, query, body: undefined, isJson: true, isOwner: false }
    return JSON.parse((await page.answer(request)).body) as AgentDiscovery
  }

  it('says nothing of a service that no registry has spoken of, then where its requests may go', async () => {
    expect((await ask('orders')).services).to.deep.equal({})
    registry.say(orders, [endpoint('10.0.0.9:80'), endpoint('10.0.0.9:81', { healthy: false })])
    const { services } = await ask('orders')
    expect(services).to.deep.equal({
      orders: {
        service: 'public/DEFAULT_GROUP@@orders',
        center: true,
        direct: true,
        endpoints: ['10.0.0.9:80'],
      },
    })
  })

  it('says null of a service that nobody knows', async () => {
    await ask('orders')
    registry.say(orders, [], { isConfirmed: true })
    let { services } = await ask('orders')
    while (!Object.hasOwn(services, 'orders')) {
      // the registry's list of names is asked first
      await new Promise((resolve) => setImmediate(resolve))
      services = (await ask('orders')).services
    }
    expect(services).to.deep.equal({ orders: null })
  })

  it('tells the ports of this host and the centers, in a form that the SDK takes', async () => {
    const found = await ask()
    expect(found).to.deep.include({ rpc: { bolt: '127.0.0.1:12200' } })
    expect(found).to.deep.include({ centers: ['10.0.0.8:15443'], centersWantProof: false, nacosFace: null })
    expect(readDiscovery(found)).to.deep.equal(found)
  })

  it('names centers as they are called here, and none where they are never called in plain', async () => {
    const { config } = bench.control
    const addresses = [{ host: 'center-1.example.com', port: 15_443 }]
    const having = (mtls: boolean): Bench['control'] => {
      const value = { ...config, center: { ...config.center, addresses, mtls } }
      return Object.create(bench.control, { config: { value } }) as Bench['control']
    }
    const found = await askOf(having(false))
    expect(found.centers).to.deep.equal(['center-1.example.com:15443'])
    expect(readDiscovery(found)).to.deep.equal(found)
    expect((await askOf(having(true))).centers).to.deep.equal([])
  })

  it('refuses names that no service can have, and more than its bound', async () => {
    for (const names of [['a b'], Array.from({ length: maxNames + 1 }, (_, at) => `s${at}`)]) {
      const error = await ask(...names).then(
        () => undefined,
        (refused: unknown) => refused,
      )
      expect(error).to.be.instanceOf(MeshError).and.to.have.property('code', 'E_ADMIN_REQUEST')
    }
  })
})
