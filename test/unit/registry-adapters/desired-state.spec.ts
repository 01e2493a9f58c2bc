import { expect } from 'chai'
import { EventEmitter, once } from 'node:events'
import { systemClock, type Clock } from '../../../contracts/clock.ts'
import { endpointAt, serviceKey, type EndpointSet } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { DesiredState } from '../../../registry-adapters/desired-state.ts'
import type { RegistrationDriver } from '../../../registry-adapters/kept-registration.ts'
import { manualClock } from '../../support/manual-clock.ts'

const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key = serviceKey(service)
const denied = new MeshError('E_REGISTRY_DENIED', 'no permission')
const silence = (): void => undefined

const foreignKey = serviceKey({ ...service, group: 'OTHER' })

function desired(
  onWanted: (self: DesiredState) => void = silence,
  {
    clock = { ...systemClock, wall: () => 7 },
    driver = { renewMs: 1000, write: never, renew: never, remove: never },
  }: { clock?: Clock; driver?: RegistrationDriver } = {},
): DesiredState {
  const log = { debug: silence, info: silence, warn: silence, error: silence }
  const metrics = { count: silence, gauge: silence }
  const self: DesiredState = new DesiredState(
    {
      registry: 'main',
      maxEndpoints: 10,
      driver,
      onWanted: () => onWanted(self),
      onDoubt: silence,
      onUnwanted: silence,
    },
    { clock, random: () => 0.5, log, metrics },
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

  it('counts as refused without those that the registry cannot have, which are not lost with it either', async () => {
    const state = desired((self) => {
      if (self.services.size > 1) self.answerNothing(foreignKey)
    })
    const heard: string[] = []
    const told = new EventEmitter()
    state.services.subscribe(service, { onEndpoints: silence, onStale: silence })
    const foreign = state.services.subscribe(
      { ...service, group: 'OTHER' },
      {
        onEndpoints: ({ isForeign, endpoints }) => {
          heard.push(`${isForeign} ${endpoints.length}`)
          told.emit('word')
        },
        onStale: () => void heard.push('stale'),
      },
    )
    state.refused(key, denied)
    expect(state.isAllRefused).to.equal(true)
    state.lost(denied)
    await once(told, 'word')
    expect(heard).to.deep.equal(['true 0'])
    expect(state.services.lastHeardAt, 'no word of the registry').to.equal(0)
    foreign.unsubscribe()
    expect(state.isAllRefused).to.equal(true)
    state.taken(key)
    expect(state.isAllRefused).to.equal(false)
  })

  it('counts as refused where nothing is listened to and every registration is denied, until one is taken', async () => {
    const clock = manualClock()
    const answers: ((error?: MeshError) => void)[] = []
    const write = (): Promise<void> =>
      new Promise((resolve, reject) => answers.push((error) => (error === undefined ? resolve() : reject(error))))
    const state = desired(silence, { clock, driver: { renewMs: 1000, write, renew: never, remove: never } })
    const handle = state.registrations.register({
      service,
      address: '10.0.0.1',
      port: 80,
      weight: 1,
      cluster: '',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    const answer = async (error?: MeshError): Promise<void> => {
      while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve))
      answers.shift()!(error)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(state.isAllRefused).to.equal(false)
    await answer(denied)
    expect(state.isAllRefused).to.equal(true)
    expect(handle.problem).to.deep.include({ code: 'E_REGISTRY_DENIED', message: 'no permission' })
    expect(state.problem(undefined)).to.equal(handle.problem)
    clock.advance(30_000)
    await answer()
    expect(state.isAllRefused).to.equal(false)
    expect([handle.state, handle.problem, state.problem(undefined)]).to.deep.equal(['registered', undefined, undefined])
    handle.release()
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
