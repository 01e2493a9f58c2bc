import { expect } from 'chai'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import { consulAdapter, putInstances } from '../../../support/consul/registry.ts'
import { startConsulStandIn, type ConsulStandIn } from '../../../support/consul/stand-in.ts'
import { eventually, recordingListener } from '../../../support/registry-listener.ts'

const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

describe('a token of Consul that may do too little', function () {
  this.timeout(60_000)
  let consul: ConsulStandIn
  let adapter: RegistryAdapter
  beforeEach(async () => {
    consul = await startConsulStandIn()
    adapter = consulAdapter(consul.port)
  })
  afterEach(async () => {
    await adapter.close()
    await consul.stop()
  })
  const untilDenied = (): Promise<void> =>
    eventually(
      () => adapter.status().problem?.code === 'E_REGISTRY_DENIED' && !adapter.status().connected,
      () => `a status that says so; it is ${JSON.stringify(adapter.status())}`,
    )

  it('takes no instance away: a list of which something is left out is a refusal', async () => {
    putInstances(consul, service, [{ address: '10.0.0.1', port: 80 }])
    const heard = recordingListener()
    adapter.subscribe(service, heard)
    adapter.start()
    await heard.untilIds(['10.0.0.1:80'])
    consul.hide(['orders'])
    await untilDenied()
    expect(adapter.status().problem?.message).to.contain('service:read')
    expect(heard.story).to.deep.equal(['set 10.0.0.1:80', 'stale E_REGISTRY_DENIED'])
    consul.hide([])
    putInstances(consul, service, [{ address: '10.0.0.2', port: 80 }])
    await heard.untilIds(['10.0.0.2:80'])
    expect(adapter.status()).to.include({ connected: true, problem: undefined })
  })

  it('lists the services that it may read, and is a refusal where it may read none', async () => {
    for (const name of ['orders', 'ledger'])
      putInstances(consul, { ...service, name }, [{ address: '10.0.0.1', port: 80 }])
    consul.hide(['orders'])
    expect(await adapter.listServices(10, AbortSignal.timeout(50_000))).to.deep.equal(['public/DEFAULT_GROUP@@ledger'])
    consul.hide(['orders', 'ledger'])
    const error = await adapter.listServices(10, AbortSignal.timeout(50_000)).catch((cause: unknown) => cause)
    expect(error).to.include({ code: 'E_REGISTRY_DENIED' })
  })

  it('is a refusal as a whole, with its reason, on a host that only announces', async () => {
    consul.token = 'another'
    adapter.start()
    const handle = adapter.register({
      service,
      address: '10.2.0.1',
      port: 9001,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    await untilDenied()
    expect(handle.state).to.equal('failing')
    expect(handle.problem?.message).to.contain('refused with 403')
    handle.release()
    await eventually(() => adapter.status().connected, 'a registry of which nothing is wanted')
  })
})
