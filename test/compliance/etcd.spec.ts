import { etcdAdapter } from '../support/etcd/adapter.ts'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { needsEtcd, startEtcd } from '../support/etcd/server.ts'
import type { EtcdServer } from '../support/etcd/server.ts'
import { startGate } from '../support/nacos/gate.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import type { OutsideInstance } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const plain = (text: string): string => Buffer.from(text, 'base64').toString()
const user = { name: 'agent', password: 'secret' }

function adapterAt(port: number, hasUser = false): RegistryAdapter {
  return etcdAdapter(port, { credentials: () => (hasUser ? user : undefined) })
}

function outside(etcd: EtcdServer, token: () => Promise<string | undefined>) {
  const present = new Map<string, Map<string, string>>()
  const put = async (key: string, value: string): Promise<void> => {
    await etcd.call('kv/put', { key: base64(key), value: base64(value) }, await token())
  }
  return {
    put: async (service: ServiceName, instances: readonly OutsideInstance[]): Promise<void> => {
      const before = present.get(service.name) ?? new Map<string, string>()
      const now = new Map<string, string>(
        instances.map((one) => [`/services/${service.name}/${one.address}:${one.port}`, JSON.stringify(one)] as const),
      )
      present.set(service.name, now)
      for (const [key, value] of now) if (before.get(key) !== value) await put(key, value)
      for (const key of before.keys())
        if (!now.has(key)) await etcd.call('kv/deleterange', { key: base64(key) }, await token())
    },
    spoil: (service: ServiceName) => put([...present.get(service.name)!.keys()][0]!, '{"address": "10.0.0.1", "po'),
    seen: async (service: ServiceName) => {
      const prefix = `/services/${service.name}/`
      const found = await etcd.call(
        'kv/range',
        { key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) },
        await token(),
      )
      const kvs = (found['kvs'] ?? []) as { key: string; value: string }[]
      return kvs.map(({ key, value }) => ({ id: plain(key).slice(prefix.length), ...JSON.parse(plain(value)) }))
    },
    big: async (service: ServiceName, bytes: number) => {
      const value = base64('x'.repeat(1024 * 1024))
      const once = await token()
      for (let index = 0; index * 1024 * 1024 < bytes; index++)
        await etcd.call('kv/put', { key: base64(`/services/${service.name}/${index}`), value }, once)
    },
  }
}

describeRegistryAdapter(
  'etcd',
  { register: true, config: false, cutOff: true, spoil: true, signsOfLife: true },
  async (context) => {
    await needsEtcd(context)
    const etcd = await startEtcd()
    const gate = await startGate(etcd.port)
    const tree = outside(etcd, async () => undefined)
    return {
      namespace: 'public',
      createAdapter: () => adapterAt(gate.port),
      put: tree.put,
      spoil: tree.spoil,
      seen: tree.seen,
      cutOff: () => gate.shut(),
      comeBack: () => gate.open(),
      close: async () => {
        await gate.close()
        await etcd.stop()
      },
    }
  },
)

describeRegistryFaults('etcd', { register: true, deny: true, huge: true }, async (context) => {
  await needsEtcd(context)
  const etcd = await startEtcd()
  const gate = await startGate(etcd.port)
  for (const name of ['root', user.name]) {
    await etcd.call('auth/user/add', { name, password: user.password })
    await etcd.call('auth/role/add', { name })
    await etcd.call('auth/user/grant', { user: name, role: name })
  }
  const permission = { permType: 'READWRITE', key: base64('/services/'), range_end: base64('/services0') }
  const ping = { permType: 'READ', key: base64('\0') }
  await etcd.call('auth/role/grant', { name: user.name, perm: permission })
  await etcd.call('auth/role/grant', { name: user.name, perm: ping })
  await etcd.call('auth/enable', {})
  const rootToken = async (): Promise<string> =>
    (await etcd.call('auth/authenticate', { name: 'root', password: user.password }))['token'] as string
  const tree = outside(etcd, rootToken)
  const changePassword = async (password: string): Promise<void> => {
    await etcd.call('auth/user/changepw', { name: user.name, password }, await rootToken())
  }
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () => adapterAt(gate.port, true),
    put: tree.put,
    kill: () => etcd.kill(),
    restart: () => etcd.start(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    deny: async () => {
      await changePassword('another')
      gate.cut()
    },
    allow: () => changePassword(user.password),
    huge: tree.big,
    seen: async (service) => (await tree.seen(service)).map(({ id }) => id),
    close: async () => {
      await gate.close()
      await etcd.stop()
    },
  }
})
