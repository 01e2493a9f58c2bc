/** What a store of a center promises, once for every store. */
import { expect } from 'chai'
import type { Store, StoreChange, StoreState } from '../../agent/control/store/store.ts'
import { eventually } from '../support/worker/eventually.ts'

export interface StoreBench {
  /** Another process, or another center, on the same state. */
  open(): Store
  /** Nobody can read or write, until `restore`. */
  breakStore(): Promise<void>
  restore(): Promise<void>
  close(): Promise<void>
}

/** What a watcher of a store has heard, put together. */
export class Heard {
  readonly values = new Map<string, string>()
  readonly changes: StoreChange[] = []
  states = 0
  revision = -1

  constructor(store: Store) {
    store.watch({
      onState: (state) => this.take(state),
      onChanges: (changes) => {
        for (const change of changes) {
          if (change.value === undefined) this.values.delete(change.key)
          else this.values.set(change.key, change.value)
          this.revision = change.revision
          this.changes.push(change)
        }
      },
    })
  }

  private take({ revision, entries }: StoreState): void {
    this.states++
    this.revision = revision
    this.values.clear()
    for (const { key, value } of entries) this.values.set(key, value)
  }
}

export async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: { code?: string }) => error.code ?? 'no code',
  )
}

export function storeSuite(name: string, openBench: () => Promise<StoreBench>): void {
  describe(`the store of a center in ${name}`, function () {
    this.timeout(120_000)
    let bench: StoreBench
    const stores: Store[] = []
    const open = (): Store => {
      const store = bench.open()
      stores.push(store)
      return store
    }
    beforeEach(async () => {
      bench = await openBench()
    })
    afterEach(async () => {
      await Promise.all(stores.splice(0).map((store) => store.close()))
      await bench.close()
    })

    it('gives a watcher the whole state first, then each change with its revision', async () => {
      const store = open()
      const first = await store.write('rules/orders', 'one', 0)
      const heard = new Heard(store)
      await eventually(() => heard.states === 1 && heard.values.get('rules/orders') === 'one')
      const second = await store.write('rules/orders', 'two', first)
      expect(second).to.be.above(first)
      await eventually(() => heard.values.get('rules/orders') === 'two')
      expect(heard.changes.at(-1)).to.include({ key: 'rules/orders', value: 'two', revision: second })
      await store.write('rules/orders', undefined, second)
      await eventually(() => !heard.values.has('rules/orders'))
    })

    it('writes only over the revision that the writer knows', async () => {
      const store = open()
      const first = await store.write('a/b', '1', 0)
      expect(await failure(store.write('a/b', '2', 0))).to.equal('E_STORE_CONFLICT')
      expect(await failure(store.write('a/b', undefined, first + 1))).to.equal('E_STORE_CONFLICT')
      expect(await failure(store.write('a/c', undefined, first))).to.equal('E_STORE_CONFLICT')
      const removed = await store.write('a/b', undefined, first)
      expect(await failure(store.write('a/b', '3', first))).to.equal('E_STORE_CONFLICT')
      expect(await store.write('a/b', '4', 0)).to.be.above(removed)
    })

    it('lets one of two writers win, and tells the other', async () => {
      const [one, two] = [open(), open()]
      const start = await one.write('count', '0', 0)
      const won: number[] = []
      const add = async (store: Store): Promise<void> => {
        let revision = start
        const heard = new Heard(store)
        await eventually(() => heard.states > 0)
        for (let done = 0; done < 20;) {
          const present = Number(heard.values.get('count'))
          try {
            revision = await store.write('count', String(present + 1), heard.revision)
            won.push(revision)
            done++
          } catch (error) {
            expect((error as { code: string }).code).to.equal('E_STORE_CONFLICT')
          }
          await eventually(() => heard.revision >= revision && heard.revision >= (won.at(-1) ?? 0))
        }
      }
      await Promise.all([add(one), add(two)])
      expect(new Set(won).size).to.equal(40)
      const heard = new Heard(open())
      await eventually(() => heard.values.get('count') === '40')
    })

    it('tells every watcher what another one wrote, in order', async () => {
      const heard = new Heard(open())
      await eventually(() => heard.states === 1)
      const writer = open()
      for (let index = 0; index < 30; index++) await writer.write(`key-${index}`, 'x'.repeat(1000), 0)
      await eventually(() => heard.values.size === 30)
      const revisions = heard.changes.map((change) => change.revision)
      expect(revisions).to.deep.equal(revisions.toSorted((a, b) => a - b))
    })

    it('keeps what was written for whoever opens it later, with its history', async () => {
      const first = open()
      let revision = 0
      for (const value of ['one', 'two', 'three']) revision = await first.write('rules/x', value, revision)
      const later = open()
      const heard = new Heard(later)
      await eventually(() => heard.values.get('rules/x') === 'three')
      const versions = await later.history('rules/x', 2)
      expect(versions.map(({ value }) => value)).to.deep.equal(['three', 'two'])
      expect(versions[0]!.revision).to.equal(revision)
      expect(await later.history('rules/nothing', 5)).to.deep.equal([])
    })

    it('has the present value in the history, however much was written since', async () => {
      const store = open()
      const revision = await store.write('authority', 'root', 0)
      let other = 0
      for (let at = 0; at < 30; at++) other = await store.write('admission', `token-${at}`, other)
      const [newest] = await open().history('authority', 1)
      expect(newest).to.include({ value: 'root', revision })
      expect((await open().history('admission', 2)).map(({ value }) => value)).to.deep.equal(['token-29', 'token-28'])
    })

    it('has older versions of a key in the history, however often another one is written', async () => {
      const store = open()
      const first = await store.write('rules/quiet', 'one', 0)
      await store.write('rules/quiet', 'two', first)
      let other = 0
      for (let at = 0; at < 40; at++) other = await store.write('rules/busy', `${at}`, other)
      for (const one of [store, open()]) {
        expect((await one.history('rules/quiet', 5)).map(({ value }) => value)).to.deep.equal(['two', 'one'])
        expect((await one.history('rules/busy', 3)).map(({ value }) => value)).to.deep.equal(['39', '38', '37'])
      }
      const heard = new Heard(open())
      await eventually(() => heard.values.get('rules/busy') === '39')
      expect(await store.write('rules/quiet', 'three', first + 1), 'and goes on').to.equal(other + 1)
    })

    it('refuses writes while it is away, says why, and hears what it missed', async () => {
      const store = open()
      const heard = new Heard(store)
      await eventually(() => heard.states === 1)
      await store.write('a', '1', 0)
      await bench.breakStore()
      expect(await failure(store.write('b', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
      await eventually(() => store.problem() !== undefined)
      await bench.restore()
      await eventually(() => store.problem() === undefined, 20_000)
      const other = open()
      await other.write('c', '1', 0)
      await eventually(() => heard.values.get('c') === '1', 20_000)
      expect(heard.values.get('a')).to.equal('1')
    })
  })
}
