import { expect } from 'chai'
import { decodeMessage } from '../../../../contracts/envoy-api/decode.ts'
import type { Plain } from '../../../../contracts/envoy-api/message-form.ts'
import { DeltaStream } from '../../../../global-mesh-center/xds/delta-stream.ts'
import { clusterType, endpointType } from '../../../../global-mesh-center/xds/send-order.ts'
import type { DeltaRequest } from '../../../../registry-adapters/center/wire/delta.ts'
import { DiscoveryBench, namesOf, routeType, short, turn } from '../../../support/center/discovery-bench.ts'

interface Sent {
  readonly type: string
  readonly resources: readonly Plain[]
  readonly removed: readonly string[]
}

class Bench extends DiscoveryBench {
  readonly sent: Sent[] = []

  stream(): DeltaStream {
    return new DeltaStream({ ...this.asDeps(), send: (bytes) => this.sent.push(read(bytes)) })
  }

  /** What was sent since the last look, as `Cluster a b -c`. */
  take(): string[] {
    return this.sent
      .splice(0)
      .map(({ type, resources, removed }) =>
        [
          short(type),
          ...namesOf(resources.map(({ resource }) => resource as Plain)),
          ...removed.map((name) => `-${name}`),
        ].join(' '),
      )
  }
}

function read(bytes: Buffer): Sent {
  const found = decodeMessage('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes)
  return {
    type: found['type_url'] as string,
    resources: (found['resources'] ?? []) as readonly Plain[],
    removed: (found['removed_resources'] ?? []) as readonly string[],
  }
}

describe('a stream of incremental xDS whose client names no clusters', () => {
  let bench: Bench
  let stream: DeltaStream
  const ask = async (typeUrl: string, change: Partial<DeltaRequest> = {}): Promise<void> => {
    stream.take({
      node: '',
      typeUrl,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      nonce: '',
      error: undefined,
      ...change,
    })
    await turn()
  }
  beforeEach(() => {
    bench = new Bench()
    stream = bench.stream()
  })

  it('gets all that there are, once they are known, and then what changes', async () => {
    await ask(clusterType)
    expect(bench.take()).to.deep.equal([])
    bench.clusters('a', 'b')
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster a@1 b@1'])
    await ask(clusterType, { nonce: '1' })
    bench.set(clusterType, 'b', 2)
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster b@2'])
    await ask(clusterType, { nonce: '2' })
    bench.clusters('b')
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster -a'])
  })

  it('is told after a reconnect what is gone, and nothing that it knows', async () => {
    bench.clusters('a', 'b')
    await ask(clusterType)
    const version = String(bench.sent[0]!.resources.find(({ name }) => name === 'a')!['version'])
    bench.take()
    stream.close()
    stream = bench.stream()
    await ask(clusterType, {
      initialVersions: new Map([
        ['a', version],
        ['b', 'former'],
        ['gone', 'any'],
      ]),
    })
    expect(bench.take()).to.deep.equal(['Cluster b@1 -gone'])
  })

  it('hears of a new cluster and its endpoints, then of routes, then that the former cluster is gone', async () => {
    bench.clusters('old')
    for (const name of ['old', 'new']) bench.set(endpointType, name, 1)
    bench.set(routeType, 'r', 1)
    await ask(clusterType)
    await ask(clusterType, { nonce: '1' })
    await ask(endpointType, { subscribe: ['old'] })
    await ask(endpointType, { nonce: '2' })
    await ask(routeType, { subscribe: ['r'] })
    await ask(routeType, { nonce: '3' })
    expect(bench.take()).to.deep.equal(['Cluster old@1', 'ClusterLoadAssignment old', 'RouteConfiguration r@1'])
    bench.clusters('new')
    bench.set(routeType, 'r', 2)
    await turn()
    expect(bench.take()).to.deep.equal(['Cluster new@1'])
    await ask(clusterType, { nonce: '4' })
    expect(bench.take(), 'its endpoints have not been told').to.deep.equal([])
    await ask(endpointType, { subscribe: ['new'] })
    expect(bench.take()).to.deep.equal(['ClusterLoadAssignment new'])
    await ask(endpointType, { nonce: '5' })
    expect(bench.take()).to.deep.equal(['RouteConfiguration r@2'])
    await ask(routeType, { nonce: '6' })
    expect(bench.take()).to.deep.equal(['Cluster -old'])
  })

  it('keeps what it also names, and lets go of the rest when it wants no longer everything', async () => {
    bench.clusters('a', 'b')
    await ask(clusterType, { subscribe: ['*', 'a'] })
    expect(bench.take()).to.deep.equal(['Cluster a@1 b@1'])
    await ask(clusterType, { unsubscribe: ['*'], nonce: '1' })
    expect(bench.followed).to.equal(1)
    stream.close()
    expect(bench.followed).to.equal(0)
  })
})
