import { expect } from 'chai'
import { endpointAt, type Endpoint, type ServiceKey } from '../../../../../contracts/endpoint.ts'
import { decodeMessage } from '../../../../../contracts/envoy-api/decode.ts'
import { encodeMessage } from '../../../../../contracts/envoy-api/encode.ts'
import type { Plain } from '../../../../../contracts/envoy-api/message-form.ts'
import { AgentRules } from '../../../../../global-mesh-center/xds/agent-rules.ts'
import { ForeignResources } from '../../../../../global-mesh-center/xds/envoy/foreign-resources.ts'
import { leftOutPage } from '../../../../../global-mesh-center/xds/envoy/left-out-page.ts'
import { LeftOutTable } from '../../../../../global-mesh-center/xds/envoy/left-out-table.ts'
import { foreignTypes } from '../../../../../global-mesh-center/xds/envoy/world.ts'
import type { FollowedServices, Instances } from '../../../../../global-mesh-center/xds/followed-services.ts'
import type { ResourceReader } from '../../../../../global-mesh-center/xds/resources.ts'
import { turn } from '../../../../support/center/discovery-bench.ts'
import { manualClock } from '../../../../support/manual-clock.ts'

const key = (name: string): ServiceKey => `public/DEFAULT_GROUP@@${name}`
const rule = (name: string, http: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name} }\nspec: { hosts: [${name}], http: [${http}] }`
const to = (name: string): string => `{ route: [{ destination: { host: ${name} } }] }`
const stranger = { asker: undefined, from: '10.0.0.1:40000', isPrivate: true }
const reader: ResourceReader = { onNews: () => undefined }

describe('what an Envoy and a client of gRPC can ask for', () => {
  const clock = manualClock()
  let rules: AgentRules
  let leftOut: LeftOutTable
  let foreign: ForeignResources
  let instances: Map<string, readonly Endpoint[]>
  let followed: Map<string, (now: Instances) => void>
  let gauge: number

  const write = (...texts: readonly string[]): Promise<void> =>
    rules.replace(texts.map((text, at) => ({ name: String(at), text })))
  const nodeOf = (metadata: Plain): Buffer => encodeMessage('envoy.config.core.v3.Node', { id: 'a', metadata })
  async function routesOf(metadata: Plain, name = 'outbound'): Promise<Plain> {
    const view = foreign.view(nodeOf(metadata), stranger)
    const resources = view.resources(foreignTypes.routes)!
    resources.subscribe(name, reader)
    await turn()
    const any = decodeMessage('envoy.service.discovery.v3.DiscoveryResponse', asResponse(resources.get(name)!.any!))
    return (any['resources'] as Plain[])[0]!
  }
  const hostsOf = async (metadata: Plain): Promise<string[]> =>
    ((await routesOf(metadata))['virtual_hosts'] as Plain[] | undefined)?.map(({ name }) => String(name)) ?? []

  beforeEach(() => {
    rules = new AgentRules({ namespace: 'public', group: 'DEFAULT_GROUP' })
    gauge = 0
    leftOut = new LeftOutTable({ gauge: (_name, _labels, value) => void (gauge = value) })
    instances = new Map()
    followed = new Map()
    const services: Pick<FollowedServices, 'follow'> = {
      follow: (service, _name, listener) => {
        followed.set(service, listener)
        setImmediate(() => {
          const endpoints = instances.get(service)
          if (endpoints !== undefined) listener({ endpoints, protectThreshold: 0 })
        })
        return () => void followed.delete(service)
      },
    }
    foreign = new ForeignResources({
      rules,
      services,
      leftOut,
      clock,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      random: () => 0.5,
      clusterDomain: 'cluster.local',
      issuer: undefined,
    })
  })

  it('are the services that its node names, or those about which rules say something', async () => {
    await write(rule('orders', to('orders')), rule('cart', to('stock')))
    expect(await hostsOf({})).to.have.members([key('cart'), key('orders')])
    expect(await hostsOf({ services: ['ledger'] })).to.deep.equal([key('ledger')])
  })

  it('are shared by nodes that say the same, and made anew for none', async () => {
    await write(rule('orders', to('orders')))
    const [one, same, other] = [{}, {}, { services: ['orders'] }].map((metadata) =>
      foreign.view(nodeOf(metadata), stranger),
    )
    expect(one!.resources(foreignTypes.routes)).to.equal(same!.resources(foreignTypes.routes))
    expect(one!.resources(foreignTypes.routes)).to.not.equal(other!.resources(foreignTypes.routes))
    expect(one!.resources(foreignTypes.clusters)).to.equal(other!.resources(foreignTypes.clusters))
  })

  it('without a name are the clusters to which the routes lead, and others when rules change', async () => {
    await write(rule('orders', to('orders')))
    const wildcard = foreign.view(nodeOf({}), stranger).wildcard(foreignTypes.clusters)!
    let changes = 0
    const stop = wildcard.watch(() => changes++)
    expect([...wildcard.names()!]).to.deep.equal([`outbound|||${key('orders')}`])
    await write(rule('orders', to('spare')))
    expect([...wildcard.names()!]).to.deep.equal([`outbound|||${key('spare')}`])
    await write(rule('orders', to('spare')))
    expect(changes, 'a rule that is written once more changes nothing').to.equal(1)
    stop()
  })

  it('are not known before the store has been read', async () => {
    const view = foreign.view(nodeOf({}), stranger)
    const wildcard = view.wildcard(foreignTypes.clusters)!
    const stop = wildcard.watch(() => undefined)
    expect(wildcard.names()).to.equal(undefined)
    await write()
    expect(wildcard.names()?.size).to.equal(0)
    stop()
  })

  it('give a name in Host to one service alone: one name twice would cost an Envoy all its routes', async () => {
    await write(
      rule('orders', to('orders')),
      rule('orders.DEFAULT_GROUP', to('orders')).replace('name: orders.DEFAULT_GROUP', 'name: same'),
    )
    const hosts = (await routesOf({ services: ['orders', 'Orders', 'cart'] }))['virtual_hosts'] as Plain[]
    const domains = hosts.flatMap(({ domains: some }) => some as string[])
    expect(new Set(domains).size).to.equal(domains.length)
  })

  it('wait for a registry that has not spoken, but not for ever', async () => {
    await write(rule('orders', to('orders')))
    const name = `outbound|||${key('orders')}`
    const clusters = foreign.view(nodeOf({}), stranger).resources(foreignTypes.clusters)!
    clusters.subscribe(name, reader)
    await turn()
    expect(clusters.get(name)).to.equal(undefined)
    clock.advance(2000)
    expect(clusters.get(name)!.awaitsEndpoints).to.equal(true)
    clusters.unsubscribe(name, reader)
    expect(followed.size).to.equal(0)
  })

  it('speak HTTP/2 where the instances say so', async () => {
    instances.set(key('orders'), [endpointAt('10.0.0.1', 80, { metadata: { 'hostmesh.protocol': 'grpc' } })])
    await write(rule('orders', to('orders')))
    const name = `outbound|||${key('orders')}`
    const clusters = foreign.view(nodeOf({}), stranger).resources(foreignTypes.clusters)!
    clusters.subscribe(name, reader)
    await turn()
    expect(clusters.get(name)!.any!.toString('latin1')).to.contain('HttpProtocolOptions')
    const { resources } = decodeMessage(
      'envoy.service.discovery.v3.DiscoveryResponse',
      asResponse(clusters.get(name)!.any!),
    ) as unknown as { resources: readonly Plain[] }
    expect(JSON.stringify(resources[0])).to.contain('"http2_protocol_options":{}')
  })

  it('are named with what they leave out, until they say it', async () => {
    await write(rule('orders', `{ match: [{ sourceLabels: { app: a } }], ${to('orders').slice(1)}`))
    await routesOf({ services: ['orders'] })
    const page = leftOutPage(leftOut)
    const text = async (): Promise<string> =>
      (await page.answer({ isJson: false, query: new URLSearchParams() } as never)).body
    expect(await text()).to.contain(`${key('orders')}: a route for callers with certain labels`)
    expect(gauge).to.equal(1)
    await write(rule('orders', to('orders')))
    expect(await text()).to.contain('nothing is left out')
    expect(gauge).to.equal(0)
  })

  it('are refused with a node that says what it may not', () => {
    for (const [metadata, message] of [
      [{ services: 'orders' }, 'node.metadata.services: found "orders", allowed a list of at most 1000 names'],
      [{ services: [1] }, 'node.metadata.services: found [1]'],
      [{ identity: 'ns/a/sa/*' }, 'node.metadata.identity: found "ns/a/sa/*", allowed ns/NAMESPACE/sa/ACCOUNT'],
      [{ listen: 'localhost:80' }, 'node.metadata.listen: found "localhost:80", allowed an address and a port'],
    ] as const)
      expect(() => foreign.view(nodeOf(metadata), stranger)).to.throw(RangeError, message)
  })
})

/** One resource as it stands in a response. */
function asResponse(any: Buffer): Buffer {
  return encodeMessage('envoy.service.discovery.v3.DiscoveryResponse', { resources: [any] })
}
