import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import type { KubernetesApi, WatchWord } from '../../../../registry-adapters/kubernetes/kubernetes-api.ts'
import { ObjectWatch } from '../../../../registry-adapters/kubernetes/object-watch.ts'
import { manualClock } from '../../../support/manual-clock.ts'

describe('the watch of a collection', () => {
  /** A server that ends each watch after `livesMs`, when it has sent `words`. Answers when each began. */
  async function watched(livesMs: number, words: (count: number) => readonly WatchWord[], forMs: number) {
    const clock = manualClock()
    const begun: number[] = []
    const api = {
      list: async () => ({ resourceVersion: '1', items: [] }),
      watch: async (
        _collection: string,
        _version: string,
        _ms: number,
        _signal: AbortSignal,
        onWord: (word: WatchWord) => void,
      ) => {
        begun.push(clock.monotonic())
        for (const word of words(begun.length)) onWord(word)
        if (livesMs > 0) await new Promise<void>((resolve) => clock.after(livesMs, resolve))
      },
    } as unknown as KubernetesApi
    const failures: unknown[] = []
    const watch = new ObjectWatch({
      api,
      clock,
      random: () => 1,
      watchMs: 300_000,
      collection: () => '/things',
      onList: () => undefined,
      onWord: () => undefined,
      onFailure: (error) => void failures.push(error),
    })
    watch.start()
    for (let ms = 0; ms < forMs; ms += 50) {
      await turn()
      clock.advance(50)
    }
    watch.stop()
    await turn()
    expect(failures).to.deep.equal([])
    return begun
  }
  const word = (version: number, type = 'MODIFIED'): WatchWord => ({
    type,
    object: { metadata: { name: 'one', resourceVersion: String(version) } },
  })

  it('that ends at once is opened again later and later, at most every ten seconds', async () => {
    const begun = await watched(0, () => [], 60_000)
    const gaps = begun.slice(1).map((at, index) => at - begun[index]!)
    expect(gaps).to.deep.equal([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000])
  })

  it('that says again and again what is known already, or bookmarks alone, is one that brings nothing', async () => {
    expect(await watched(0, () => [word(7)], 60_000)).to.have.length.at.most(13)
    expect(await watched(0, (count) => [word(count + 1, 'BOOKMARK')], 60_000)).to.have.length.at.most(13)
  })

  it('that brings something new each time is opened again after a tenth of a second', async () => {
    const begun = await watched(0, (count) => [word(count + 1)], 5000)
    expect(begun).to.have.length.within(48, 51)
  })

  it('that lived for a while is opened again at once', async () => {
    const begun = await watched(20_000, () => [], 100_000)
    expect(begun).to.deep.equal([0, 20_000, 40_000, 60_000, 80_000])
  })
})
