/** A rule for one of three hosts first: taken back when it fails calls there, taken up when it does not. */
import { expect } from 'chai'
import { ReportingFleet } from '../../support/center/reporting-fleet.ts'
import { until } from '../../support/mesh/mesh.ts'

interface Rollout {
  readonly status: { readonly state: string; readonly reason: string; readonly hosts: readonly string[] }
}

describe('a guarded roll-out', function () {
  this.timeout(180_000)
  let fleet: ReportingFleet

  const hostmesh = (...words: string[]): Promise<string> => fleet.hostmesh(['rollout', ...words])
  const rollouts = async (): Promise<Rollout['status'][]> =>
    (JSON.parse(await hostmesh('list')) as Rollout[]).map(({ status }) => status)

  before(async () => {
    fleet = await ReportingFleet.open()
  })
  after(() => fleet?.close())

  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return
    console.log(await hostmesh('list'))
    console.log(fleet.mesh.report())
  })

  it('takes a rule back within 30 s that makes 5 % of the calls fail, having touched its share alone', async () => {
    const fault = { abort: { httpStatus: 503, percentage: { value: 5 } } }
    const started = JSON.parse(await hostmesh('start', fleet.rule({ fault }), '--label', 'ring=canary')) as Rollout
    expect(started.status.hosts).to.deep.equal(['h1'])
    const ms = await until(30_000, 'it is taken back', async () => (await rollouts())[0]?.state === 'reverted')
    const [{ reason } = { reason: '' }] = await rollouts()
    expect(reason).to.match(/^\d\.\d % of \d+ requests of 1 hosts failed, 0\.0 % of \d+ elsewhere; 2\.0 % more/)
    const seen = fleet.failedAt('h1')
    expect(seen).to.be.greaterThan(0)
    expect([fleet.failedAt('h2'), fleet.failedAt('h3')], 'of the others').to.deep.equal([0, 0])
    console.info(`      taken back after ${Math.round(ms)} ms, ${seen} calls failed: ${reason}`)
    await until(20_000, 'its host has what all have', async () => {
      const { text } = await fleet.agents.get('h1')!.admin.get('/rules?format=json')
      return !text.includes('VirtualService')
    })
  })

  it('gives a rule to all that makes no difference to its share', async () => {
    const headers = { response: { set: { 'x-rolled': 'out' } } }
    // looked at for longer than the next steps take, also where each of them is slow
    const started = JSON.parse(
      await hostmesh('start', fleet.rule({ headers }), '--percent', '34', '--observe', '12s'),
    ) as Rollout
    const share = started.status.hosts
    const has = async (name: string): Promise<boolean> => (await fleet.ask(name))?.headers['x-rolled'] === 'out'
    await until(10_000, 'its share has it', () => has(share[0]!))
    for (const name of fleet.names) expect(await has(name), name).to.equal(share.includes(name))
    await until(60_000, 'it is done', async () => (await rollouts())[0]?.state === 'done')
    for (const name of fleet.names) await until(20_000, `${name} has it`, () => has(name))
    expect([fleet.failedAt('h2'), fleet.failedAt('h3')], 'no call failed').to.deep.equal([0, 0])
  })
})
