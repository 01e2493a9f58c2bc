import { createHash } from 'node:crypto'
import { expect } from 'chai'
import { systemClock, type Clock } from '../../../../contracts/clock.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import type { ConfigDocument, ConfigSource, RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import { NacosStore, type NacosStoreOptions } from '../../../../global-mesh-center/store/nacos-store.ts'
import { Heard, failure } from '../../../compliance/center-store.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const log = { debug() {}, info() {}, warn() {}, error() {} }
/** Ten times as fast, so that a look again costs little. */
const clock: Clock = { ...systemClock, after: (ms, call) => systemClock.after(ms / 10, call) }
const deps = { clock, random: Math.random, log, metrics: { count() {}, gauge() {} } }
const head = 'hostmesh.center.head'

/** The documents of a cluster, as its members tell of them. */
class Documents implements Pick<ConfigSource, 'read' | 'publish' | 'remove'> {
  readonly held = new Map<string, string>()
  /** What a member says that lags behind; undefined = as it is. */
  lagging: Map<string, string> | undefined
  /** Reads of the head that are answered with "there is none". */
  denials = 0
  /** Why nothing is written; '' = it is. */
  refusal = ''
  /** The same, and it is for want of a right. */
  denied = ''
  /** Reads of the head so far. */
  looks = 0
  /** Of whoever watches the head. */
  tell = (): void => undefined
  /** After a write: throws what the client is told. */
  onWritten = (_name: string): void => undefined

  read(group: string, name: string): Promise<ConfigDocument | undefined> {
    if (name === head) this.looks++
    if (name === head && this.denials > 0) {
      this.denials--
      return Promise.resolve(undefined)
    }
    const content = (this.lagging ?? this.held).get(name)
    return Promise.resolve(content === undefined ? undefined : documentOf(group, name, content))
  }

  async publish(group: string, name: string, content: string, expected: string | undefined): Promise<ConfigDocument> {
    if (this.refusal !== '') throw new Error(this.refusal)
    if (this.denied !== '') throw new MeshError('E_REGISTRY_DENIED', this.denied)
    const present = this.held.get(name)
    if ((present === undefined ? '' : md5(present)) !== expected)
      throw new MeshError('E_REGISTRY_CONFLICT', `${name}: somebody else wrote it`)
    this.held.set(name, content)
    this.onWritten(name)
    return documentOf(group, name, content)
  }

  remove(_group: string, name: string): Promise<void> {
    this.held.delete(name)
    return Promise.resolve()
  }

  adapter(): Promise<RegistryAdapter> {
    const config = { read: this.read.bind(this), publish: this.publish.bind(this), remove: this.remove.bind(this) }
    const watch = (_group: string, _name: string, onChange: () => void): object => {
      this.tell = onChange
      return { close() {} }
    }
    return Promise.resolve({ config: { ...config, watch }, start() {}, close: () => Promise.resolve() } as never)
  }
}

function documentOf(group: string, dataId: string, content: string): ConfigDocument {
  return { group, dataId, content, revision: md5(content) }
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}

describe('a store in Nacos whose members disagree for a moment', () => {
  const open: NacosStore[] = []
  let documents: Documents
  beforeEach(() => {
    documents = new Documents()
  })
  afterEach(() => Promise.all(open.splice(0).map((store) => store.close())))

  function store(more: Partial<NacosStoreOptions> = {}): NacosStore {
    const made = new NacosStore(
      { adapter: () => documents.adapter(), group: 'HOSTMESH_CENTER', prefix: 'hostmesh.center', ...more },
      deps,
    )
    open.push(made)
    return made
  }

  it('keeps a change whose answer was lost, though a member that lags behind does not know it', async () => {
    const writer = store()
    const first = await writer.write('rules/a', 'one', 0)
    const before = new Map(documents.held)
    documents.onWritten = (name) => {
      if (name !== head) return
      documents.onWritten = () => undefined
      documents.lagging = before
      throw new Error('no answer in time')
    }
    expect(await failure(writer.write('rules/a', 'two', first))).to.equal('E_STORE_UNAVAILABLE')
    documents.lagging = undefined
    const other = store()
    const heard = new Heard(other)
    expect(await other.write('rules/b', 'one', 0)).to.equal(3)
    expect(Object.fromEntries(heard.values)).to.deep.equal({ 'rules/a': 'two', 'rules/b': 'one' })
  })

  it('is not all right behind a change that it may not make, though it can be read, until one is taken', async () => {
    const writer = store()
    const heard = new Heard(writer)
    const first = await writer.write('rules/a', 'one', 0)
    documents.denied = 'no right to write'
    expect(await failure(writer.write('rules/a', 'two', first))).to.equal('E_STORE_UNAVAILABLE')
    const looks = documents.looks
    documents.tell()
    await eventually(() => documents.looks > looks)
    expect(writer.problem()).to.equal('store in nacos refused the last change: no right to write')
    expect(heard.values.get('rules/a')).to.equal('one')
    documents.denied = ''
    await writer.write('rules/a', 'two', first)
    expect(writer.problem()).to.equal(undefined)
  })

  it('is not empty because a member that came back denied its documents', async () => {
    const writer = store()
    await writer.write('rules/a', 'one', 0)
    await writer.write('rules/b', 'one', 0)
    documents.denials = 2
    const other = store()
    const states: number[] = []
    other.watch({ onState: ({ entries }) => states.push(entries.length), onChanges: () => undefined })
    expect(await other.write('rules/c', 'one', 0)).to.equal(3)
    expect(states).to.deep.equal([2])
  })

  it('loses nothing that another center wrote since it saw an empty store', async () => {
    const late = store()
    const heard = new Heard(late)
    await eventually(() => heard.states === 1)
    const early = store()
    await early.write('rules/a', 'one', 0)
    await early.write('rules/b', 'one', 0)
    documents.denials = 2
    await late.write('rules/late', 'one', 0)
    expect([...heard.values.keys()].toSorted()).to.deep.equal(['rules/a', 'rules/b', 'rules/late'])
  })

  it('keeps the present value of each key in its history, however much was written since', async () => {
    const writer = store({ snapshotEvery: 2, kept: 3 })
    const revision = await writer.write('authority', 'root', 0)
    let other = 0
    for (const token of ['a', 'b', 'c', 'd', 'e']) other = await writer.write('admission', token, other)
    for (const one of [writer, store()])
      expect((await one.history('authority', 1))[0]).to.include({ value: 'root', revision })
    expect((await writer.history('admission', 2)).map(({ value }) => value)).to.deep.equal(['e', 'd'])
  })

  it('looks once for news that it is told of a hundred times at once', async () => {
    const one = store()
    const heard = new Heard(one)
    await eventually(() => heard.states === 1)
    const before = documents.looks
    for (let told = 0; told < 100; told++) documents.tell()
    await one.history('rules/a', 1)
    expect(documents.looks - before, 'one for the news, one for the question').to.equal(2)
  })

  it('says what is wrong where nothing can be written', async () => {
    documents.refusal = 'read only'
    expect(await failure(store().write('rules/a', 'one', 0))).to.equal('E_STORE_UNAVAILABLE')
  })
})
