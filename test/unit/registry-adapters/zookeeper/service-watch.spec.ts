import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import type { Endpoint } from '../../../../contracts/endpoint.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { layouts } from '../../../../registry-adapters/zookeeper/layouts/index.ts'
import type { ZooKeeperNodes } from '../../../../registry-adapters/zookeeper/nodes.ts'
import { ServiceWatch } from '../../../../registry-adapters/zookeeper/service-watch.ts'
import { eventually, recordedDeps } from '../../../support/registry-listener.ts'

const first = '10.0.0.1:80'
const content = (weight: number): Buffer => Buffer.from(JSON.stringify({ address: '10.0.0.1', port: 80, weight }))

describe('the instances of a service in ZooKeeper', () => {
  it('are read again when an event comes together with the answer that it makes old', async () => {
    const watched = watchOf([first], (question) => {
      const { promise, resolve } = Promise.withResolvers<Buffer>()
      queueMicrotask(() => {
        resolve(content(question === 1 ? 1 : 4))
        // in the same turn, before whoever waits for the answer has it
        if (question === 1) watched.watch.changed(first)
      })
      return promise
    })
    watched.watch.read()
    await watched.untilWeight(4)
    expect(watched.questions).to.deep.equal({ names: 1, contents: 2 })
  })

  it('cost one question when the content of one has changed, and the names are read when one comes or goes', async () => {
    const names = [first, '10.0.0.2:80']
    let weight = 1
    const watched = watchOf(names, async () => content(weight))
    watched.watch.read()
    await watched.untilWeight(1)
    expect(watched.questions).to.deep.equal({ names: 1, contents: 2 })
    weight = 2
    watched.watch.changed(first)
    await watched.untilWeight(2)
    expect(watched.questions).to.deep.equal({ names: 1, contents: 3 })
    names.push('10.0.0.3:80')
    weight = 3
    watched.watch.changed(undefined)
    await watched.untilWeight(3)
    expect(watched.questions).to.deep.equal({ names: 2, contents: 4 })
  })

  it('are told while they change without end, not only once they rest', async () => {
    const watched = watchOf([first], async (question) => {
      await turn()
      watched.watch.changed(first)
      return content(question)
    })
    watched.watch.read()
    await eventually(() => watched.weights.length >= 5, 'five lists')
    watched.watch.close()
  })

  it('have their names read again after a failure, and nothing that was known is told as gone', async () => {
    let isBroken = false
    const watched = watchOf(
      async () => {
        if (isBroken) throw new MeshError('E_REGISTRY_PROTOCOL', 'nonsense')
        return [first]
      },
      async () => content(1),
    )
    watched.watch.read()
    await watched.untilWeight(1)
    isBroken = true
    watched.watch.changed(undefined)
    await eventually(() => watched.problems.length === 1, 'the problem')
    isBroken = false
    await eventually(() => watched.questions.names >= 3, 'the names to be read again')
    await eventually(() => watched.weights.length === 2, 'the list')
    expect(watched.weights).to.deep.equal([1, 1])
    watched.watch.close()
  })
})

/** A watch on a directory of the test's, in the plain layout. `contents` is told which question it is. */
function watchOf(names: string[] | (() => Promise<string[]>), contents: (question: number) => Promise<Buffer>) {
  const questions = { names: 0, contents: 0 }
  const weights: number[] = []
  const problems: MeshError[] = []
  const nodes = {
    children: () => {
      questions.names++
      return typeof names === 'function' ? names() : Promise.resolve(names)
    },
    data: () => contents(++questions.contents),
  } as unknown as ZooKeeperNodes
  const watch = new ServiceWatch('public/DEFAULT_GROUP@@orders', 'orders', {
    ...recordedDeps(),
    clock: systemClock,
    registry: 'zk',
    layout: layouts.plain.create('/services'),
    nodes,
    maxEndpoints: 10,
    onEndpoints: (_key, endpoints: Iterable<Endpoint>) => {
      weights.push(Math.max(...[...endpoints].map(({ weight }) => weight)))
    },
    onProblem: (_key, problem) => void problems.push(problem),
  })
  return {
    watch,
    questions,
    weights,
    problems,
    untilWeight: (weight: number) =>
      eventually(
        () => weights.at(-1) === weight,
        () => `weight ${weight}; heard ${weights.join()}`,
      ),
  }
}
