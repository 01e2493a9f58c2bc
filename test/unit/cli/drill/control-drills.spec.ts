import { expect } from 'chai'
import { controlDrills } from '../../../../cli/drill/control-drills.ts'
import type { DrillContext } from '../../../../cli/drill/drill.ts'
import type { WatchdogState } from '../../../../contracts/handoff.ts'

describe('the drill of certificates', () => {
  const state = {} as WatchdogState
  const drill = controlDrills.find(({ name }) => name === 'certificate-expiry')!
  const text = JSON.stringify({ identities: [{ id: 'shop', source: 'center', serial: '1', notAfter: 1 }] })

  it('asks no more once it was interrupted, and says nothing of certificates that it did not wait for', async () => {
    let questions = 0
    let isOver = false
    const admin = {
      get: () => {
        questions++
        return Promise.resolve({ status: 200, text })
      },
      post: () => Promise.resolve({ status: 200, text: '{}' }),
    }
    const pause = (): Promise<void> => {
      isOver = true
      return Promise.resolve()
    }
    await drill.act({ admin, pause, isOver: () => isOver } as unknown as DrillContext)
    expect(questions).to.equal(1)
  })

  it('waits for no certificate that was never granted, and is not fit where there is no other', async () => {
    const never = { id: 'drill', source: 'center', problem: 'not granted' }
    let identities: object[] = [never]
    const admin = {
      get: () => Promise.resolve({ status: 200, text: JSON.stringify({ identities }) }),
      post: () => {
        identities = [never, { id: 'shop', source: 'center', serial: '2', notAfter: 2 }]
        return Promise.resolve({ status: 200, text: '{}' })
      },
    }
    const said: string[] = []
    const context = {
      admin,
      pause: () => Promise.resolve(),
      isOver: () => false,
      say: (text: string) => said.push(text),
    } as unknown as DrillContext
    expect(await drill.unfit!(context, state)).to.contain('nothing to renew')
    identities = [never, { id: 'shop', source: 'center', serial: '1', notAfter: 1 }]
    expect(await drill.unfit!(context, state)).to.equal(undefined)
    await drill.act(context)
    expect(said).to.deep.equal(['1 certificates are new'])
  })
})
