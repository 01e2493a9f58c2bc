/** A store of a center in a real etcd that lets nobody in, takes nothing, or has a dead member. */
import { expect } from 'chai'
import { systemClock } from '../../contracts/clock.ts'
import { EtcdStore, type EtcdStoreOptions } from '../../global-mesh-center/store/etcd-store.ts'
import { needsEtcd, startEtcd, type EtcdServer } from '../support/etcd/server.ts'
import { freePort } from '../support/free-port.ts'
import { startGate } from '../support/nacos/gate.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { eventually } from '../support/worker/eventually.ts'
import { failure, Heard } from './center-store.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const host = '127.0.0.1'
const password = 'right'

describe('the store of a center in etcd', function () {
  this.timeout(120_000)
  let etcd: EtcdServer
  let prefixes = 0
  const stores: EtcdStore[] = []

  before(async function () {
    await needsEtcd(this)
    etcd = await startEtcd()
  })
  after(() => etcd?.stop())
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
  })

  /** Whether a refused change would be taken now is asked soon. */
  function open(options: Partial<EtcdStoreOptions> = {}, random = Math.random) {
    const deps = recordedDeps()
    const clock = {
      ...systemClock,
      after: (ms: number, call: () => void) => systemClock.after(ms === 10_000 ? 50 : ms, call),
    }
    const all: EtcdStoreOptions = {
      servers: [{ host, port: etcd.port }],
      prefix: `/center-${++prefixes}`,
      credentials: () => undefined,
      tls: () => undefined,
      ...options,
    }
    const store = new EtcdStore(all, { ...deps, clock, random })
    stores.push(store)
    const heard = new Heard(store)
    const errors = (): string[] => deps.lines.filter((line) => line.startsWith('error'))
    return { errors, heard, prefix: all.prefix, store }
  }
  const message = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      (error: Error) => error.message,
    )

  it('goes on at another server where one is dead from the start, and where one dies', async () => {
    const dead = await freePort()
    const gates = [await startGate(etcd.port), await startGate(etcd.port)] as const
    const servers = [dead, gates[0].port, gates[1].port].map((port) => ({ host, port }))
    const { heard, prefix, store } = open({ servers }, () => 0)
    try {
      await eventually(() => heard.states === 1)
      const revision = await store.write('a', '1', 0)
      expect(store.problem()).to.equal(undefined)
      await gates[0].shut()
      await eventually(() => heard.states >= 2)
      await store.write('a', '2', revision)
      await eventually(() => heard.values.get('a') === '2')
      expect(store.problem()).to.equal(undefined)
      const other = open({ prefix })
      await eventually(() => other.heard.values.get('a') === '2')
    } finally {
      await Promise.all(stores.splice(0).map((one) => one.close()))
      for (const gate of gates) await gate.close()
    }
  })

  it('is not all right while etcd is full: changes are refused with its words, and it is as soon as there is room', async () => {
    const { errors, heard, store } = open()
    await eventually(() => heard.states === 1)
    const revision = await store.write('a', '1', 0)
    const alarm = (action: string) => etcd.call('maintenance/alarm', { action, memberID: '0', alarm: 'NOSPACE' })
    await alarm('ACTIVATE')
    try {
      const full = /etcd kv\/txn: .*database space exceeded/
      for (const value of ['2', '3']) expect(await message(store.write('a', value, revision))).to.match(full)
      expect(await failure(store.write('a', '4', revision))).to.equal('E_STORE_UNAVAILABLE')
      expect(store.problem()).to.match(/^store in etcd refused the last change: etcd kv\/txn: .*space exceeded/)
      expect(errors().length, errors().join()).to.equal(1)
      expect(heard.values.get('a')).to.equal('1')
    } finally {
      await alarm('DEACTIVATE')
    }
    await eventually(() => store.problem() === undefined)
    await store.write('a', '5', revision)
    await eventually(() => heard.values.get('a') === '5')
    expect([...heard.values.keys()], 'nothing was left by asking').to.deep.equal(['a'])
  })

  describe('with users', () => {
    before(async () => {
      for (const name of ['root', 'center', 'reader']) {
        await etcd.call('auth/user/add', { name, password })
        await etcd.call('auth/role/add', { name })
        await etcd.call('auth/user/grant', { user: name, role: name })
      }
      const of = (permType: string) => ({ permType, key: base64('/'), range_end: base64('0') })
      await etcd.call('auth/role/grant', { name: 'center', perm: of('READWRITE') })
      await etcd.call('auth/role/grant', { name: 'reader', perm: of('READ') })
      await etcd.call('auth/enable', {})
    })

    it('says that it may not in without a user, and with a wrong password, and is in once that is right', async () => {
      let now: { name: string; password: string } | undefined
      const { errors, heard, store } = open({ credentials: () => now })
      await eventually(() => store.problem()?.includes('user name is empty') ?? false)
      expect(await message(store.write('a', '1', 0))).to.include('user name is empty')
      now = { name: 'center', password: 'wrong' }
      await eventually(() => store.problem()?.includes('authentication failed') ?? false)
      expect(await message(store.write('a', '1', 0))).to.include('authentication failed')
      expect(errors().join(), 'no secret in the log').to.not.include('wrong')
      expect(heard.states).to.equal(0)
      now = { name: 'center', password }
      await eventually(() => heard.states === 1 && store.problem() === undefined)
      await store.write('a', '1', 0)
      await eventually(() => heard.values.get('a') === '1')
    })

    it('is not all right for a user who may only read, until the user may write', async () => {
      const writer = open({ credentials: () => ({ name: 'center', password }) })
      await eventually(() => writer.heard.states === 1)
      const { prefix } = writer
      const { errors, heard, store } = open({ prefix, credentials: () => ({ name: 'reader', password }) })
      await eventually(() => heard.states === 1)
      const revision = await writer.store.write('a', '1', 0)
      await eventually(() => heard.values.get('a') === '1')
      expect(store.problem()).to.equal(undefined)
      expect(await message(store.write('a', '2', revision))).to.match(/kv\/txn: refused with 403/)
      expect(store.problem()).to.match(/refused the last change: .*kv\/txn: refused with 403/)
      expect(errors().length, errors().join()).to.equal(1)
      const { token } = await etcd.call('auth/authenticate', { name: 'root', password })
      await etcd.call('auth/user/grant', { user: 'reader', role: 'center' }, token as string)
      await eventually(() => store.problem() === undefined)
      await store.write('a', '2', revision)
      await eventually(() => writer.heard.values.get('a') === '2')
    })
  })
})
