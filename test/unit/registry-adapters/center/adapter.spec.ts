import { expect } from 'chai'
import { encodeRules } from '../../../../registry-adapters/center/wire/service-rules.ts'
import { ToldCenter, centerAdapterAt } from '../../../support/center/told-center.ts'
import { Authority } from '../../../support/tls/authority.ts'
import { eventually, recordingListener } from '../../../support/registry-listener.ts'

const named = (name: string) => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })
const nonsense = Buffer.from([0x12, 0x7f, 0x01])

describe('a center as a registry', () => {
  it('tells of all services but the one of which it says nonsense, and of that one once it makes sense', async () => {
    const center = new ToldCenter()
    await center.start()
    const adapter = centerAdapterAt(center.port)
    try {
      const names = ['first', 'second', 'third']
      for (const [index, name] of names.entries())
        center.put(named(name), [{ address: '10.1.0.1', port: 8000 + index }])
      center.set(named('second'), nonsense)
      const heard = names.map((name) => {
        const listener = recordingListener()
        adapter.subscribe(named(name), listener)
        return listener
      })
      adapter.start()
      await heard[0]!.untilIds(['10.1.0.1:8000'])
      await heard[2]!.untilIds(['10.1.0.1:8002'])
      expect(heard[1]!.ids).to.deep.equal([])
      center.put(named('second'), [{ address: '10.1.0.1', port: 8001 }])
      await heard[1]!.untilIds(['10.1.0.1:8001'])
    } finally {
      await adapter.close()
      await center.stop()
    }
  })

  it('says of a service that it lost while it was away that it has none, and not once more what it had', async () => {
    const center = new ToldCenter()
    await center.start()
    const adapter = centerAdapterAt(center.port)
    const listener = recordingListener()
    try {
      center.put(named('orders'), [{ address: '10.1.0.1', port: 8000 }])
      adapter.subscribe(named('orders'), listener)
      adapter.start()
      await listener.untilIds(['10.1.0.1:8000'])
      await center.stop()
      await eventually(() => listener.problems.length > 0, 'the loss')
      center.set(named('orders'), undefined)
      await center.start()
      await eventually(() => listener.sets.length > 1, 'a word of the center that is back')
      expect(listener.story.slice(2).map((word) => word.trim())).to.deep.equal(['set'])
    } finally {
      await adapter.close()
      await center.stop()
    }
  })

  it('has rules again that were away before the center was', async () => {
    const center = new ToldCenter()
    await center.start()
    const adapter = centerAdapterAt(center.port)
    const rules = encodeRules([{ name: 'Sidecar shop/default', text: '{}' }])
    let told: readonly string[] | undefined
    try {
      center.setMeshRules(rules)
      adapter.rules!.watch((collections) => (told = collections.map(({ name }) => name)))
      adapter.start()
      await eventually(() => told?.length === 1, 'the rule')
      center.setMeshRules(undefined)
      await eventually(() => told?.length === 0, 'its end')
      await center.stop()
      await eventually(() => !adapter.status().connected, 'the loss')
      center.setMeshRules(rules)
      await center.start()
      await eventually(() => told?.length === 1, 'the rule once more')
    } finally {
      await adapter.close()
      await center.stop()
    }
  })

  it('is heard over TLS by name and by address, where its certificate says so and who signed it is trusted', async () => {
    const [authority, other] = [new Authority(), new Authority('another root')]
    const { certificate: cert, key } = authority.leaf(undefined, { dns: ['localhost'], ips: ['127.0.0.1'] })
    const center = new ToldCenter()
    await center.start({ cert, key })
    const elsewhere = authority.leaf(undefined, { ips: ['10.9.9.9'] })
    const misplaced = new ToldCenter()
    await misplaced.start({ cert: elsewhere.certificate, key: elsewhere.key })
    center.put(named('orders'), [{ address: '10.1.0.1', port: 8000 }])
    const right = { ca: authority.certificate }
    const cases = [
      ['localhost', right, undefined],
      ['127.0.0.1', right, undefined],
      ['localhost', { ca: other.certificate }, /unable to verify/],
      ['127.0.0.1', { ca: other.certificate }, /unable to verify/],
      ['127.0.0.1', undefined, /./],
      ['127.0.0.1', right, /127\.0\.0\.1 is not in the cert's list/],
    ] as const
    try {
      for (const [index, [host, tls, why]] of cases.entries()) {
        const { port } = index === cases.length - 1 ? misplaced : center
        const adapter = centerAdapterAt(port, host, tls)
        const listener = recordingListener()
        adapter.subscribe(named('orders'), listener)
        adapter.start()
        if (why === undefined) await listener.untilIds(['10.1.0.1:8000'])
        else await eventually(() => listener.problems.length > 0, `a refusal of ${host}`)
        expect(adapter.status().connected).to.equal(why === undefined)
        if (why !== undefined) expect(adapter.status().problem?.message).to.match(why)
        await adapter.close()
      }
    } finally {
      await center.stop()
      await misplaced.stop()
    }
  })
})
