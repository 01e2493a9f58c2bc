import { expect } from 'chai'
import { decodeMessage } from '../../../../contracts/envoy-api/decode.ts'
import type { Plain } from '../../../../contracts/envoy-api/message-form.ts'
import { clusterType, endpointType } from '../../../../global-mesh-center/xds/send-order.ts'
import type { StateRequest } from '../../../../global-mesh-center/xds/state-request.ts'
import { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import { StateStream } from '../../../../global-mesh-center/xds/state-stream.ts'
import { StateType } from '../../../../global-mesh-center/xds/state-type.ts'
import { maxNameLength, maxNames } from '../../../../global-mesh-center/xds/stream-bounds.ts'
import {
  DiscoveryBench,
  listenerType,
  namesOf,
  routeType,
  short,
  turn,
} from '../../../support/center/discovery-bench.ts'

interface Sent {
  readonly type: string
  readonly names: readonly string[]
  readonly nonce: string
  readonly version: string
}

class Bench extends DiscoveryBench {
  readonly sent: Sent[] = []

  stream(): StateStream {
    return new StateStream({ ...this.asDeps(), send: (bytes) => this.sent.push(read(bytes)) })
  }

  /** What was sent since the last look, as `Cluster a b`. */
  take(): string[] {
    return this.sent.splice(0).map(({ type, names }) => [short(type), ...names].join(' '))
  }
}

function read(bytes: Buffer): Sent {
  const {
    type_url: type,
    resources,
    nonce,
    version_info: version,
  } = decodeMessage('envoy.service.discovery.v3.DiscoveryResponse', bytes) as unknown as {
    type_url: string
    resources?: readonly Plain[]
    nonce: string
    version_info: string
  }
  return { type, names: namesOf(resources ?? []), nonce, version }
}

describe('a stream of xDS, state of the world', () => {
  let bench: Bench
  let stream: StateStream
  const ask = async (typeUrl: string, change: Partial<StateRequest> = {}): Promise<void> => {
    stream.take({ nodeBytes: undefined, nodeId: '', typeUrl, names: [], nonce: '', error: undefined, ...change })
    await turn()
  }
  beforeEach(() => {
    bench = new Bench()
    stream = bench.stream()
  })

  it('waits with the first clusters until all that there are is known', async () => {
    await ask(clusterType)
    expect(bench.take()).to.deep.equal([])
    bench.clusters('a', 'b')
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster a@1 b@1'])
  })

  it('sends all clusters when one changes, and of other types the changed one alone', async () => {
    bench.clusters('a', 'b')
    for (const name of ['a', 'b']) bench.set(endpointType, name, 1)
    await ask(clusterType)
    await ask(clusterType, { nonce: '1' })
    await ask(endpointType, { names: ['a', 'b'] })
    await ask(endpointType, { names: ['a', 'b'], nonce: '2' })
    expect(bench.take()).to.deep.equal(['Cluster a@1 b@1', 'ClusterLoadAssignment a b'])
    bench.set(endpointType, 'b', 2)
    await turn()
    expect(bench.take()).to.deep.equal(['ClusterLoadAssignment b'])
    await ask(endpointType, { names: ['a', 'b'], nonce: '3' })
    bench.set(clusterType, 'a', 2)
    await turn()
    expect(bench.take(), 'a changed cluster warms, and is acknowledged when its endpoints came again').to.deep.equal([
      'Cluster a@2 b@1',
      'ClusterLoadAssignment a',
    ])
  })

  it('has one response of a type under way, and sends of what changed meanwhile the newest alone', async () => {
    bench.set(routeType, 'r', 1)
    await ask(routeType, { names: ['r'] })
    for (const version of [2, 3, 4]) {
      bench.set(routeType, 'r', version)
      await turn()
    }
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@1'])
    await ask(routeType, { names: ['r'], nonce: '1' })
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@4'])
  })

  it('takes an answer to a response that another one followed for nothing', async () => {
    bench.set(routeType, 'r', 1)
    await ask(routeType, { names: ['r'] })
    await ask(routeType, { names: ['r'], nonce: '1' })
    bench.set(routeType, 'r', 2)
    await turn()
    bench.take()
    await ask(routeType, { names: [], nonce: '1' })
    await ask(routeType, { names: ['r'], nonce: '2' })
    bench.set(routeType, 'r', 3)
    await turn()
    expect(bench.take(), 'it is still subscribed').to.deep.equal(['RouteConfiguration r@3'])
  })

  it('does not send again what was refused, until there is something else', async () => {
    bench.set(routeType, 'r', 1)
    await ask(routeType, { names: ['r'] })
    bench.take()
    for (let at = 0; at < 3; at++) await ask(routeType, { names: ['r'], nonce: '1', error: 'no good' })
    expect(bench.take()).to.deep.equal([])
    expect(bench.refused[0]).to.equal('RouteConfiguration: no good')
    bench.set(routeType, 'r', 2)
    await turn()
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@2'])
  })

  it('sends a name that is asked for anew once more, and remembers one that does not exist yet', async () => {
    bench.set(endpointType, 'a', 1)
    await ask(endpointType, { names: ['a', 'later'] })
    await ask(endpointType, { names: ['later'], nonce: '1' })
    await ask(endpointType, { names: ['a', 'later'], nonce: '1' })
    expect(bench.take()).to.deep.equal(['ClusterLoadAssignment a', 'ClusterLoadAssignment a'])
    await ask(endpointType, { names: ['a', 'later'], nonce: '2' })
    bench.set(endpointType, 'later', 1)
    await turn()
    expect(bench.take()).to.deep.equal(['ClusterLoadAssignment later'])
  })

  it('answers for listeners that cannot exist by leaving them out', async () => {
    bench.set(listenerType, 'a', 1)
    await ask(listenerType, { names: ['a', 'impossible'] })
    expect(bench.take()).to.deep.equal(['Listener a@1'])
    expect(bench.refused).to.deep.equal(['Listener: impossible: no such name can exist'])
  })

  it('makes before it breaks: a new cluster and its endpoints, then routes, then without the former cluster', async () => {
    bench.clusters('old')
    for (const name of ['old', 'new']) bench.set(endpointType, name, 1)
    bench.set(routeType, 'r', 1)
    await ask(clusterType)
    await ask(clusterType, { nonce: '1' })
    await ask(endpointType, { names: ['old'] })
    await ask(endpointType, { names: ['old'], nonce: '2' })
    await ask(routeType, { names: ['r'] })
    await ask(routeType, { names: ['r'], nonce: '3' })
    expect(bench.take()).to.deep.equal(['Cluster old@1', 'ClusterLoadAssignment old', 'RouteConfiguration r@1'])
    bench.clusters('new')
    bench.set(routeType, 'r', 2)
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster new@1 old@1'])
    await ask(clusterType, { nonce: '4' })
    expect(bench.take(), 'its endpoints have not been told').to.deep.equal([])
    await ask(endpointType, { names: ['new', 'old'], nonce: '2' })
    expect(bench.take()).to.deep.equal(['ClusterLoadAssignment new'])
    await ask(endpointType, { names: ['new', 'old'], nonce: '5' })
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@2'])
    await ask(routeType, { names: ['r'], nonce: '6' })
    expect(bench.take()).to.deep.equal(['Cluster new@1'])
  })

  it('does not wait for ever for endpoints of a new cluster', async () => {
    bench.clusters('a')
    bench.set(routeType, 'r', 1)
    await ask(clusterType)
    await ask(clusterType, { nonce: '1' })
    await ask(routeType, { names: ['r'] })
    expect(bench.take()).to.deep.equal(['Cluster a@1'])
    bench.clock.advance(3000)
    await turn()
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@1'])
  })

  it('has the same version for the same resources on another stream', async () => {
    bench.clusters('a', 'b')
    await ask(clusterType)
    stream = bench.stream()
    await ask(clusterType, { nonce: 'of the stream before' })
    expect(bench.sent.map(({ version }) => version)[0]).to.equal(bench.sent[1]!.version)
  })

  it('ends at a type that is not served and at too many names, and lets go of everything', async () => {
    bench.clusters('a')
    await ask(clusterType)
    await ask('type.googleapis.com/nonsense')
    expect(bench.faults[0]).to.match(/^type_url: found "type.googleapis.com\/nonsense", allowed /)
    expect(bench.followed).to.equal(0)
    stream = bench.stream()
    await ask(endpointType, { names: Array.from({ length: maxNames + 1 }, (_, at) => `s${at}`) })
    expect(bench.faults[1]).to.contain(`more than ${maxNames} names`)
    expect(bench.followed).to.equal(0)
  })

  it('ends at a name that is longer than any', async () => {
    await ask(endpointType, { names: ['a', 'n'.repeat(maxNameLength + 1)] })
    expect(bench.faults[0]).to.match(/^a name of 2049 characters of .*ClusterLoadAssignment, allowed 2048$/)
    expect(bench.followed).to.equal(0)
  })

  it('remembers nothing of names that were wanted for a while, whatever is under way', () => {
    const type = new StateType({
      resources: new Resources(endpointType, { follow: () => () => undefined }),
      wildcard: undefined,
      onNews: () => undefined,
      onImpossible: () => undefined,
    })
    for (let at = 0; at < 100; at++) type.want([`name-${at}`])
    expect([...type.dirty]).to.deep.equal(['name-99'])
  })
})
