import { expect } from 'chai'
import { endpointId, type EndpointSet, type ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { EndpointDirectory } from '../../../../../../agent/control/core/endpoints/directory.ts'
import {
  endpoint,
  fakeRegistry,
  recordingLog,
  recordingMetrics,
  type FakeRegistry,
} from '../../support/fake-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const name = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const key: ServiceKey = 'public/DEFAULT_GROUP@@orders'

function setUp(registries: FakeRegistry[] = [fakeRegistry()]) {
  const clock = manualClock()
  const log = recordingLog()
  const metrics = recordingMetrics()
  const changes: string[][] = []
  const answered: ServiceKey[] = []
  const directory = new EndpointDirectory({
    adapters: registries,
    rules: { allowLoopback: false, maxPerService: 1000, isOwnListener: () => false },
    staleAfterMs: 90_000,
    protect: { share: 0.3, confirmAfterMs: 60_000 },
    clock,
    log,
    metrics,
    timeline: { turn: () => undefined },
    onChange: (set) => void changes.push(ids(set)),
    onAnswered: (one) => void answered.push(one),
  })
  return { clock, log, metrics, changes, answered, directory, registry: registries[0]! }
}

const ids = (set: EndpointSet | undefined): string[] => set?.endpoints.map(endpointId) ?? []
const ten = Array.from({ length: 10 }, (_, index) => endpoint(`10.0.0.${index + 1}:80`))

describe('the endpoint directory', () => {
  it('publishes each change once, with a growing version, and no change for the same answer', () => {
    const { directory, registry, changes } = setUp()
    directory.want(key, name)
    registry.say(name, ten.slice(0, 2))
    const first = directory.view(key)!.set!
    registry.say(name, ten.slice(0, 2))
    expect(changes).to.have.length(1)
    registry.say(name, ten.slice(0, 3))
    expect(changes).to.have.length(2)
    expect(directory.view(key)!.set!.version).to.be.greaterThan(first.version)
  })

  it('never mixes two registries: the first that has an instance serves alone', () => {
    const [first, second] = [fakeRegistry('first'), fakeRegistry('second')]
    const { directory } = setUp([first, second])
    directory.want(key, name)
    second.say(name, [endpoint('10.1.0.1:80')])
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.1.0.1:80'])
    first.say(name, [endpoint('10.0.0.1:80')])
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.0.0.1:80'])
    expect(directory.view(key)!.set!.registry).to.equal('first')
    second.say(name, [endpoint('10.1.0.1:80'), endpoint('10.1.0.2:80')])
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.0.0.1:80'])
  })

  it('counts as answered when a registry has an instance or all have spoken', () => {
    const [first, second] = [fakeRegistry('first'), fakeRegistry('second')]
    const { directory, answered } = setUp([first, second])
    directory.want(key, name)
    second.say(name, [])
    expect(answered).to.deep.equal([])
    first.say(name, [])
    expect(answered).to.deep.equal([key])
  })

  it('takes an answer about a service that the registry cannot have for no sign of life of it', () => {
    const { answered, directory, log, metrics, registry, clock } = setUp()
    const foreign = { ...name, group: 'OTHER' }
    directory.want(key, name)
    directory.want('public/OTHER@@orders', foreign)
    registry.say(name, ten)
    registry.goAway()
    registry.say(foreign, [], { isForeign: true })
    expect(answered).to.deep.equal([key, 'public/OTHER@@orders'])
    expect(directory.problemOf('main')?.message).to.equal('no answer')
    expect(log.lines.filter(({ message }) => message.includes('answers again'))).to.deep.equal([])
    clock.advance(90_000)
    expect(metrics.total('registry_stalenesses')).to.equal(1)
    registry.say(name, ten)
    expect(directory.problemOf('main')).to.equal(undefined)
  })

  it('holds an empty answer back, and takes it when the registry says it again later', () => {
    const { directory, registry, clock, log, metrics } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, [])
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    expect(directory.heldBack()).to.deep.equal([key])
    registry.say(name, [])
    expect(ids(directory.view(key)!.set), 'an echo at once is no confirmation').to.have.length(10)
    clock.advance(5000)
    registry.say(name, [])
    expect(ids(directory.view(key)!.set)).to.deep.equal([])
    expect(metrics.total('registry_updates_held')).to.equal(1)
    expect(log.lines.filter((line) => line.message.includes('went from 10 to 0 endpoints'))).to.have.length(1)
  })

  it('names what it holds back, so that workers use it last, and no more when the registry names it again', () => {
    const { directory, registry } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    expect(directory.view(key)!.set!.held).to.equal(undefined)
    registry.say(name, ten.slice(0, 2))
    const held = directory.view(key)!.set!
    expect(held.held).to.deep.equal(ids(held).filter((id) => !['10.0.0.1:80', '10.0.0.2:80'].includes(id)))
    expect(held.held).to.have.length(8)
    registry.say(name, ten)
    expect(directory.view(key)!.set!.held).to.equal(undefined)
  })

  it('believes at once what the adapter asked for again', () => {
    const { directory, registry, changes } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, [])
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    registry.say(name, [], { isConfirmed: true })
    expect(directory.view(key)!.set!.held).to.equal(undefined)
    expect(ids(directory.view(key)!.set)).to.deep.equal([])
    registry.say(name, ten)
    registry.say(name, ten.slice(0, 1), { isConfirmed: true })
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.0.0.1:80'])
    expect(directory.heldBack()).to.deep.equal([])
    expect(changes).to.have.length(5)
  })

  it('passes on what the adapter itself keeps, and shows the service as held back', () => {
    const { directory, registry } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, ten, { held: ['10.0.0.3:80', '192.0.2.1:1'] })
    expect(directory.view(key)!.set!.held, 'only what is in the set').to.deep.equal(['10.0.0.3:80'])
    expect(directory.heldBack()).to.deep.equal([key])
    registry.say(name, ten)
    expect(directory.heldBack()).to.deep.equal([])
  })

  it('takes a held-back answer after the bound when nothing else was heard', () => {
    const { directory, registry, clock } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, ten.slice(0, 2))
    clock.advance(59_999)
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    clock.advance(1)
    expect(ids(directory.view(key)!.set)).to.have.length(2)
  })

  it('never takes a held-back answer while its registry is away', () => {
    const { directory, registry, clock } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, [])
    registry.goAway()
    clock.advance(600_000)
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    registry.comeBack()
    registry.say(name, ten)
    expect(directory.heldBack()).to.deep.equal([])
  })

  it('takes new and changed endpoints of a held-back answer in at once', () => {
    const { directory, registry } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, [endpoint('10.0.0.1:80', { weight: 5 }), endpoint('10.9.9.9:80')])
    const set = directory.view(key)!.set!
    expect(ids(set)).to.have.length(11)
    expect(set.endpoints.find((one) => one.address === '10.0.0.1')?.weight).to.equal(5)
  })

  it('lets a service shrink step by step down to the protected share', () => {
    const { directory, registry } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    registry.say(name, ten.slice(0, 3))
    expect(ids(directory.view(key)!.set)).to.have.length(3)
    registry.say(name, ten.slice(0, 1))
    expect(ids(directory.view(key)!.set)).to.have.length(1)
  })

  it('serves what was restored from disk until the registry speaks, and protects it against an empty registry', () => {
    const { directory, registry } = setUp()
    const restored: EndpointSet = {
      service: key,
      version: 7,
      endpoints: ten,
      protectThreshold: 0,
      registry: 'main',
      confirmedAt: 5,
    }
    directory.want(key, name, restored)
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    expect(directory.view(key)!.isAnswered).to.equal(false)
    registry.say(name, [])
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    registry.say(name, ten.slice(0, 9))
    expect(ids(directory.view(key)!.set)).to.have.length(9)
  })

  it('serves nothing from disk of a registry that is no longer configured', () => {
    const { directory } = setUp()
    directory.want(key, name, {
      service: key,
      version: 7,
      endpoints: ten,
      protectThreshold: 0,
      registry: 'former',
      confirmedAt: 5,
    })
    expect(directory.view(key)!.set).to.equal(undefined)
  })

  it('keeps the last good endpoints when the registry goes away, and says so once', () => {
    const { directory, registry, log } = setUp()
    directory.want(key, name)
    directory.want('public/DEFAULT_GROUP@@ledger', { ...name, name: 'ledger' })
    registry.say(name, ten)
    registry.goAway()
    registry.goAway()
    expect(ids(directory.view(key)!.set)).to.have.length(10)
    expect(log.lines.filter((line) => line.message.includes('last good endpoints'))).to.have.length(1)
  })

  it('reports a registry that stays away as stale, once per loss, and a short loss not at all', () => {
    const { directory, registry, clock, log } = setUp()
    const stale = (): number => log.lines.filter((line) => line.message.includes('not heard for 90000 ms')).length
    directory.want(key, name)
    directory.want('public/DEFAULT_GROUP@@ledger', { ...name, name: 'ledger' })
    registry.say(name, ten)
    registry.goAway()
    clock.advance(89_000)
    registry.comeBack()
    registry.say(name, ten)
    clock.advance(10_000)
    expect(stale()).to.equal(0)
    registry.goAway()
    clock.advance(600_000)
    expect(stale()).to.equal(1)
    expect(ids(directory.view(key)!.set)).to.have.length(10)
  })

  it('logs a refused endpoint once and counts it each time', () => {
    const { directory, registry, log, metrics } = setUp()
    directory.want(key, name)
    for (let index = 0; index < 3; index++) registry.say(name, [...ten, endpoint('127.0.0.1:80')])
    expect(log.lines.filter((line) => line.message.includes('127.0.0.1:80'))).to.have.length(1)
    expect(metrics.total('registry_endpoints_refused')).to.equal(3)
  })

  it('serves a declared service from its declaration alone', () => {
    const { directory, registry } = setUp()
    directory.want(key, name)
    registry.say(name, ten)
    directory.declare(key, {
      service: key,
      version: 1,
      endpoints: [endpoint('10.7.0.1:80')],
      protectThreshold: 0,
      registry: 'rules',
      confirmedAt: 0,
    })
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.7.0.1:80'])
    directory.declare(key, undefined)
    expect(ids(directory.view(key)!.set)).to.have.length(10)
  })

  it('refuses of a declared service what it refuses of a registry', () => {
    const { directory, metrics, log } = setUp([])
    directory.want(key, name)
    const addresses = ['10.0.0.1', '127.0.0.1', '169.254.169.254', 'fd00:ec2::254', '::ffff:100.100.100.200']
    directory.declare(key, {
      service: key,
      version: 1,
      endpoints: addresses.map((address) => ({ ...endpoint('10.0.0.1:80'), address })),
      protectThreshold: 0,
      registry: 'rules',
      confirmedAt: 0,
    })
    expect(ids(directory.view(key)!.set)).to.deep.equal(['10.0.0.1:80'])
    expect(metrics.total('registry_endpoints_refused')).to.equal(4)
    expect(
      log.lines.filter((line) => /of rules is refused \((?:loopback|link-local|metadata-service)\)/.test(line.message)),
    ).to.have.length(4)
  })

  it('hears nothing of a service after it was released', () => {
    const { directory, registry, changes } = setUp()
    directory.want(key, name)
    directory.release(key)
    expect(registry.subscribers(name)).to.equal(0)
    registry.say(name, ten)
    expect(changes).to.deep.equal([])
  })
})
