import { expect } from 'chai'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { RelayMarks } from '../../../../global-mesh-center/hosts/relay-marks.ts'
import { UnhealthyInstances } from '../../../../global-mesh-center/hosts/unhealthy-instances.ts'
import { openBench, type Bench } from '../../agent/control/support/control-bench.ts'
import { endpoint } from '../../agent/control/support/fake-registry.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key: ServiceKey = 'public/DEFAULT_GROUP@@orders'

describe('what a center knows of silent hosts, for its own workers', () => {
  let bench: Bench
  afterEach(async () => bench.close())

  it('makes instances unhealthy that do not answer, down to the protected share, and well again', async () => {
    bench = await openBench({ outbound: { services: [{ service: 'orders', port: 20_007 }] } })
    const unhealthy = new UnhealthyInstances()
    const { core } = bench.control
    const marks = new RelayMarks({ unhealthy, share: 0.5, core })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const healthyOnes = (): string[] =>
      (worker.snapshot?.services[key]?.endpoints.endpoints ?? []).flatMap(({ address, healthy }) =>
        healthy ? [address] : [],
      )
    const all = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']
    const say = (): void =>
      bench.registry.say(
        orders,
        all.map((address) => endpoint(`${address}:80`)),
      )
    say()
    await worker.until(() => healthyOnes().length === 4, 'all are well')
    expect(marks.instancesAt(new Set(['10.0.0.2', '10.9.9.9']))).to.deep.equal([{ address: '10.0.0.2', port: 80 }])

    unhealthy.replace(new Set(['10.0.0.2:80']))
    await worker.until(() => healthyOnes().length === 3, 'one is marked')
    expect(healthyOnes()).to.deep.equal(['10.0.0.1', '10.0.0.3', '10.0.0.4'])
    say()
    unhealthy.replace(new Set(all.map((address) => `${address}:80`)))
    await worker.until(() => healthyOnes().length === 2, 'half of them stay')
    unhealthy.replace(new Set())
    await worker.until(() => healthyOnes().length === 4, 'all are well again')
  })
})
