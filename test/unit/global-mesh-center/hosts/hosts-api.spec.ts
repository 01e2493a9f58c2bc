import { expect } from 'chai'
import { hostsPath, type HostReport } from '../../../../contracts/host-report.ts'
import { HostTable } from '../../../../global-mesh-center/hosts/host-table.ts'
import { HostsApi } from '../../../../global-mesh-center/hosts/hosts-api.ts'
import { openApiBench, tokens, type Answer } from '../../../support/center/api-bench.ts'
import { hostReport } from '../../../support/center/host-report.ts'
import { manualClock } from '../../../support/manual-clock.ts'

describe('reports of hosts at the API of a center', () => {
  let bench: Awaited<ReturnType<typeof openApiBench>>
  let table: HostTable
  let refusals: string[]
  beforeEach(async () => {
    table = new HostTable({ silentAfter: 10_000, forgetAfter: 60_000, maxHosts: 2 }, manualClock())
    refusals = []
    const view = (name: string) => {
      const known = table.get(name)
      return known === undefined ? undefined : { ...known, host: name, unhealthyInstances: [] }
    }
    bench = await openApiBench([
      new HostsApi({
        take: (report) => {
          table.take(report)
          return {}
        },
        views: () => table.all().map(({ name }) => view(name)!),
        view,
        forget: (name) => table.forget(name),
        onRefused: (reason) => refusals.push(reason),
      }),
    ])
  })
  afterEach(() => bench.close())

  const as = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
  const put = (name: string, report: object | string, token: string = tokens.host): Promise<Answer> =>
    bench.call('PUT', `${hostsPath}/${name}`, report, as(token))
  const own = hostReport('web-1', '10.0.0.7')

  it('takes the report of a host by its own token, and shows it to those who may read', async () => {
    expect((await put('web-1', own)).status).to.equal(200)
    const list = await bench.call('GET', hostsPath, undefined, as(tokens.reader))
    expect(list.body.items.map(({ metadata }) => metadata['name'])).to.deep.equal(['web-1'])
    const one = await bench.call('GET', `${hostsPath}/web-1`)
    expect((one.body.status as unknown as { report: HostReport }).report).to.deep.equal(own)
    expect((await bench.call('GET', hostsPath, undefined, as(tokens.shop))).status, 'one namespace').to.equal(403)
    expect((await bench.call('GET', hostsPath, undefined, as(tokens.host))).status, 'a host').to.equal(403)
  })

  it('takes that of a newer agent, without what this version does not know', async () => {
    const row = { reporter: 'source', source: 'a', service: 'b', requests: 1, failures: 0, counts: [1] } as const
    const newer = { ...own, traffic: [{ ...row, bytes: 7 }], news: { of: 'later' }, tier: { ...own.tier, other: 1 } }
    expect((await put('web-1', newer)).status).to.equal(200)
    expect(table.get('web-1')!.report).to.deep.equal({ ...own, traffic: [row] })
  })

  it('takes what it says of rules that were asked about', async () => {
    const asked = [{ rule: 'VirtualService shop/orders', version: 'a1', state: 'applied' }]
    const answer = { ...own, rules: { ...own.rules, asked } }
    expect((await put('web-1', answer)).status).to.equal(200)
    expect(table.get('web-1')!.report.rules.asked).to.deep.equal(asked)
    const many = Array.from({ length: 17 }, () => asked[0])
    expect((await put('web-1', { ...own, rules: { ...own.rules, asked: many } })).status).to.equal(422)
  })

  it('keeps nothing that the terminal of an operator would obey', async () => {
    const cause = 'gone\u001b]0;title\u0007\nok'
    const lastRestart = { kind: 'hot', outcome: 'failed', generation: 2, cause, at: 1, servingMs: -1 }
    const odd = { ...own, version: '1\u001b[2J', problems: [cause], lastRestart }
    expect((await put('web-1', odd)).status).to.equal(200)
    const { report } = table.get('web-1')!
    expect(report.problems).to.deep.equal(['gone ]0;title ok'])
    expect([report.version, report.lastRestart!.cause]).to.deep.equal(['1 [2J', 'gone ]0;title ok'])
  })

  it('refuses whoever reports for another host, and says so to the operator', async () => {
    expect((await put('web-2', hostReport('web-2', '10.0.0.8'))).status).to.equal(403)
    expect((await put('web-1', hostReport('web-2', '10.0.0.8'))).body.message).to.contain('found web-2, allowed web-1')
    expect((await put('web-1', own, tokens.shop)).status).to.equal(403)
    expect((await put('web-1', own, 'x'.repeat(32))).status).to.equal(401)
    expect(table.size, 'nothing was taken').to.equal(0)
    expect(refusals).to.have.length(3)
  })

  it('refuses a report of 10 MiB, one over the bound and one that makes no sense; the last good one stays', async () => {
    await put('web-1', own)
    expect((await put('web-1', 'x'.repeat(10 * 1024 * 1024))).status).to.equal(413)
    const long = await put('web-1', JSON.stringify(own) + ' '.repeat(300_000))
    expect(long.body.message).to.contain('allowed 262144')
    const wrong = await put('web-1', { ...own, generation: -1, more: true, traffic: [{ reporter: 'nobody' }] })
    expect(wrong.status).to.equal(422)
    expect(wrong.body.details.causes.map(({ field }) => field)).to.include.members(['generation', 'traffic'])
    expect((await put('web-1', '{')).status).to.equal(400)
    expect(table.get('web-1')?.report).to.deep.equal(own)
    expect((await put('web-1', own)).status, 'the next one').to.equal(200)
  })

  it('keeps no more hosts than it may, and forgets one on the word of an admin', async () => {
    for (const name of ['a', 'b']) await put(name, hostReport(name, '10.0.0.1'), tokens.admin)
    const third = await put('web-1', own)
    expect(third.status).to.equal(507)
    expect(third.body.message).to.contain('2 hosts are kept, which is the bound')
    const forget = (token: string) => bench.call('DELETE', `${hostsPath}/a`, undefined, as(token))
    expect((await forget(tokens.reader)).status).to.equal(403)
    expect((await forget(tokens.admin)).status).to.equal(200)
    expect((await forget(tokens.admin)).status).to.equal(404)
    expect((await put('web-1', own)).status).to.equal(200)
  })

  it('lets a host neither read nor write rules', async () => {
    const path = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices'
    expect((await bench.call('GET', path, undefined, as(tokens.host))).status).to.equal(403)
    expect((await bench.call('DELETE', `${path}/orders`, undefined, as(tokens.host))).status).to.equal(403)
  })

  it('is found by kubectl', async () => {
    const found = await bench.call('GET', '/apis/hostmesh.io/v1')
    const names = (found.body as unknown as { resources: { name: string }[] }).resources.map(({ name }) => name)
    expect(names).to.include.members(['hosts', 'meshpolicies'])
  })
})
