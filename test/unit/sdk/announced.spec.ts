import { expect } from 'chai'
import { systemClock } from '../../../contracts/clock.ts'
import { metadataKeys } from '../../../contracts/endpoint.ts'
import type { Registration, RegistrationHandle } from '../../../contracts/registry-adapter.ts'
import { Announced } from '../../../sdk/announced.ts'

const registration: Registration = {
  service: { namespace: 'public', group: 'DEFAULT_GROUP', name: 'shop' },
  address: '10.0.0.1',
  port: 8080,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: { version: 'v1', [metadataKeys.protocol]: 'grpc' },
}

const announcedBy = (handle: RegistrationHandle): Announced =>
  new Announced('shop', registration, {
    clock: systemClock,
    overlapMs: 0,
    activeMode: () => 'mesh',
    place: () => () => handle,
    problemAt: () => undefined,
    onProblem: () => undefined,
    onOver: () => undefined,
  })

describe('an announced instance of an application', () => {
  it('keeps its protocol when its metadata are replaced', async () => {
    const told: object[] = []
    const announced = announcedBy({
      state: 'registered',
      update: (change) => void told.push(change),
      release: () => undefined,
      deregister: () => Promise.resolve(),
    })
    announced.update({ metadata: { version: 'v2' } })
    announced.setHealthy(false)
    expect(told).to.deep.equal([{ metadata: { version: 'v2', [metadataKeys.protocol]: 'grpc' } }, { healthy: false }])
    await announced.deregister()
  })

  it('says where it is announced from the moment that it says that it is', async () => {
    let state: 'pending' | 'registered' = 'pending'
    const announced = announcedBy({
      get state() {
        return state
      },
      update: () => undefined,
      release: () => undefined,
      deregister: () => Promise.resolve(),
    })
    expect([announced.state, announced.activeMode]).to.deep.equal(['pending', undefined])
    state = 'registered'
    expect([announced.state, announced.activeMode]).to.deep.equal(['registered', 'mesh'])
    await announced.deregister()
  })
})
