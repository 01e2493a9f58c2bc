import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '../../contracts/clock.ts'
import { EtcdStore } from '../../global-mesh-center/store/etcd-store.ts'
import { FileStore } from '../../agent/control/store/file-store.ts'
import type { Store } from '../../agent/control/store/store.ts'
import { NacosStore } from '../../global-mesh-center/store/nacos-store.ts'
import { realNacosRegistry } from '../support/nacos/real-registry.ts'
import { needsNacos, sharedNacos } from '../support/nacos/server.ts'
import { needsEtcd, startEtcd, type EtcdServer } from '../support/etcd/server.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { eventually } from '../support/worker/eventually.ts'
import { failure, Heard, storeSuite } from './center-store.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const deps = { clock: systemClock, random: Math.random, log: silent, metrics: { count() {}, gauge() {} } }

function files(folder: string, more: object = {}): FileStore {
  return new FileStore({ folder, clock: systemClock, log: silent, ...more })
}

storeSuite('files', () => {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-store-'))
  const folder = join(home, 'store')
  return Promise.resolve({
    open: () => files(folder, { snapshotEvery: 7, kept: 10, keptOfKey: 5 }),
    breakStore: () => {
      renameSync(folder, `${folder}.away`)
      writeFileSync(folder, 'no folder')
      return Promise.resolve()
    },
    restore: () => {
      rmSync(folder)
      renameSync(`${folder}.away`, folder)
      return Promise.resolve()
    },
    close: () => {
      rmSync(home, { recursive: true, force: true })
      return Promise.resolve()
    },
  })
})

describe('etcd', () => {
  let server: EtcdServer
  let runs = 0
  before(async function () {
    await needsEtcd(this)
    server = await startEtcd()
  })
  after(() => server?.stop())
  storeSuite('etcd', () => {
    const prefix = `/center-${++runs}`
    const servers = [{ host: '127.0.0.1', port: server.port }]
    return Promise.resolve({
      open: (): Store => new EtcdStore({ servers, prefix, credentials: () => undefined, tls: () => undefined }, deps),
      breakStore: () => server.kill(),
      restore: () => server.start(),
      close: () => Promise.resolve(),
    })
  })
})

describe('nacos', function () {
  this.timeout(240_000)
  let runs = 0
  before(async function () {
    await needsNacos(this)
    await sharedNacos('2.3.1')
  })
  storeSuite('nacos', async () => {
    const registry = await realNacosRegistry('2.3.1')
    const prefix = `center-${++runs}`
    return {
      open: (): Store =>
        new NacosStore(
          {
            adapter: () => Promise.resolve(registry.createAdapter()),
            group: 'HOSTMESH_CENTER',
            prefix,
            snapshotEvery: 7,
            kept: 10,
            keptOfKey: 5,
          },
          deps,
        ),
      breakStore: () => registry.cutOff!(),
      restore: () => registry.comeBack!(),
      close: () => registry.close(),
    }
  })
})

describe('the store of a center in files', function () {
  this.timeout(60_000)
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-store-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('loses no acknowledged write and tears nothing when its process is killed, twenty times', async () => {
    const random = seededRandom(7)
    const acknowledged = new Map<string, string>()
    for (let run = 0; run < 20; run++) {
      const writer = spawn(process.execPath, [join(import.meta.dirname, '../support/center/writer.ts'), folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const killAfter = 1 + Math.floor(random() * 25)
      let lines = 0
      const ended = once(writer, 'exit')
      createInterface({ input: writer.stdout }).on('line', (line) => {
        const [key, value] = line.split(' ')
        acknowledged.set(key!, value!)
        if (++lines === killAfter) writer.kill('SIGKILL')
      })
      await ended
      expect(lines, 'the writer wrote').to.be.at.least(killAfter)
      const store = files(folder, { snapshotEvery: 20, kept: 40 })
      const heard = new Heard(store)
      await eventually(() => heard.states === 1)
      expect(store.problem()).to.equal(undefined)
      for (const [key, value] of acknowledged) {
        // what was kept but not acknowledged may be newer
        expect(Number(heard.values.get(key))).to.be.at.least(Number(value))
      }
      await store.close()
    }
    expect(readdirSync(folder).length, 'old changes are removed').to.be.below(80)
  })

  it('names a damaged file, keeps what it knows and writes nothing behind it', async () => {
    const store = files(folder)
    await store.write('a', '1', 0)
    await store.write('b', '1', 0)
    await store.close()
    const last = readdirSync(folder).toSorted().at(-1)!
    writeFileSync(join(folder, last), `${'0'.repeat(64)} {"key":"b"}\n`)
    const again = files(folder)
    again.watch({ onState: () => expect.fail('a damaged store has no state'), onChanges: () => undefined })
    await eventually(() => again.problem()?.includes(last) ?? false)
    expect(await failure(again.write('c', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
    expect(readdirSync(folder)).to.have.length(2)
    await again.close()
  })

  for (const [what, isBack] of [
    ['removed', false],
    ['removed and made again with nothing in it', true],
  ] as const)
    it(`is written again from what is known when its folder is ${what}, so that no acknowledged change is lost`, async () => {
      const store = files(folder)
      const heard = new Heard(store)
      await store.write('a', '1', 0)
      await store.write('b', '1', 0)
      rmSync(folder, { recursive: true })
      if (isBack) mkdirSync(folder)
      await eventually(() => existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.snapshot')))
      expect(await store.write('c', '1', 0)).to.equal(3)
      expect([heard.states, [...heard.values.keys()]]).to.deep.equal([1, ['a', 'b', 'c']])
      await store.close()
      const next = files(folder)
      const read = new Heard(next)
      await eventually(() => read.states === 1)
      expect([...read.values]).to.deep.equal([
        ['a', '1'],
        ['b', '1'],
        ['c', '1'],
      ])
      await next.close()
    })

  it('writes nothing into a folder that was emptied a moment ago before what it knows is back in it', async () => {
    const store = files(folder)
    const heard = new Heard(store)
    await store.write('a', '1', 0)
    await store.write('b', '1', 0)
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    // a look may have been first, and has put it back
    if ((await failure(store.write('c', '1', 0))) !== 'none') {
      await eventually(() => store.problem() === undefined)
      await store.write('c', '1', 0)
    }
    await eventually(() => heard.values.has('c'))
    await store.close()
    const next = files(folder)
    const read = new Heard(next)
    await eventually(() => read.states === 1)
    expect([...read.values.keys()]).to.deep.equal(['a', 'b', 'c'])
    await next.close()
  })

  it('hears at once of a write over a change that another one made before', async () => {
    const [store, other] = [files(folder), files(folder)]
    const heard = new Heard(store)
    await store.write('a', '1', 0)
    const revision = await other.write('a', '2', 1)
    expect(await store.write('a', '3', revision)).to.equal(3)
    expect(await failure(other.write('a', '4', revision))).to.equal('E_STORE_CONFLICT')
    expect(heard.values.get('a')).to.equal('3')
    await Promise.all([store.close(), other.close()])
  })

  it('writes nothing behind an older state that somebody put into its folder, and says what to do', async () => {
    const store = files(folder)
    const heard = new Heard(store)
    await store.write('a', '1', 0)
    await store.write('b', '1', 0)
    await store.write('c', '1', 0)
    rmSync(join(folder, '000000000002.entry'))
    rmSync(join(folder, '000000000003.entry'))
    await eventually(() => store.problem()?.includes('change 3 was removed') ?? false)
    expect(await failure(store.write('d', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
    expect(readdirSync(folder)).to.deep.equal(['000000000001.entry'])
    expect([...heard.values.keys()]).to.deep.equal(['a', 'b', 'c'])
    await store.close()
  })

  it('reads on where nobody may write', async function () {
    if (process.getuid!() !== 0) this.skip()
    const store = files(folder)
    const heard = new Heard(store)
    await store.write('a', '1', 0)
    chmodSync(folder, 0o555)
    chmodSync(join(folder, readdirSync(folder)[0]!), 0o444)
    process.seteuid!(65534)
    try {
      expect(await failure(store.write('b', '1', 0))).to.equal('E_STORE_UNAVAILABLE')
      expect(store.problem()).to.match(/^store .* refused the last change: .*permission denied/i)
      expect(heard.values.get('a')).to.equal('1')
    } finally {
      process.seteuid!(0)
      chmodSync(folder, 0o700)
    }
    expect(await store.write('b', '1', 0)).to.equal(2)
    expect(store.problem()).to.equal(undefined)
    expect(existsSync(join(folder, '000000000002.entry'))).to.equal(true)
    await store.close()
  })
})
