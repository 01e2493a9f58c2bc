import { expect } from 'chai'
import { controlDrills } from '../../../../cli/drill/control-drills.ts'
import type { DrillContext } from '../../../../cli/drill/drill.ts'

describe('the drill of certificates', () => {
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
})
