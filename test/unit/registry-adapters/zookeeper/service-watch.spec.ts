import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import type { Endpoint } from '../../../../contracts/endpoint.ts'
import { layouts } from '../../../../registry-adapters/zookeeper/layouts/index.ts'
import type { ZooKeeperNodes } from '../../../../registry-adapters/zookeeper/nodes.ts'
import { ServiceWatch } from '../../../../registry-adapters/zookeeper/service-watch.ts'
import { eventually, recordedDeps } from '../../../support/registry-listener.ts'

describe('the instances of a service in ZooKeeper', () => {
  it('are read again when an event comes together with the answer that it makes old', async () => {
    const contents = [1, 4].map((weight) => JSON.stringify({ address: '10.0.0.1', port: 80, weight }))
    const weights: number[] = []
    let questions = 0
    const nodes = {
      children: async () => ['10.0.0.1:80'],
      data: () => {
        const { promise, resolve } = Promise.withResolvers<Buffer>()
        const content = contents[Math.min(questions++, 1)]!
        queueMicrotask(() => {
          resolve(Buffer.from(content))
          // in the same turn, before whoever waits for the answer has it
          if (questions === 1) watch.changed('10.0.0.1:80')
        })
        return promise
      },
    } as unknown as ZooKeeperNodes
    const watch = new ServiceWatch('public/DEFAULT_GROUP@@orders', 'orders', {
      ...recordedDeps(),
      clock: systemClock,
      registry: 'zk',
      layout: layouts.plain.create('/services'),
      nodes,
      maxEndpoints: 10,
      onEndpoints: (_key, endpoints: Iterable<Endpoint>) => {
        for (const { weight } of endpoints) weights.push(weight)
      },
      onProblem: (_key, problem) => {
        throw problem
      },
    })
    watch.read()
    await eventually(
      () => weights.at(-1) === 4,
      () => `weight 4; heard ${weights.join()}`,
      2000,
    )
    expect(questions).to.equal(2)
    watch.close()
  })
})
