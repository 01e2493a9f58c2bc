import { expect } from 'chai'
import { ToldCenter, centerAdapterAt } from '../../../support/center/told-center.ts'
import { recordingListener } from '../../../support/registry-listener.ts'

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
})
