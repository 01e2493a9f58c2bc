import { expect } from 'chai'
import { HostsPart, type HostsPartDeps } from '../../../../global-mesh-center/hosts/hosts-part.ts'
import { UnhealthyInstances } from '../../../../global-mesh-center/hosts/unhealthy-instances.ts'
import type { ApiRequest } from '../../../../agent/control/rules-api/api-section.ts'
import type { Fact } from '../../../../agent/control/events/timeline.ts'
import { hostsPath } from '../../../../contracts/host-report.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock } from '../../../support/manual-clock.ts'

describe('hosts that come back all at once', () => {
  it('are looked at together, and the timeline tells of each', async () => {
    const clock = manualClock()
    const quiet = (): void => undefined
    let looks = 0
    const told: string[] = []
    const part = new HostsPart({
      clock,
      config: { hosts: { silentAfter: 10_000, forgetAfter: 60_000, maxHosts: 1000, probeTimeout: 1000 } },
      control: {
        state: { keep: quiet, changed: quiet, read: () => undefined },
        timeline: { add: ({ what, about }: Fact) => told.push(`${about} ${what}`) },
      },
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      metrics: { count: quiet, gauge: quiet, clear: () => void looks++ },
      unhealthy: new UnhealthyInstances(),
      instancesAt: () => [],
      onReport: () => ({}),
    } as unknown as HostsPartDeps)
    const user = { name: 'root', role: 'admin', namespaces: undefined } as const
    const put = (host: string): Promise<unknown> =>
      part.api.answer({
        method: 'PUT',
        path: `${hostsPath}/${host}`,
        query: new URLSearchParams(),
        contentType: 'application/json',
        userAgent: '',
        body: JSON.stringify(hostReport(host, '10.0.0.1')),
        user,
        from: '10.0.0.1',
      } satisfies ApiRequest)
    await part.open()
    looks = 0
    for (let host = 0; host < 200; host++) await put(`h${host}`)
    clock.advance(100)
    expect(part.hosts()).to.have.length(200)
    expect(looks).to.equal(1)
    clock.advance(11_000)
    await put('h7')
    expect(told.filter((one) => one.startsWith('h7 '))).to.deep.equal(['h7 joined', 'h7 silent', 'h7 back'])
    await part.close()
  })
})
