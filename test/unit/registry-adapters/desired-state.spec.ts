import { expect } from 'chai'
import { EventEmitter, once } from 'node:events'
import { systemClock } from '../../../contracts/clock.ts'
import { endpointAt, serviceKey, type EndpointSet } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { DesiredState } from '../../../registry-adapters/desired-state.ts'

const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key = serviceKey(service)
const denied = new MeshError('E_REGISTRY_DENIED', 'no permission')
const silence = (): void => undefined

function desired(onWanted: (self: DesiredState) => void = silence): DesiredState {
  const log = { debug: silence, info: silence, warn: silence, error: silence }
  const metrics = { count: silence, gauge: silence }
  const driver = { renewMs: 1000, write: never, renew: never, remove: never }
  const self: DesiredState = new DesiredState(
    {
      registry: 'main',
      maxEndpoints: 10,
      driver,
      onWanted: () => onWanted(self),
      onDoubt: silence,
      onUnwanted: silence,
    },
    { clock: { ...systemClock, wall: () => 7 }, random: () => 0.5, log, metrics },
  )
  return self
}

const never = (): Promise<never> => new Promise(silence)

describe('what is asked of a registry', () => {
  it('is answered with nothing, or with a loss, only after the subscription', async () => {
    const told = new EventEmitter()
    const heard: string[] = []
    const listener = {
      onEndpoints: (): void => void (heard.push('endpoints'), told.emit('word')),
      onStale: (): void => void (heard.push('stale'), told.emit('word')),
    }
    desired((self) => self.answerNothing(key)).services.subscribe(service, listener)
    expect(heard).to.deep.equal([])
    await once(told, 'word')
    desired((self) => self.answerLost(key, denied)).services.subscribe(service, listener)
    expect(heard).to.deep.equal(['endpoints'])
    await once(told, 'word')
    expect(heard).to.deep.equal(['endpoints', 'stale'])
  })

  it('keeps an instance that is as before one object from list to list, and only news is told', () => {
    const state = desired()
    const sets: EndpointSet[] = []
    state.services.subscribe(service, { onEndpoints: (set) => void sets.push(set), onStale: silence })
    const say = (...weights: number[]): void =>
      state.services.publish(
        key,
        weights.map((weight, at) => endpointAt(`10.0.0.${at + 1}`, 80, { weight, metadata: { at: String(at) } })),
      )
    say(1, 1)
    say(1, 1)
    say(1, 2)
    expect(sets.map(({ endpoints }) => endpoints.map(({ weight }) => weight))).to.deep.equal([
      [1, 1],
      [1, 2],
    ])
    expect(sets[1]!.endpoints[0]).to.equal(sets[0]!.endpoints[0])
    expect(sets[1]!.endpoints[1]).to.not.equal(sets[0]!.endpoints[1])
    say(1)
    say(1, 2)
    expect(sets.map(({ version }) => version)).to.deep.equal([1, 2, 3, 4])
  })

  it('counts as refused as a whole when every service is', () => {
    const state = desired()
    expect(state.isAllRefused).to.equal(false)
    const subscription = state.services.subscribe(service, { onEndpoints: silence, onStale: silence })
    state.refused(key, denied)
    expect(state.isAllRefused).to.equal(true)
    const problem = { code: 'E_REGISTRY_DENIED', message: 'no permission', at: 7 }
    expect(state.problem(undefined)).to.deep.equal(problem)
    expect(state.problem(new MeshError('E_REGISTRY_TIMEOUT', 'silent'))).to.deep.include({ message: 'silent' })
    state.taken(key)
    expect(state.isRefused(key)).to.equal(false)
    state.refused(key, denied)
    subscription.unsubscribe()
    expect(state.isRefused(key), 'of a service that nobody wants').to.equal(false)
  })

  it('is asked anew of a registry that is back, with no refusal left', () => {
    const state = desired()
    state.services.subscribe(service, { onEndpoints: silence, onStale: silence })
    state.refused(key, denied)
    state.back()
    expect(state.problem(undefined)).to.equal(undefined)
    expect(state.status({ type: 'consul', connected: true, server: 'a:1', problem: undefined })).to.deep.equal({
      name: 'main',
      type: 'consul',
      connected: true,
      server: 'a:1',
      problem: undefined,
      subscriptions: 1,
      registrations: 0,
      lastHeardAt: 7,
    })
  })
})
