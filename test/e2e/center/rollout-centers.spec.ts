/** Roll-outs over the centers that watch them: one that dies in the middle, and one to which no host reports. */
import { expect } from 'chai'
import { ReportingFleet } from '../../support/center/reporting-fleet.ts'
import { needsEtcd, startEtcd, type EtcdServer } from '../../support/etcd/server.ts'
import { type DemoHost, until } from '../../support/mesh/mesh.ts'

interface Status {
  readonly state: string
  readonly reason: string
  readonly hosts: readonly string[]
  readonly share?: { readonly requests: number }
}

const rolledOut = { headers: { response: { set: { 'x-rolled': 'out' } } } }

describe('a guarded roll-out', function () {
  this.timeout(400_000)
  let fleet: ReportingFleet | undefined
  let etcd: EtcdServer | undefined

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(fleet?.mesh.report())
    await fleet?.close()
    await etcd?.stop()
    fleet = undefined
    etcd = undefined
  })

  /** undefined = the center does not answer, or knows of none. */
  async function seen(center: DemoHost): Promise<Status | undefined> {
    const text = await fleet!.hostmesh(['rollout', 'list'], center)
    try {
      return (JSON.parse(text) as { status: Status }[])[0]?.status
    } catch {
      return undefined
    }
  }
  const start = async (rule: object, ...words: string[]): Promise<Status> => {
    const text = await fleet!.hostmesh(['rollout', 'start', fleet!.rule(rule), ...words])
    return (JSON.parse(text) as { status: Status }).status
  }
  const hasIt = async (name: string): Promise<boolean> => (await fleet!.ask(name))?.headers['x-rolled'] === 'out'

  it('whose center is killed in the middle is judged by what came since', async () => {
    fleet = await ReportingFleet.open()
    const { center } = fleet
    const {
      hosts: [host],
    } = await start(rolledOut, '--percent', '34', '--observe', '20s')
    const { counts } = fleet.calls.get(host!)!
    await until(60_000, 'calls of its share', async () => {
      return counts.calls > 500 && ((await seen(center))?.share?.requests ?? 0) > 100
    })
    const before = counts.calls
    await center.signal('generation', 'SIGKILL')
    await until(120_000, 'the roll-out goes on', async () => (await seen(center))?.state === 'running')
    await until(120_000, 'it is done', async () => (await seen(center))?.state === 'done')
    const since = counts.calls - before
    const { reason } = (await seen(center))!
    const judged = Number(/^0\.0 % of (\d+) requests of 1 hosts failed/.exec(reason)?.[1])
    expect(judged, `${reason}; ${before} calls before, ${since} since`).to.be.within(100, since + 50)
    for (const name of fleet.names) await until(60_000, `${name} has it`, () => hasIt(name))
  })

  it('is left alone by a second center of its store, to which no host reports', async function () {
    await needsEtcd(this)
    this.timeout(400_000)
    etcd = await startEtcd()
    const store = { type: 'etcd', servers: [`127.0.0.1:${etcd.port}`] }
    fleet = await ReportingFleet.open(store)
    const other = await fleet.startCenter('other', fleet.mesh.address(), store)
    await start(rolledOut, '--percent', '34', '--observe', '15s')
    await until(60_000, 'the other center knows of it', async () => (await seen(other)) !== undefined)
    await until(120_000, 'it is over', async () => (await seen(other))?.state !== 'running')
    expect(await seen(other)).to.deep.include({ state: 'done' })
    for (const name of fleet.names) await until(60_000, `${name} has it`, () => hasIt(name))
  })
})
