import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import type { KubernetesApi } from '../../../../registry-adapters/kubernetes/kubernetes-api.ts'
import { removeLeftovers } from '../../../../registry-adapters/kubernetes/leftovers.ts'
import { manualClock } from '../../../support/manual-clock.ts'
import { recordedDeps } from '../../../support/registry-listener.ts'

describe('what dead hosts wrote in a cluster', () => {
  const minute = 60_000
  /** One host that looks every 2 min, beside hosts whose signs of life are `signs`, by name of the object. */
  function started(signs: Map<string, string>, wall: number) {
    const clock = manualClock(wall)
    const state = { isAway: false, asked: 0, removed: [] as string[] }
    const api = {
      list: async () => {
        state.asked++
        if (state.isAway) throw new Error('away')
        const items = [...signs].map(([name, renewedAt]) => ({
          metadata: { name, resourceVersion: '1', annotations: { 'hostmesh.io/renewed-at': renewedAt } },
        }))
        return { resourceVersion: '1', items }
      },
      remove: async (path: string) => {
        const name = path.slice(path.lastIndexOf('/') + 1)
        signs.delete(name)
        state.removed.push(name)
        return true
      },
    } as unknown as KubernetesApi
    const stop = removeLeftovers({
      ...recordedDeps(),
      clock,
      random: () => 0.5,
      registry: 'cluster',
      api,
      collections: ['/slices'],
      forgetAfterMs: 10 * minute,
    })
    const look = async (): Promise<void> => {
      clock.advance(2 * minute)
      await turn()
    }
    return { clock, state, stop, look }
  }
  const real = Date.parse('2026-01-01T00:00:00Z')
  const at = (ms: number): string => new Date(ms).toISOString()

  for (const [words, ahead] of [
    ['a day ahead', 86_400_000],
    ['a day behind', -86_400_000],
  ] as const)
    it(`a host whose clock is ${words} leaves what others renew, and removes what nobody does`, async () => {
      const signs = new Map([['dead', at(real)]])
      const { clock, state, stop, look } = started(signs, real + ahead)
      for (let index = 0; index < 20; index++) {
        // the other host's clock is right
        signs.set('alive', at(real + clock.monotonic()))
        // ten minutes after the first look, which was after two
        expect(state.removed).to.deep.equal(index < 6 ? [] : ['dead'])
        await look()
      }
      expect(state.asked).to.equal(20)
      expect([...signs.keys()]).to.deep.equal(['alive'])
      stop()
    })

  it('a step of its own clock removes nothing', async () => {
    const { clock, state, stop, look } = started(new Map([['quiet', at(real)]]), real)
    await look()
    clock.jump(86_400_000)
    for (let index = 0; index < 4; index++) await look()
    expect(state.removed).to.deep.equal([])
    await look()
    expect(state.removed).to.deep.equal(['quiet'])
    stop()
  })

  it('an API server that was away costs nobody an object: its hosts have ten minutes again', async () => {
    const { state, stop, look } = started(new Map([['alive', at(real)]]), real)
    await look()
    state.isAway = true
    for (let index = 0; index < 10; index++) await look()
    state.isAway = false
    for (let index = 0; index < 5; index++) await look()
    expect(state.removed).to.deep.equal([])
    await look()
    expect(state.removed).to.deep.equal(['alive'])
    stop()
  })
})
