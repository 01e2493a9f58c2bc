import { expect } from 'chai'
import type { ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'
import { endpoint } from '../../support/fake-registry.ts'
import { manualClock, type ManualClock } from '../../../../../support/manual-clock.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key: ServiceKey = 'public/DEFAULT_GROUP@@orders'
const listener = `outbound ${key}`

describe('localhost ports that somebody on the host was told of', () => {
  let bench: Bench
  let clock: ManualClock
  afterEach(async () => bench.close())

  const restartedAfterUse = async (nacosFace: object): Promise<number> => {
    bench = await openBench({ nacosFace })
    bench.control.setLeading(true)
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    const port = bench.control.host.outbound.open(key, 'tcp', 'a client')!
    bench.registry.say(orders, [endpoint('10.0.0.9:80')])
    await worker.until(() => worker.snapshot!.services[key]?.endpoints.endpoints.length === 1, 'endpoints')
    clock = manualClock()
    bench = await bench.restart({ clock })
    return port
  }

  it('are open from the first snapshot of the next control on, with the endpoints from disk', async () => {
    const port = await restartedAfterUse({ enabled: true })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    expect(worker.snapshot!.listeners[listener]).to.deep.include({ port, protocol: 'tcp', service: key })
    expect(worker.snapshot!.services[key]?.endpoints.endpoints.map(({ address }) => address)).to.deep.equal([
      '10.0.0.9',
    ])
  })

  it('are closed a minute later when nobody has asked for them', async () => {
    await restartedAfterUse({ enabled: true })
    const worker = bench.worker()
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
    clock.advance(59_999)
    expect(bench.control.host.listeners.servicePort(key)).to.be.a('number')
    clock.advance(1)
    await worker.until(() => worker.snapshot!.listeners[listener] === undefined, 'the port is closed')
  })

  it('stay open, and the same, for whoever has asked for them by then', async () => {
    const port = await restartedAfterUse({ enabled: true })
    expect(bench.control.host.outbound.open(key, 'tcp', 'the client is back')).to.equal(port)
    clock.advance(60_000)
    expect(bench.control.host.listeners.servicePort(key)).to.equal(port)
    bench.control.host.outbound.close(key, 'the client is back')
    expect(bench.control.host.listeners.servicePort(key)).to.equal(undefined)
  })

  it('stay closed where no client can have been told of them', async () => {
    await restartedAfterUse({ enabled: false })
    expect(bench.control.host.listeners.servicePort(key)).to.equal(undefined)
  })
})
