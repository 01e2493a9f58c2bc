import { expect } from 'chai'
import { HostsPart, type HostsPartDeps } from '../../../../global-mesh-center/hosts/hosts-part.ts'
import { UnhealthyInstances } from '../../../../global-mesh-center/hosts/unhealthy-instances.ts'
import type { ApiRequest } from '../../../../agent/control/rules-api/api-section.ts'
import { CallWindow } from '../../../../agent/control/admin/console/call-window.ts'
import { Timeline } from '../../../../agent/control/events/timeline.ts'
import { hostsPath, type HostReport } from '../../../../contracts/host-report.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts'

describe('hosts of a center', () => {
  let clock: ManualClock
  let looks: number
  let timeline: Timeline
  let dropped: number
  beforeEach(() => {
    clock = manualClock()
    looks = 0
    dropped = 0
    const count = (name: string): void => void (name === 'events_dropped' && dropped++)
    const quiet = (): void => undefined
    timeline = new Timeline({ clock, metrics: { count, gauge: quiet }, onChanged: quiet })
    timeline.takeOver(undefined)
  })
  const told = (): string[] => timeline.query().events.map(({ about, what }) => `${about} ${what}`)

  function made(kept?: object): HostsPart {
    const quiet = (): void => undefined
    return new HostsPart({
      clock,
      config: { hosts: { silentAfter: 10_000, forgetAfter: 60_000, maxHosts: 1000, probeTimeout: 1000 } },
      control: {
        state: { keep: quiet, changed: quiet, read: () => kept },
        timeline,
      },
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      metrics: { count: quiet, gauge: quiet, clear: () => void looks++ },
      unhealthy: new UnhealthyInstances(),
      instancesAt: () => [],
      onReport: () => ({}),
    } as unknown as HostsPartDeps)
  }
  const put = (part: HostsPart, host: string, change: Partial<HostReport> = {}): Promise<unknown> =>
    part.api.answer({
      method: 'PUT',
      path: `${hostsPath}/${host}`,
      query: new URLSearchParams(),
      contentType: 'application/json',
      userAgent: '',
      body: JSON.stringify(hostReport(host, '10.0.0.1', change)),
      user: { name: 'root', role: 'admin', namespaces: undefined },
      from: '10.0.0.1',
    } satisfies ApiRequest)

  it('that an earlier center knew have no counters before they report: what follows would pass for new', async () => {
    const kept = { report: hostReport('a', '10.0.0.1'), heardAt: 1, firstHeardAt: 1, isSilent: false }
    const part = made({ hosts: [kept], unhealthy: [] })
    await part.open()
    const window = new CallWindow()
    const look = () => {
      const hosts = part.traffic().map(({ host, traffic }) => {
        const rows = () => traffic.map((one) => ({ ...one, target: one.service, tier: 'agent' }))
        return { host, identity: traffic, bounds: [], rows }
      })
      return window.look(hosts, clock.monotonic())
    }
    look()
    clock.advance(10_000)
    const row = { reporter: 'source', source: 'web', service: 'public/orders', failures: 0 } as const
    await put(part, 'a', { traffic: [{ ...row, requests: 1_000_000, counts: [1_000_000] }] })
    expect(part.hosts().map(({ isHeardHere }) => isHeardHere)).to.deep.equal([true])
    expect(look().edges.map(({ rate }) => rate)).to.deep.equal([0])
    clock.advance(10_000)
    await put(part, 'a', { traffic: [{ ...row, requests: 1_000_100, counts: [1_000_100] }] })
    expect(look().edges.map(({ rate }) => rate)).to.deep.equal([5])
    await part.close()
  })

  it('that come all at once are looked at together', async () => {
    const part = made()
    await part.open()
    looks = 0
    for (let host = 0; host < 200; host++) await put(part, `h${host}`)
    clock.advance(100)
    expect(part.hosts()).to.have.length(200)
    expect(looks).to.equal(1)
    await part.close()
  })

  it('that fall silent and come back all at once are told of in one event each, with their names', async () => {
    const part = made()
    await part.open()
    for (let host = 0; host < 200; host++) await put(part, `h${host}`)
    for (let second = 0; second < 12; second++) clock.advance(1000)
    for (let host = 0; host < 200; host++) await put(part, `h${host}`)
    clock.advance(1000)
    expect(told()).to.deep.equal(['200 hosts joined', '200 hosts silent', '200 hosts back'])
    const [, silent] = timeline.query().events
    expect(silent!.severity).to.equal('warning')
    expect(silent!.message).to.match(/^h0, h1, h2, .*, h\d+ and \d+ more$/)
    await part.close()
  })

  it('that come and go for as long as one looks fit into the timeline, whether they are few or many', async () => {
    const part = made()
    await part.open()
    for (let host = 0; host < 400; host++) {
      await put(part, `h${host}`)
      clock.advance(host % 2 === 0 ? 10 : 190)
    }
    clock.advance(1000)
    expect(dropped).to.equal(0)
    const joined = timeline.query().events.filter(({ what }) => what === 'joined')
    const sums = joined.map(({ about }) => Number(/^(\d+) hosts$/.exec(about)?.[1] ?? 1))
    expect(sums.reduce((sum, some) => sum + some, 0)).to.equal(400)
    await part.close()
  })

  it('that come and go one by one are told of by name', async () => {
    const part = made()
    await part.open()
    await put(part, 'h7')
    for (let second = 0; second < 12; second++) clock.advance(1000)
    await put(part, 'h7')
    await part.close()
    expect(told()).to.deep.equal(['h7 joined', 'h7 silent', 'h7 back'])
  })
})
