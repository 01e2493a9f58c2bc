import { expect } from 'chai'
import type { ServiceView } from '../../../../../registry-adapters/nacos/server/backend.ts'
import { serviceInfo } from '../../../../../registry-adapters/nacos/server/service-info.ts'

const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

function view(
  protectThreshold: number,
  ...hosts: { port: number; healthy?: boolean; enabled?: boolean; cluster?: string }[]
): ServiceView {
  return {
    service,
    protectThreshold,
    metadata: {},
    instances: hosts.map((host) => ({
      ip: '10.0.0.1',
      weight: 1,
      healthy: true,
      enabled: true,
      ephemeral: true,
      cluster: 'DEFAULT',
      metadata: {},
      ...host,
    })),
  }
}

const options = { clusters: '', healthyOnly: false, cacheMillis: 1000, at: 5, hasGroupInName: true }
const shown = (found: ServiceView, more: Partial<typeof options> = {}): string =>
  serviceInfo(service, found, { ...options, ...more })
    .hosts.map(({ port, healthy }) => `${port}${healthy ? '' : '!'}`)
    .join(' ')

describe('service as clients read it', () => {
  it('leaves disabled instances out', () => {
    expect(shown(view(0, { port: 1 }, { port: 2, enabled: false }))).to.equal('1')
  })

  it('holds the wanted clusters only', () => {
    const found = view(0, { port: 1, cluster: 'a' }, { port: 2, cluster: 'b' }, { port: 3, cluster: 'c' })
    expect(shown(found, { clusters: 'a,c' })).to.equal('1 3')
  })

  it('shows the one instance that stands for all under whichever cluster is asked for', () => {
    const found = { ...view(0, { port: 1 }), isAnyCluster: true }
    expect(serviceInfo(service, found, { ...options, clusters: 'east,west' }).hosts[0]?.clusterName).to.equal('east')
  })

  it('leaves unhealthy instances out only where healthy ones are asked for', () => {
    const found = view(0, { port: 1 }, { port: 2, healthy: false })
    expect([shown(found), shown(found, { healthyOnly: true })]).to.deep.equal(['1 2!', '1'])
  })

  it('shows all as healthy at or below the protect threshold, and says so', () => {
    const found = view(0.5, { port: 1 }, { port: 2, healthy: false })
    expect(shown(found, { healthyOnly: true })).to.equal('1 2')
    expect(serviceInfo(service, found, options).reachProtectionThreshold).to.equal(true)
  })

  it('does not protect without a threshold', () => {
    const found = view(0, { port: 1, healthy: false })
    expect(serviceInfo(service, found, options).reachProtectionThreshold).to.equal(false)
    expect(shown(found, { healthyOnly: true })).to.equal('')
  })

  it('is empty for a service that nobody knows', () => {
    expect(serviceInfo(service, undefined, options)).to.deep.include({
      name: 'DEFAULT_GROUP@@orders',
      hosts: [],
      valid: true,
    })
  })

  it('carries the plain name for gRPC', () => {
    expect(serviceInfo(service, undefined, { ...options, hasGroupInName: false }).name).to.equal('orders')
  })
})
