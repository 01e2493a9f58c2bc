import { expect } from 'chai'
import type { ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'
import { endpoint } from '../../support/fake-registry.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key: ServiceKey = 'public/DEFAULT_GROUP@@orders'

describe('a service that a caller asks for', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  it('is in no snapshot before a registry has answered, so that nobody is told it has no endpoint; then it comes whole', async () => {
    bench = await openBench()
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    worker.send({ type: 'need', names: ['orders', 'impossible name'] })
    await worker.until(() => worker.snapshot!.names['impossible name'] === null, 'the other name is answered')
    expect(worker.snapshot!.virtualHosts).to.not.have.property(key)
    expect(worker.snapshot!.services).to.not.have.property(key)

    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    await worker.until(() => worker.snapshot!.names['orders'] === key, 'answer')
    expect(worker.snapshot!.virtualHosts).to.have.property(key)
    expect(worker.snapshot!.services[key]!.endpoints.endpoints).to.have.length(1)
  })
})
