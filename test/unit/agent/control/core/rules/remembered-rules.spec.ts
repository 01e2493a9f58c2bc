import { expect } from 'chai'
import { orders, ordersRoutes } from '../../../../../support/routing.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'

describe('the rules of the last run', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  const over = async (source: string): Promise<number> => {
    bench = await openBench({ outbound: { services: [{ service: 'orders' }] } })
    bench.control.setLeading(true)
    const text = ordersRoutes('- timeout: 2s\n  route: [{ destination: { host: orders } }]')
    bench.control.core.replaceRules(source, [{ name: 'orders', text }])
    bench = await bench.restart()
    return bench.control.core.store.virtualHost(orders)!.http[0]!.timeoutMs
  }

  it('stay in force until their registry answers, or their center', async () => {
    expect(await over('nacos:main')).to.equal(2000)
    await bench.close()
    expect(await over('center')).to.equal(2000)
  })

  it('go with a registry that the configuration does not name any more', async () => {
    expect(await over('nacos:gone')).to.equal(0)
  })
})
