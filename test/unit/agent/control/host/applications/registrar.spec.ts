import { expect } from 'chai'
import { Registrar, type KeptRegistration } from '../../../../../../agent/control/host/applications/registrar.ts'
import { applicationId, type Application } from '../../../../../../agent/control/host/applications/application.ts'
import { MeshError } from '../../../../../../contracts/errors.ts'
import { fakeRegistry, recordingLog } from '../../support/fake-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

function application(change: Partial<Application> = {}): Application {
  return {
    id: applicationId(service, '127.0.0.1', change.port ?? 8080),
    source: 'file',
    service,
    address: '127.0.0.1',
    port: 8080,
    protocol: 'http',
    registry: undefined,
    cluster: undefined,
    weight: 1,
    enabled: true,
    healthy: true,
    metadata: {},
    labels: {},
    user: undefined,
    inboundPort: undefined,
    check: undefined,
    ...change,
  }
}

const check = { kind: 'tcp', intervalMs: 1000, timeoutMs: 100, healthyThreshold: 1, unhealthyThreshold: 2 } as const

function setUp(kept: readonly KeptRegistration[] = []) {
  const registry = fakeRegistry('main')
  const clock = manualClock()
  const probes: ((problem?: string) => void)[] = []
  const registrar = new Registrar(
    {
      adapters: [registry],
      host: { name: 'h', address: '10.0.0.5', zone: 'z', region: '', labels: {} },
      takesRegistrations: () => true,
      mtlsOf: () => undefined,
      clusterOf: () => 'DEFAULT',
      clock,
      random: () => 0.5,
      log: recordingLog(),
      timeline: { turn: () => undefined },
      probe: () =>
        new Promise((resolve, reject) => {
          probes.push((problem) => (problem === undefined ? resolve() : reject(new Error(problem))))
        }),
      onChanged: () => undefined,
    },
    kept,
  )
  /** The answer to the check that is under way, then the time until the next one. */
  const answerCheck = async (problem?: string): Promise<void> => {
    probes.shift()!(problem)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1000)
  }
  return { registry, registrar, answerCheck, clock }
}

describe('registration of local applications', () => {
  it('announces an application once its inbound port listens and its first check has spoken', async () => {
    const { registry, registrar, answerCheck } = setUp()
    registrar.setLeading(true)
    registrar.put(application({ check }), 21_001)
    expect(registrar.views()[0]!.waitsFor).to.equal('its inbound port to listen')
    registrar.listenerState(application().id, 'listening')
    expect(registrar.views()[0]!.waitsFor).to.equal('its first health check')
    expect(registry.registrations).to.have.length(0)
    await answerCheck()
    expect(registry.registrations).to.have.length(1)
    expect(registry.registrations[0]!.registration).to.deep.include({
      address: '10.0.0.5',
      port: 21_001,
      healthy: true,
      cluster: 'DEFAULT',
    })
    registrar.close()
  })

  it('announces an application that is not well as unhealthy, and turns it by its thresholds', async () => {
    const { registry, registrar, answerCheck } = setUp()
    registrar.setLeading(true)
    registrar.put(application({ check }), 21_001)
    registrar.listenerState(application().id, 'listening')
    await answerCheck('ECONNREFUSED')
    expect(registry.registrations[0]!.registration.healthy).to.equal(false)
    await answerCheck()
    expect(registry.registrations[0]!.registration.healthy).to.equal(true)
    await answerCheck('ECONNREFUSED')
    expect(registry.registrations[0]!.registration.healthy, 'one bad answer of two').to.equal(true)
    await answerCheck('ECONNREFUSED')
    expect(registry.registrations[0]!.registration.healthy).to.equal(false)
    expect(registry.registrations).to.have.length(1)
    registrar.close()
  })

  for (const hasCheck of [true, false])
    it(`tells the registry at once of an application that refuses a connection, ${hasCheck ? 'checked' : 'never checked'}, and when it is back`, async () => {
      const { registry, registrar, answerCheck, clock } = setUp()
      registrar.setLeading(true)
      registrar.put(application(hasCheck ? { check } : {}), 21_001)
      registrar.listenerState(application().id, 'listening')
      if (hasCheck) await answerCheck()
      const [registered] = registry.registrations
      expect(registered!.registration.healthy).to.equal(true)
      registrar.refused('127.0.0.1:9999')
      expect(registered!.registration.healthy, 'another port').to.equal(true)
      registrar.refused('127.0.0.1:8080')
      expect(registered!.registration.healthy).to.equal(false)
      expect(registrar.views()[0]!.healthProblem).to.equal('refuses connections')
      if (hasCheck) await answerCheck()
      expect(registered!.registration.healthy, 'an older good answer does not count').to.equal(false)
      clock.advance(100)
      if (!hasCheck) await answerCheck('ECONNREFUSED')
      expect(registered!.registration.healthy).to.equal(false)
      registrar.close()
    })

  it('calls an application well again as soon as it takes connections', async () => {
    const { registry, registrar, answerCheck, clock } = setUp()
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    registrar.refused('127.0.0.1:8080')
    registrar.refused('127.0.0.1:8080')
    clock.advance(100)
    await answerCheck()
    expect(registry.registrations[0]!.registration.healthy).to.equal(true)
    expect(registrar.views()[0]!.healthProblem).to.equal(undefined)
    registrar.close()
  })

  it('lets go without a word to the registry when it ends or another generation leads', () => {
    const { registry, registrar } = setUp()
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    expect(registry.registrations).to.have.length(0)
    registrar.setLeading(true)
    expect(registry.registrations[0]!.state).to.equal('registered')
    registrar.setLeading(false)
    expect(registry.registrations[0]!.state).to.equal('released')
    registrar.setLeading(true)
    expect(registry.registrations).to.have.length(2)
    registrar.close()
    expect(registry.registrations.map((one) => one.state)).to.deep.equal(['released', 'released'])
  })

  it('carries on at once with what the last run had announced, with the health that it had', () => {
    const first = setUp()
    first.registrar.setLeading(true)
    first.registrar.put(application(), 21_001)
    first.registrar.listenerState(application().id, 'listening')
    const kept = JSON.parse(JSON.stringify(first.registrar.kept())) as KeptRegistration[]
    const { registry, registrar } = setUp(kept)
    registrar.put(application({ check }), 21_001)
    registrar.setLeading(true)
    expect(registry.registrations).to.have.length(1)
    expect(registry.registrations[0]!.registration.healthy).to.equal(true)
    registrar.close()
  })

  it('takes back what the last run had announced and nobody wants any more', () => {
    const first = setUp()
    first.registrar.setLeading(true)
    first.registrar.put(application(), 21_001)
    first.registrar.listenerState(application().id, 'listening')
    const { registry, registrar } = setUp(first.registrar.kept())
    expect(registrar.kept(), 'until somebody leads it is still on the list').to.have.length(1)
    registrar.setLeading(true)
    expect(registry.registrations.map((one) => one.state)).to.deep.equal(['deregistered'])
    expect(registrar.kept()).to.have.length(0)
  })

  it('announces a changed port as another instance before the old one goes', () => {
    const { registry, registrar } = setUp()
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    registrar.put(application(), 21_002)
    expect(registry.registrations.map((one) => [one.registration.port, one.state])).to.deep.equal([
      [21_001, 'deregistered'],
      [21_002, 'registered'],
    ])
  })

  it('reports an application whose inbound port is lost as unhealthy, and never announces one without a port', () => {
    const { registry, registrar } = setUp()
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    registrar.listenerState(application().id, { problem: 'taken by nginx' })
    expect(registry.registrations[0]!.registration.healthy).to.equal(false)
    registrar.put(application({ id: 'other', port: 8081 }), undefined)
    expect(registry.registrations).to.have.length(1)
    expect(registrar.views()[1]!.waitsFor).to.equal('an inbound port')
  })

  it('deregisters everything only when the host leaves', async () => {
    const { registry, registrar } = setUp()
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    await registrar.leave(1000)
    expect(registry.registrations[0]!.state).to.equal('deregistered')
    expect(registrar.views()).to.deep.equal([])
  })

  it('updates weight and metadata in place', () => {
    const { registry, registrar } = setUp()
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    registrar.listenerState(application().id, 'listening')
    registrar.put(application({ weight: 5, metadata: { version: 'v2' } }), 21_001)
    expect(registry.registrations).to.have.length(1)
    expect(registry.registrations[0]!.registration).to.deep.include({ weight: 5 })
    expect(registry.registrations[0]!.registration.metadata).to.include({
      version: 'v2',
      zone: 'z',
      'hostmesh.app-port': '8080',
    })
  })

  it('announces an application anew at once when the host has another address, and takes the old announcement back', () => {
    const first = setUp()
    first.registrar.setLeading(true)
    first.registrar.put(application(), 21_001)
    first.registrar.listenerState(application().id, 'listening')
    const kept = first.registrar.kept().map(({ application: one, announced }) => ({
      application: one,
      announced: { registry: 'main', registration: { ...announced!.registration, address: '10.0.0.4' } },
    }))
    const { registry, registrar } = setUp(kept)
    registrar.put(application(), 21_001)
    registrar.setLeading(true)
    expect(registry.registrations, 'not before its port listens at the new address').to.have.length(0)
    expect(registrar.kept(), 'what is still announced is not forgotten').to.deep.equal(kept)
    registrar.listenerState(application().id, 'listening')
    const seen = registry.registrations.map(({ registration, state }) => `${registration.address} ${state}`)
    expect(seen).to.deep.equal(['10.0.0.5 registered', '10.0.0.4 deregistered'])
    expect(registrar.kept()[0]!.announced!.registration.address).to.equal('10.0.0.5')
  })

  it('takes an announcement at a former address back, too, when the application is removed before it is announced anew', async () => {
    const former = {
      service,
      address: '10.0.0.4',
      port: 21_001,
      weight: 1,
      cluster: 'DEFAULT',
      healthy: true,
      enabled: true,
      metadata: {},
    }
    const { registry, registrar } = setUp([
      { application: application(), announced: { registry: 'main', registration: former } },
    ])
    registrar.setLeading(true)
    registrar.put(application(), 21_001)
    await registrar.remove(application().id)
    expect(registry.registrations.map(({ registration, state }) => `${registration.address} ${state}`)).to.deep.equal([
      '10.0.0.4 deregistered',
    ])
  })

  it('says that a registration fails, and why, when the registry cannot take it at all, and tries it again', () => {
    const { registry, registrar } = setUp()
    const takes = registry.register.bind(registry)
    registry.register = () => {
      throw new MeshError('E_CONFIG_INVALID', 'nothing can be announced there')
    }
    const { id } = application()
    registrar.put(application(), 21_001)
    registrar.setLeading(true)
    registrar.listenerState(id, 'listening')
    const problem = (): string | undefined => registrar.views()[0]!.registrationProblem
    expect(registrar.views()[0]).to.include({ state: 'failing', waitsFor: undefined })
    expect(problem()).to.contain('nothing can be announced there')
    registrar.setLeading(false)
    expect(registrar.views()[0]!.state).to.equal('not leading')
    registry.register = takes
    registrar.setLeading(true)
    expect([registrar.views()[0]!.state, problem()]).to.deep.equal(['registered', undefined])
  })

  it('says why the registry does not take a registration, in its own words', () => {
    const { registry, registrar } = setUp()
    const takes = registry.register.bind(registry)
    const problem = { code: 'E_REGISTRY_DENIED', message: 'refused with 403', at: 0 } as const
    registry.register = (one) => ({ ...takes(one), state: 'failing', problem })
    registrar.put(application(), 21_001)
    registrar.setLeading(true)
    registrar.listenerState(application().id, 'listening')
    expect(registrar.views()[0]).to.include({
      state: 'failing',
      registrationProblem: 'E_REGISTRY_DENIED  refused with 403',
    })
  })
})
