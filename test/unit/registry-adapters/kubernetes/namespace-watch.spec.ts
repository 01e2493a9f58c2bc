import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import type { KubernetesApi, WatchWord } from '../../../../registry-adapters/kubernetes/kubernetes-api.ts'
import { NamespaceWatch } from '../../../../registry-adapters/kubernetes/namespace-watch.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { recordedDeps } from '../../../support/registry-listener.ts'

describe('the slices of a namespace', () => {
  it('a service that changes during each list of it is listed again later and later, by one question at a time', async () => {
    const clock = manualClock()
    let onWord: (word: WatchWord) => void = () => undefined
    let isBusy = true
    const asked: number[] = []
    const slice = {
      metadata: { name: 'a', resourceVersion: '2', labels: { 'kubernetes.io/service-name': 'orders' } },
      ports: [{ port: 80 }],
      endpoints: [],
    }
    const api = {
      list: async (_collection: string, selector: string | undefined) => {
        if (selector !== undefined) asked.push(clock.monotonic())
        if (selector !== undefined && isBusy) onWord({ type: 'MODIFIED', object: slice })
        return { resourceVersion: '1', items: [slice] }
      },
      watch: (_collection: string, _version: string, _ms: number, _signal: AbortSignal, hear: typeof onWord) => {
        onWord = hear
        return new Promise(() => undefined)
      },
    } as unknown as KubernetesApi
    const watch = new NamespaceWatch('shop', {
      ...recordedDeps(),
      clock,
      random: () => 0.5,
      registry: 'cluster',
      api,
      watchMs: 60_000,
      onListed: () => undefined,
      onSlices: () => undefined,
      onRefused: () => undefined,
      onProblem: () => undefined,
      onTrouble: () => undefined,
    })
    const pass = async (ms: number): Promise<void> => {
      for (let past = 0; past < ms; past += 50) {
        await turn()
        clock.advance(50)
      }
      await turn()
    }
    watch.want('orders')
    watch.start()
    await turn()
    watch.again('orders')
    await pass(30_000)
    expect(asked).to.deep.equal([0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300, 21_300, 26_300])
    // others ask meanwhile: each is asked for at once, and one repetition is left of all
    asked.length = 0
    for (let index = 0; index < 5; index++) watch.again('orders')
    await turn()
    expect(asked).to.have.length(5)
    isBusy = false
    await pass(30_000)
    expect(asked).to.have.length(6)
    watch.stop()
  })
})
