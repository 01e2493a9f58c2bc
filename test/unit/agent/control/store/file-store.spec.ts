import { expect } from 'chai'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { systemClock } from '../../../../../contracts/clock.ts'
import { FileStore } from '../../../../../agent/control/store/file-store.ts'
import { failure, Heard } from '../../../../compliance/center-store.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

/** What is synced in this process goes through `sync(name, go)`, whose `go` is the real one. */
async function watchSyncs(sync: (name: string, go: () => Promise<void>) => Promise<void>): Promise<() => void> {
  const handle = await open('/dev/null')
  const handles = Object.getPrototypeOf(handle) as { sync: (this: FileHandle) => Promise<void> }
  await handle.close()
  const real = handles.sync
  handles.sync = function () {
    return sync(basename(readlinkSync(`/proc/self/fd/${this.fd}`)), () => real.call(this))
  }
  return () => void (handles.sync = real)
}

describe('a loss of power under the store in files', () => {
  let folder: string
  let warnings: string[]
  const stores: FileStore[] = []
  let endWatch: () => void = () => undefined
  const log = { debug() {}, info() {}, warn: (_fields: object, text: string) => void warnings.push(text), error() {} }
  const opened = (): FileStore => {
    const store = new FileStore({ folder, clock: systemClock, log })
    stores.push(store)
    return store
  }
  const entry = (revision: number): string => join(folder, `${String(revision).padStart(12, '0')}.entry`)
  /** Who starts after the power came back. */
  const readAgain = async (): Promise<[FileStore, Heard]> => {
    const store = opened()
    const heard = new Heard(store)
    await eventually(() => heard.states === 1 || store.problem() !== undefined)
    return [store, heard]
  }
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-store-'))
    warnings = []
  })
  afterEach(async () => {
    endWatch()
    await Promise.all(stores.splice(0).map((store) => store.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  it('hosts hear of a change without the disk, the writer after both the file and its name are synced', async () => {
    const store = opened()
    const heard = new Heard(store)
    await eventually(() => heard.states === 1)
    const held: (() => void)[] = []
    const names: string[] = []
    endWatch = await watchSyncs(async (name, go) => {
      names.push(name)
      await new Promise<void>((resolve) => held.push(resolve))
      await go()
    })
    let answered = 0
    const writing = store.write('a', '1', 0).then((revision) => (answered = revision))
    await eventually(() => heard.values.get('a') === '1' && held.length === 2)
    expect(answered, 'answered before it is kept').to.equal(0)
    expect(readFileSync(entry(1), 'utf8'), 'a kill takes it back').to.include('"key":"a"')
    // by its first name, which it still has beside the one of its revision
    expect(names.map((name) => name.slice(0, 18))).to.have.members([
      '000000000001.entry',
      basename(folder).slice(0, 18),
    ])
    held[0]!()
    await new Promise((resolve) => setImmediate(resolve))
    expect(answered, 'answered when half of it is kept').to.equal(0)
    held[1]!()
    expect(await writing).to.equal(1)
  })

  for (const [how, cut] of [
    ['with nothing in it', () => Buffer.alloc(0)],
    ['that ends in the middle', (whole: Buffer) => whole.subarray(0, whole.length >> 1)],
    [
      'of zeros in part',
      (whole: Buffer) => Buffer.concat([whole.subarray(0, 70), Buffer.alloc(20), whole.subarray(90)]),
    ],
  ] as const)
    it(`leaves a newest file ${how}: it is passed over, and its revision is not given again`, async () => {
      const store = opened()
      await store.write('a', '1', 0)
      await store.write('b', '1', 0)
      await store.write('a', '2', 1)
      await store.close()
      writeFileSync(entry(3), cut(readFileSync(entry(3))))
      const [next, heard] = await readAgain()
      expect(next.problem()).to.equal(undefined)
      expect([...heard.values]).to.deep.equal([
        ['a', '1'],
        ['b', '1'],
      ])
      expect(warnings).to.have.length(1)
      expect(warnings[0]).to.include('change 3 was cut off')
      expect(await next.write('c', '1', 0)).to.equal(4)
      expect((await next.history('a', 5)).map(({ value }) => value)).to.deep.equal(['1'])
      const [, after] = await readAgain()
      expect([...after.values.keys()]).to.deep.equal(['a', 'b', 'c'])
      expect(warnings).to.have.length(1)
    })

  it('cannot have cut off any but the newest: an older one that was is damage, and named', async () => {
    const store = opened()
    await store.write('a', '1', 0)
    await store.write('b', '1', 0)
    await store.close()
    writeFileSync(entry(1), '')
    const [next] = await readAgain()
    expect(next.problem()).to.include(basename(entry(1)))
    expect(await failure(next.write('c', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
    expect(readdirSync(folder)).to.have.length(2)
  })

  it('finds what another process made synced before a change stands behind it', async () => {
    const [first, second] = [opened(), opened()]
    await first.write('a', '1', 0)
    const heard = new Heard(second)
    await eventually(() => heard.values.get('a') === '1')
    const synced: string[] = []
    endWatch = await watchSyncs(async (name, go) => {
      synced.push(`${name} ${existsSync(entry(2)) ? 'after' : 'before'} change 2`)
      await go()
    })
    await second.write('a', '2', 1)
    await second.write('a', '3', 2)
    expect(synced.slice(0, 2)).to.have.members([
      `${basename(entry(1))} before change 2`,
      `${basename(folder)} before change 2`,
    ])
    expect(synced, 'its own are not synced twice').to.have.length(6)
  })

  it('loses nothing that is acknowledged behind a change that the disk refused to sync', async () => {
    const store = opened()
    const heard = new Heard(store)
    await eventually(() => heard.states === 1)
    let isRefused = false
    endWatch = await watchSyncs(async (name, go) => {
      if (name.includes('.entry') && !isRefused) {
        isRefused = true
        throw Object.assign(new Error('EIO'), { code: 'EIO' })
      }
      await go()
    })
    expect(await failure(store.write('a', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
    expect(heard.values.get('a')).to.equal('1')
    expect(await store.write('b', '1', 0)).to.equal(2)
    await store.close()
    // what was refused never came to the disk
    writeFileSync(entry(1), '')
    const [next, after] = await readAgain()
    expect(next.problem()).to.equal(undefined)
    expect([...after.values.keys()]).to.deep.equal(['a', 'b'])
  })
})
