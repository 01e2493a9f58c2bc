import { expect } from 'chai'
import { endpointId } from '../../../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../../../contracts/endpoint.ts'
import type { Registration } from '../../../../../contracts/registry-adapter.ts'
import { layoutNames, layouts } from '../../../../../registry-adapters/zookeeper/layouts/index.ts'
import type { LayoutName } from '../../../../../registry-adapters/zookeeper/layouts/index.ts'
import { readProviderUrl } from '../../../../../registry-adapters/zookeeper/layouts/provider-url.ts'

const none = Buffer.alloc(0)
const layout = (name: LayoutName) => layouts[name].create(layouts[name].root)
const read = (name: LayoutName, service: string, child: string, data: unknown): Endpoint | 'other' | undefined =>
  layout(name).read(service, child, data === undefined ? none : Buffer.from(JSON.stringify(data)))

/** A provider as Dubbo 3.3 writes it. */
const orders =
  'dubbo%3A%2F%2F10.0.0.7%3A20880%2Fcom.acme.Orders%3Fanyhost%3Dtrue%26application%3Dshop%26deprecated%3Dfalse%26dubbo%3D2.0.2%26dynamic%3Dtrue%26' +
  'generic%3Dfalse%26group%3Dblue%26interface%3Dcom.acme.Orders%26methods%3Dplace%2Ccancel%26pid%3D17%26side%3Dprovider%26timestamp%3D1700000000000%26version%3D1.0.0%26weight%3D200'

const orderApplication = (name: string): Registration => ({
  service: { namespace: 'public', group: 'DEFAULT_GROUP', name },
  address: '2001:db8::1',
  port: 21_004,
  weight: 2.5,
  cluster: '',
  healthy: true,
  enabled: true,
  metadata: { version: 'v1', zone: 'bj-1', 'hostmesh.inbound': 'true', note: 'a b&c=d%41?' },
})

describe('layouts of ZooKeeper', () => {
  it('read a provider of Dubbo as it writes itself', () => {
    const endpoint = read('dubbo', 'com.acme.Orders', orders, undefined) as Endpoint
    expect(endpointId(endpoint)).to.equal('10.0.0.7:20880')
    expect(endpoint).to.include({ weight: 2, version: '1.0.0', enabled: true })
    expect(endpoint.metadata).to.include({ application: 'shop', methods: 'place,cancel', protocol: 'dubbo' })
  })

  it('tell versions and groups of one interface apart, also in the names that Nacos gives them', () => {
    const of = (service: string): boolean => read('dubbo', service, orders, undefined) !== 'other'
    expect(of('com.acme.Orders')).to.equal(true)
    expect(of('com.acme.Orders:1.0.0')).to.equal(true)
    expect(of('com.acme.Orders:1.0.0:blue')).to.equal(true)
    expect(of('providers:com.acme.Orders:1.0.0:blue')).to.equal(true)
    expect(of('com.acme.Orders:2.0.0')).to.equal(false)
    expect(of('com.acme.Orders::green')).to.equal(false)
    expect(layout('dubbo').directoryOf('providers:com.acme.Orders:1.0.0:blue')).to.equal(
      '/dubbo/com.acme.Orders/providers',
    )
  })

  it('find a nested class where Dubbo puts it, and name it as the application does', () => {
    expect(layout('dubbo').directoryOf('Sample$Greeter')).to.equal('/dubbo/Sample%24Greeter/providers')
    expect(layout('dubbo').nameOf('Sample%24Greeter')).to.equal('Sample$Greeter')
  })

  it('read a provider of SOFARPC', () => {
    const child = encodeURIComponent(
      'bolt://10.0.0.8:12200?version=1.0&uniqueId=a&weight=100&appName=shop&rpcVer=50900',
    )
    const endpoint = read('sofa', 'com.acme.Orders:a', child, undefined) as Endpoint
    expect(endpointId(endpoint)).to.equal('10.0.0.8:12200')
    expect(endpoint.weight).to.equal(1)
    expect(read('sofa', 'com.acme.Orders:b', child, undefined)).to.equal('other')
  })

  it('write the unique id of SOFARPC also where it is empty, since consumers compare it', () => {
    const written = (name: string): string | undefined =>
      readProviderUrl(layout('sofa').nodeOf(orderApplication(name)).path.split('/').at(-1)!)!.parameters.get('uniqueId')
    expect(written('com.acme.Orders')).to.equal('')
    expect(written('com.acme.Orders:a')).to.equal('a')
  })

  it('read an application of Dubbo 3 and a service of Curator', () => {
    const dubbo = {
      name: 'shop',
      id: '10.0.0.9:20880',
      address: '10.0.0.9',
      port: 20880,
      sslPort: null,
      payload: {
        '@class': 'org.apache.dubbo.registry.zookeeper.ZookeeperInstance',
        id: '10.0.0.9:20880',
        name: 'shop',
        metadata: { 'dubbo.endpoints': '[{"port":20880,"protocol":"dubbo"}]', 'dubbo.metadata.revision': 'abc' },
      },
      registrationTimeUTC: 1700000000000,
      serviceType: 'DYNAMIC',
      uriSpec: null,
    }
    const endpoint = read('dubbo-app', 'shop', '10.0.0.9:20880', dubbo) as Endpoint
    expect(endpointId(endpoint)).to.equal('10.0.0.9:20880')
    expect(endpoint.metadata).to.have.property('dubbo.metadata.revision', 'abc')
    const spring = {
      ...dubbo,
      payload: { '@class': 'x', id: 'application-1', name: 'shop', metadata: { zone: 'bj-1' } },
    }
    expect((read('curator', 'shop', 'uuid', spring) as Endpoint).locality.zone).to.equal('bj-1')
  })

  const nonsense: [LayoutName, string, unknown][] = [
    ['dubbo', 'plain text', undefined],
    ['dubbo', '%E0%A4%A', undefined],
    ['dubbo', encodeURIComponent('dubbo://a-host-name:20880/x'), undefined],
    ['dubbo', encodeURIComponent('dubbo://10.0.0.1:0/x'), undefined],
    ['dubbo', encodeURIComponent('dubbo://10.0.0.1:70000/x'), undefined],
    ['dubbo', encodeURIComponent('dubbo://10.0.0.1:20880/x?weight=-1'), undefined],
    ['dubbo', encodeURIComponent('dubbo://10.0.0.1:20880/x?weight=NaN'), undefined],
    ['dubbo', 'x'.repeat(40_000), undefined],
    ['plain', 'a', { address: 'localhost', port: 1 }],
    ['plain', 'a', { address: '10.0.0.1', port: 65_536 }],
    ['plain', 'a', { address: '10.0.0.1' }],
    ['plain', 'a', { address: '10.0.0.1', port: 1, weight: -1 }],
    ['plain', 'a', []],
    ['plain', 'a', 'x'.repeat(70_000)],
    ['curator', 'a', { address: '10.0.0.1', port: 1, payload: { metadata: { weight: 'heavy' } } }],
  ]
  for (const [name, child, data] of nonsense)
    it(`leave out what makes no sense: ${name} ${child.slice(0, 60)} ${JSON.stringify(data)?.slice(0, 60) ?? ''}`, () => {
      expect(read(name, 'x', child, data)).to.equal(undefined)
    })

  it('cannot be poisoned by names of prototypes', () => {
    const child = encodeURIComponent('dubbo://10.0.0.1:1/x?__proto__=a&constructor=b')
    const endpoint = read('dubbo', 'x', child, undefined) as Endpoint
    expect(Object.getPrototypeOf(endpoint.metadata)).to.equal(Object.prototype)
    expect(({} as Record<string, unknown>)['a']).to.equal(undefined)
  })

  it('read a hostile name in linear time', () => {
    const begun = performance.now()
    for (const text of [`a://${'@'.repeat(30_000)}`, `a://${'[:'.repeat(15_000)}`, `a://h:1/${'?'.repeat(30_000)}`])
      readProviderUrl(encodeURIComponent(text).slice(0, 32_768))
    expect(performance.now() - begun).to.be.lessThan(1000)
  })

  for (const name of layoutNames)
    it(`read back what they write: ${name}`, () => {
      const written = layout(name).nodeOf(orderApplication('com.acme.Orders'))
      const child = written.path.slice(written.path.lastIndexOf('/') + 1)
      const endpoint = layout(name).read('com.acme.Orders', child, written.data) as Endpoint
      expect(endpointId(endpoint)).to.equal('[2001:db8::1]:21004')
      expect(endpoint).to.include({ weight: 2.5, version: 'v1' })
      expect(endpoint.locality.zone).to.equal('bj-1')
      expect(endpoint.metadata).to.include({ 'hostmesh.inbound': 'true', note: 'a b&c=d%41?' })
    })
})
