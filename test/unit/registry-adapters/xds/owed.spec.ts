/** Control planes that owe something: routes that do not come or make no sense, endpoints that are not said again. */
import { expect } from 'chai'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { RegistryAdapter, RuleCollection } from '../../../../contracts/registry-adapter.ts'
import { createXdsAdapter } from '../../../../registry-adapters/xds/index.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { eventually, recordedDeps, recordingListener } from '../../../support/registry-listener.ts'
import { assignment, cluster, listener, routes, type Resource } from '../../../support/xds/control-plane.ts'
import { SaidPlane } from '../../../support/xds/said-plane.ts'
import { StubPlane, assignmentBytes, clusterBytes } from '../../../support/xds/stub-plane.ts'

const service = (name: string): ServiceName => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })

describe('a control plane that owes something', function () {
  this.timeout(60_000)
  let plane: SaidPlane | StubPlane | undefined
  let adapter: RegistryAdapter | undefined
  let clock: ReturnType<typeof manualClock>
  let deps: ReturnType<typeof recordedDeps>
  beforeEach(() => {
    clock = manualClock()
    deps = { ...recordedDeps(), clock }
  })
  afterEach(async () => {
    await adapter?.close()
    plane?.close()
  })

  function started(port: number): RegistryAdapter {
    adapter = createXdsAdapter(
      {
        name: 'envoys',
        servers: [{ host: '127.0.0.1', port }],
        namespace: 'public',
        group: 'DEFAULT_GROUP',
        node: 'host-1',
        cluster: 'hostmesh',
        tls: () => undefined,
        token: () => undefined,
        maxEndpoints: 100,
      },
      deps,
    )
    adapter.start()
    return adapter
  }

  describe('routes', () => {
    let said: SaidPlane
    let rules: readonly RuleCollection[]
    const timeouts = (): string[] => rules.flatMap(({ text }) => /"timeout":"(\d+)ms"/.exec(text ?? '')?.[1] ?? [])
    /** `one`: seconds that the route of the first listener has; `two`: the routes of the second. */
    const say = (one: number, two: readonly Resource[]): void => {
      const match = { prefix: '/' }
      said.say([
        cluster('v1'),
        assignment('v1', [{ address: '10.0.0.1', port: 8080 }]),
        listener('orders', 'r1'),
        listener('ledger', 'r2'),
        routes('r1', ['orders'], [{ match, route: { cluster: 'v1', timeout: `${one}s` } }]),
        ...two,
      ])
    }
    const second = (route: object): Resource => routes('r2', ['ledger'], [{ match: { prefix: '/' }, route }])
    const untilTimeouts = (...wanted: readonly string[]): Promise<void> =>
      eventually(
        () => timeouts().join() === wanted.join(),
        () => `the timeouts ${wanted.join()}; they are ${timeouts().join()}`,
      )
    beforeEach(async () => {
      rules = []
      said = await SaidPlane.start()
      plane = said
      const { rules: feed } = started(said.port)
      feed!.watch((collections) => (rules = collections))
      feed!.want!(['orders', 'ledger', 'v1'].map(service))
    })

    it('that are refused keep no others waiting, now or later', async () => {
      say(1, [second({ clusterHeader: 'x-cluster' })])
      await untilTimeouts('1000')
      say(2, [second({ clusterHeader: 'x-cluster' })])
      await untilTimeouts('2000')
      say(2, [second({ cluster: 'v1', timeout: '3s' })])
      await untilTimeouts('3000', '2000')
    })

    it('that do not come are waited for once, and what changes of the others later is in force at once', async () => {
      say(1, [])
      const isTaken = (type: string): boolean =>
        said.requests.some((one) => one.type === type && one.nonce !== '' && one.version !== '')
      await eventually(() => ['Cluster', 'Listener', 'RouteConfiguration'].every(isTaken), 'all acknowledgements')
      expect(timeouts()).to.deep.equal([])
      clock.advance(15_000)
      await untilTimeouts('1000')
      expect(deps.lines.filter((line) => line.includes('no answer about the routes r2'))).to.have.length(1)
      say(2, [])
      await untilTimeouts('2000')
      say(2, [second({ cluster: 'v1', timeout: '3s' })])
      await untilTimeouts('3000', '2000')
      expect(deps.lines.filter((line) => line.includes('no answer about the routes'))).to.have.length(1)
    })
  })

  describe('endpoints', () => {
    let stub: StubPlane
    const both = [clusterBytes('orders'), clusterBytes('other')]
    const acknowledged = (type: string, version: string): Promise<void> =>
      eventually(
        () => stub.requests.some((one) => one.type === type && one.version === version && one.nonce !== ''),
        `the acknowledgement of ${type} ${version}`,
      )
    beforeEach(async () => {
      stub = await StubPlane.start((request, say) => {
        if (request.type === 'Cluster' && request.nonce === '') say('Cluster', both)
        if (request.type === 'Listener' && request.nonce === '') say('Listener', [])
      })
      plane = stub
      started(stub.port)
      await acknowledged('Cluster', '1')
    })

    it('of a cluster that was gone and is back are none only when it says so again', async () => {
      const heard = recordingListener()
      adapter!.subscribe(service('orders'), heard)
      stub.say('ClusterLoadAssignment', [assignmentBytes('orders', ['10.0.0.1'])])
      await heard.untilIds(['10.0.0.1:8080'])
      stub.say('Cluster', [clusterBytes('other')], '2')
      await heard.untilIds([])
      // late enough for a second word to count
      clock.advance(2000)
      stub.say('Cluster', both, '3')
      await acknowledged('Cluster', '3')
      expect(heard.confirmed).to.deep.equal([])
      stub.say('ClusterLoadAssignment', [assignmentBytes('orders', ['10.0.0.2'])], '2')
      await heard.untilIds(['10.0.0.2:8080'])
      expect(heard.confirmed).to.deep.equal([])
    })

    it('that nobody asked for say nothing of a cluster that comes later', async () => {
      stub.say('ClusterLoadAssignment', [assignmentBytes('later', ['10.0.0.1'])], '7')
      await acknowledged('ClusterLoadAssignment', '7')
      stub.say('Cluster', [...both, clusterBytes('later')], '2')
      await acknowledged('Cluster', '2')
      const heard = recordingListener()
      adapter!.subscribe(service('later'), heard)
      stub.say('ClusterLoadAssignment', [assignmentBytes('later', ['10.0.0.2'])], '8')
      await heard.untilIds(['10.0.0.2:8080'])
      expect(heard.sets.map(({ endpoints }) => endpoints.length)).to.deep.equal([1])
    })
  })
})
