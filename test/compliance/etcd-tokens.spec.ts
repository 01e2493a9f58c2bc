/** An etcd whose tokens end with each change of any user or role: it is asked with new ones at once. */
import { expect } from 'chai'
import { EtcdStore } from '../../global-mesh-center/store/etcd-store.ts'
import { etcdAdapter } from '../support/etcd/adapter.ts'
import { needsEtcd, startEtcd, type EtcdServer } from '../support/etcd/server.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import { Heard } from './center-store.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const user = { name: 'root', password: 'secret' }
const instance = '{"address":"10.0.0.1","port":80}'

describe('an etcd whose tokens end with each change of its users', function () {
  this.timeout(120_000)
  let etcd: EtcdServer
  let users = 0

  before(async function () {
    await needsEtcd(this)
    etcd = await startEtcd({ tokens: 'jwt' })
    await etcd.call('auth/user/add', user)
    await etcd.call('auth/role/add', { name: 'root' })
    await etcd.call('auth/user/grant', { user: 'root', role: 'root' })
    await etcd.call('auth/enable', {})
  })
  after(() => etcd?.stop())

  const options = () => ({
    servers: [{ host: '127.0.0.1', port: etcd.port }],
    credentials: () => user,
    tls: () => undefined,
  })
  const token = async (): Promise<string> => (await etcd.call('auth/authenticate', user))['token'] as string
  /** Afterwards etcd refuses each token from before. */
  const changeUsers = async (): Promise<void> => {
    const old = await token()
    await etcd.call('auth/user/add', { name: `user-${++users}`, password: 'another' }, old)
    const refusal = await etcd.call('kv/range', { key: base64('a') }, old).then(
      () => 'none',
      (error: Error) => error.message,
    )
    expect(refusal).to.match(/is old/)
  }

  it('is a registry that stays connected and is listed on', async () => {
    const key = (name: string): string => base64(`/services/${name}/a`)
    const names = ['orders', 'users', 'bills']
    for (const name of names) await etcd.call('kv/put', { key: key(name), value: base64(instance) }, await token())
    const deps = recordedDeps()
    const adapter = etcdAdapter(etcd.port, { credentials: () => user, pulseMs: 100 }, deps)
    try {
      adapter.start()
      for (const name of names) {
        const listener = recordingListener()
        adapter.subscribe({ namespace: 'public', group: 'DEFAULT_GROUP', name }, listener)
        await listener.untilIds(['10.0.0.1:80'])
        expect(listener.story, 'was never lost').to.deep.equal(['set 10.0.0.1:80'])
        await changeUsers()
      }
      expect(deps.counted('registry_connection_failures'), deps.lines.join()).to.equal(0)
    } finally {
      await adapter.close()
    }
  })

  it('is a store that takes changes on', async () => {
    const store = new EtcdStore({ ...options(), prefix: '/center' }, recordedDeps())
    try {
      const heard = new Heard(store)
      await eventually(() => heard.states > 0, 'the state')
      let revision = 0
      for (const value of ['1', '2', '3']) {
        await changeUsers()
        revision = await store.write('a', value, revision)
        await eventually(() => heard.values.get('a') === value, `the value ${value}`)
      }
      expect(store.problem()).to.equal(undefined)
    } finally {
      await store.close()
    }
  })
})
