/** A rule that is evaluated on the live traffic of a host, or of all hosts of a center, and touches none of it. */
import { expect } from 'chai'
import type { DryRunView } from '../../../contracts/dry-run.ts'
import { ReportingFleet } from '../../support/center/reporting-fleet.ts'
import { until } from '../../support/mesh/mesh.ts'

describe('a dry run against live traffic', function () {
  this.timeout(180_000)
  let fleet: ReportingFleet

  before(async () => {
    fleet = await ReportingFleet.open()
  })
  after(() => fleet?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(fleet.mesh.report())
  })

  const dryRun = async (words: readonly string[], at?: string): Promise<DryRunView> => {
    const host = at === undefined ? fleet.center : fleet.agents.get(at)!
    const said = await fleet.hostmesh(['rules', 'dry-run', ...words], host)
    if (!said.includes('"figures"')) throw new Error(said.replaceAll('\n', ' '))
    return JSON.parse(said) as DryRunView
  }
  const refusal = (words: readonly string[], at?: string): Promise<string> =>
    dryRun(words, at).then(
      () => 'none',
      (error: Error) => error.message,
    )
  const nobodyNoticed = (): void => {
    expect(fleet.names.map((name) => fleet.failedAt(name))).to.deep.equal([0, 0, 0])
  }

  it('says on a host what requests would be refused, with an example, and refuses none', async () => {
    const fault = { abort: { httpStatus: 503, percentage: { value: 100 } } }
    const { state, figures, hosts } = await dryRun([fleet.rule({ fault }), '--share', '50%', '--for', '3s'], 'h1')
    expect([state, hosts[0]!.host, hosts[0]!.problem]).to.deep.equal(['over', 'h1', ''])
    expect(figures.evaluated).to.be.greaterThan(10)
    expect(figures).to.include({ different: figures.evaluated, failed: 0, undecided: 0 })
    const [refused] = figures.differences.filter(({ kind }) => kind === 'refused')
    expect(refused).to.include({ then: '503 E_FAULT_INJECTED', example: 'GET /', requests: figures.evaluated })
    nobodyNoticed()
    const { text } = await fleet.agents.get('h1')!.admin.get('/rules?format=json')
    expect(text, 'it is no rule of this host').not.to.include('VirtualService')
  })

  it('knows who serves where nobody here has called so far', async () => {
    const { figures } = await dryRun([fleet.rule({}, 'billing'), '--share', '100', '--for', '2s'], 'h2')
    const kinds = figures.differences.filter(({ kind }) => kind !== 'retries').map(({ kind, then }) => [kind, then])
    expect(kinds).to.deep.equal([['destination', 'public/DEFAULT_GROUP@@billing']])
    nobodyNoticed()
  })

  it('is asked of all hosts by a center, which adds up what they found and names no paths', async () => {
    const { state, figures, hosts } = await dryRun([fleet.rule({ timeout: '7s' }), '--share', '20%', '--for', '6s'])
    expect(state).to.equal('over')
    expect(hosts.map(({ host, state: each }) => [host, each])).to.deep.equal(fleet.names.map((name) => [name, 'over']))
    for (const { host, evaluated } of hosts) expect(evaluated, host).to.be.greaterThan(0)
    expect(figures.evaluated).to.equal(hosts.reduce((sum, { evaluated }) => sum + evaluated, 0))
    const row = figures.differences.find(({ kind }) => kind === 'timeout')
    expect(row).to.include({ then: '7000 ms', requests: figures.evaluated, example: '' })
    nobodyNoticed()
    await until(20_000, 'its end on the timeline', async () => {
      const { text } = await fleet.center.admin.get('/events?kind=rule&format=json')
      return text.includes('"dry-run"') && text.includes('"dry-run-over"')
    })
  })

  it('is refused with the reason: a broken rule, one that changes nothing here, one beside another one', async () => {
    const broken = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a' }, spec: {} }
    expect(await refusal([fleet.file(broken)], 'h1')).to.include('found neither http nor tcp')
    expect(await refusal([fleet.file(broken)])).to.include('found neither http nor tcp')
    const other = { ...broken, spec: { hosts: ['nobody'], http: [{ route: [{ destination: { host: 'nobody' } }] }] } }
    expect(await refusal([fleet.file(other), '--for', '2s'], 'h1')).to.include('nothing would be otherwise')
    expect(await refusal([fleet.file(other), '--for', '2h'], 'h1')).to.include('found 7200000, allowed 1000 to 3600000')
    const long = dryRun([fleet.rule({ timeout: '8s' }), '--for', '30s'], 'h3')
    await until(25_000, 'it is under way', async () => {
      const { text } = await fleet.agents.get('h3')!.admin.get('/rules/dry-run')
      return text.includes('"running"')
    })
    expect(await refusal([fleet.rule({ timeout: '9s' })], 'h3')).to.include('is under way')
    await fleet.agents.get('h3')!.admin.post('/rules/dry-run/stop')
    expect((await long).state).to.equal('over')
  })
})
