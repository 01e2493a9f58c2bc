import { expect } from 'chai'
import { endpointAt, endpointId } from '../../../../contracts/endpoint.ts'
import { HostTable } from '../../../../global-mesh-center/hosts/host-table.ts'
import { SilentHosts, type Place } from '../../../../global-mesh-center/hosts/silent-hosts.ts'
import { UnhealthyInstances, withUnhealthy } from '../../../../global-mesh-center/hosts/unhealthy-instances.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts'

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** So much time, looked at each second. */
function pass(clock: ManualClock, table: HostTable, ms: number): ReturnType<HostTable['look']> {
  const changes = []
  for (let passed = 0; passed < ms; passed += 1000) {
    clock.advance(Math.min(1000, ms - passed))
    changes.push(...table.look())
  }
  return changes
}

describe('which hosts are silent', () => {
  it('says so once, believes a first return at once and a host that comes and goes later and later', () => {
    const clock = manualClock()
    const table = new HostTable({ silentAfter: 10_000, forgetAfter: 100_000, maxHosts: 10 }, clock)
    const report = hostReport('a', '10.0.0.1')
    const silence = (): unknown => pass(clock, table, 10_000)
    /** Reports each second until it is believed: for so long. */
    const untilBelieved = (): number => {
      table.take(report)
      for (let seconds = 0; seconds < 100; seconds++) {
        table.look()
        if (table.get('a')!.state === 'reporting') return seconds
        clock.advance(1000)
        table.take(report)
      }
      return Number.NaN
    }
    table.take(report)
    expect(silence()).to.deep.equal([{ name: 'a', state: 'silent' }])
    expect(table.look(), 'told once').to.deep.equal([])
    expect(untilBelieved()).to.equal(0)
    const holds = [1, 2, 3, 4, 5, 6].map(() => {
      silence()
      return untilBelieved()
    })
    expect(holds).to.deep.equal([5, 10, 20, 40, 60, 60])
    expect(pass(clock, table, 100_000)).to.deep.equal([
      { name: 'a', state: 'silent' },
      { name: 'a', state: 'forgotten' },
    ])
  })

  it('gives hosts that an earlier center knew the time to report', () => {
    const clock = manualClock()
    const table = new HostTable({ silentAfter: 10_000, forgetAfter: 100_000, maxHosts: 10 }, clock)
    table.adopt([
      { report: hostReport('a', '10.0.0.1'), heardAt: 1, firstHeardAt: 1, isSilent: false },
      { report: hostReport('b', '10.0.0.2'), heardAt: 1, firstHeardAt: 1, isSilent: true },
    ])
    expect(table.get('b')?.state, 'as it was').to.equal('silent')
    expect(pass(clock, table, 9999)).to.deep.equal([])
    clock.advance(1)
    expect(table.look()).to.deep.equal([{ name: 'a', state: 'silent' }])
    expect(table.get('a')?.heardAt, 'when it was heard').to.equal(1)
  })
})

describe('a center that was held up itself', () => {
  it('calls nobody silent for that', () => {
    const clock = manualClock()
    const table = new HostTable({ silentAfter: 10_000, forgetAfter: 100_000, maxHosts: 10 }, clock)
    table.take(hostReport('a', '10.0.0.1'))
    expect(pass(clock, table, 6000)).to.deep.equal([])
    clock.advance(60_000)
    expect(table.look()).to.deep.equal([])
    expect(pass(clock, table, 3000)).to.deep.equal([])
    expect(pass(clock, table, 1000), 'six seconds before, and four after').to.deep.equal([
      { name: 'a', state: 'silent' },
    ])
  })
})

describe('instances of silent hosts', () => {
  const at = (host: number, port = 8080): Place => ({ address: `10.0.0.${host}`, port })

  function bench(instances: readonly Place[]) {
    const clock = manualClock()
    const unhealthy = new UnhealthyInstances()
    const probed: string[] = []
    const isDown = new Set<string>()
    const deps = {
      clock,
      unhealthy,
      instancesAt: (addresses: ReadonlySet<string>) => instances.filter(({ address }) => addresses.has(address)),
      connect: (place: Place) => {
        probed.push(endpointId(place))
        return isDown.has(endpointId(place)) ? Promise.reject(new Error('ECONNREFUSED')) : Promise.resolve()
      },
      onProbe: () => undefined,
    }
    const silent = new SilentHosts(deps)
    const turn = async (addresses: readonly string[], returning: readonly string[] = []): Promise<void> => {
      silent.look(new Set(addresses), new Set(returning))
      await settled()
      clock.advance(1000)
    }
    return { silent, unhealthy, probed, isDown, turn, deps }
  }

  it('are asked, those of reporting hosts never: two failures mark, one success takes it back', async () => {
    const { unhealthy, probed, isDown, turn } = bench([at(1), at(2)])
    isDown.add('10.0.0.1:8080')
    await turn([])
    expect(probed).to.deep.equal([])
    await turn(['10.0.0.1'])
    expect(unhealthy.all(), 'one failure').to.deep.equal([])
    await turn(['10.0.0.1'])
    expect(unhealthy.all()).to.deep.equal(['10.0.0.1:8080'])
    isDown.clear()
    for (let second = 0; second < 5; second++) await turn(['10.0.0.1'])
    expect(unhealthy.all()).to.deep.equal([])
    expect(new Set(probed)).to.deep.equal(new Set(['10.0.0.1:8080']))
  })

  it('of a dead machine that speaks for nobody stay as they are while it answers', async () => {
    const { unhealthy, probed, turn } = bench([at(1)])
    for (let second = 0; second < 11; second++) await turn(['10.0.0.1'])
    expect(unhealthy.size).to.equal(0)
    expect(probed, 'each five seconds').to.have.length(3)
  })

  it('are healthy as soon as their host is believed again, and not before', async () => {
    const { unhealthy, isDown, turn } = bench([at(1)])
    isDown.add('10.0.0.1:8080')
    for (let second = 0; second < 2; second++) await turn(['10.0.0.1'])
    await turn([], ['10.0.0.1'])
    expect(unhealthy.size, 'it comes and goes').to.equal(1)
    await turn([])
    expect(unhealthy.size).to.equal(0)
  })

  it('that an earlier center had marked stay marked until this one has looked', async () => {
    const { silent, unhealthy, turn } = bench([at(1)])
    silent.adopt([at(1), at(1, 9090)])
    expect(unhealthy.all()).to.deep.equal(['10.0.0.1:8080', '10.0.0.1:9090'])
    await turn(['10.0.0.1'])
    expect(unhealthy.all(), 'it answers, and nobody subscribed to the other').to.deep.equal(['10.0.0.1:9090'])
  })

  it('of many that are gone at once are told together', async () => {
    const many = Array.from({ length: 200 }, (_, index) => at(1, 1000 + index))
    const { unhealthy, isDown, turn } = bench(many)
    for (const place of many) isDown.add(endpointId(place))
    let changes = 0
    unhealthy.onChange(() => void changes++)
    await turn(['10.0.0.1'])
    await turn(['10.0.0.1'])
    expect([unhealthy.size, changes]).to.deep.equal([200, 1])
  })

  it('are asked 256 at a time', async () => {
    const many = Array.from({ length: 600 }, (_, index) => at(1, 1000 + index))
    const { silent, deps } = bench(many)
    let underWay = 0
    let most = 0
    deps.connect = () => {
      most = Math.max(most, ++underWay)
      return new Promise((resolve) =>
        setImmediate(() => {
          underWay--
          resolve()
        }),
      )
    }
    silent.look(new Set(['10.0.0.1']), new Set())
    await settled()
    expect(most).to.equal(256)
  })
})

describe('what subscribers are told of instances that do not answer', () => {
  const service = [1, 2, 3, 4].map((host) => endpointAt(`10.0.0.${host}`, 80))
  const unhealthy = (...hosts: readonly number[]): UnhealthyInstances => {
    const made = new UnhealthyInstances()
    made.replace(new Set(hosts.map((host) => `10.0.0.${host}:80`)))
    return made
  }
  const healthy = (...hosts: readonly number[]) =>
    withUnhealthy(service, unhealthy(...hosts), 0.3).endpoints.map((endpoint) => endpoint.healthy)

  it('is that they are unhealthy, down to the protected share', () => {
    expect(healthy(2)).to.deep.equal([true, false, true, true])
    expect(healthy(1, 2)).to.deep.equal([false, false, true, true])
    expect(healthy(1, 2, 3, 4), 'two of four, 30 % rounded up').to.deep.equal([false, false, true, true])
    expect(withUnhealthy(service, unhealthy(1, 2, 3, 4), 0.3).spared).to.equal(2)
  })

  it('is nothing where the registry itself left no more than the share', () => {
    const sick = service.map((endpoint, index) => ({ ...endpoint, healthy: index < 2 }))
    expect(withUnhealthy(sick, unhealthy(1, 2), 0.3)).to.deep.equal({ endpoints: sick, spared: 2 })
  })

  it('is the same list where nothing is unhealthy', () => {
    expect(withUnhealthy(service, unhealthy(9), 0.3).endpoints).to.equal(service)
  })
})
