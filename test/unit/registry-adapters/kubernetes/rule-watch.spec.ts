import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import type { KubernetesApi, WatchWord } from '../../../../registry-adapters/kubernetes/kubernetes-api.ts'
import { RuleWatch } from '../../../../registry-adapters/kubernetes/rule-watch.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { recordedDeps } from '../../../support/registry-listener.ts'

describe('rules of a cluster', () => {
  it('are told with the next turn after one change, and in one after many that follow at once', async () => {
    const clock = manualClock()
    const words = new Map<string, (word: WatchWord) => void>()
    const api = {
      list: async () => ({ resourceVersion: '1', items: [] }),
      watch: (
        collection: string,
        _version: string,
        _ms: number,
        _signal: AbortSignal,
        onWord: (w: WatchWord) => void,
      ) => {
        words.set(collection, onWord)
        return new Promise(() => undefined)
      },
    } as unknown as KubernetesApi
    const rules = new RuleWatch({
      ...recordedDeps(),
      clock,
      random: () => 0.5,
      registry: 'cluster',
      api,
      namespaces: ['shop'],
      watchMs: 60_000,
      onTrouble: () => undefined,
    })
    let told = 0
    rules.watch(() => void told++)
    rules.start()
    await turn()
    clock.advance(1000)
    const before = told
    const change = (name: string): void =>
      words.get('/apis/networking.istio.io/v1/namespaces/shop/virtualservices')!({
        type: 'ADDED',
        object: { metadata: { name, resourceVersion: '2' } },
      })
    change('one')
    clock.advance(0)
    expect(told).to.equal(before + 1)
    for (const name of ['two', 'three', 'four']) change(name)
    clock.advance(19)
    expect(told).to.equal(before + 1)
    clock.advance(1)
    expect(told).to.equal(before + 2)
    rules.close()
  })
})
