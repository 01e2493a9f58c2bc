import { expect } from 'chai'
import { HostDryRun } from '../../../../../agent/control/dry-run/host-dry-run.ts'
import type { AdminRequest } from '../../../../../agent/control/admin/http.ts'
import type { WorkerQuestion } from '../../../../../contracts/control-link.ts'
import { noFigures, type CandidateRules, type DryRunAnswer } from '../../../../../contracts/dry-run.ts'
import type { FakeWorker } from '../../../../support/control/fake-worker.ts'
import { manualClock, type ManualClock } from '../../../../support/manual-clock.ts'
import { orders, ordersRoutes, resource } from '../../../../support/routing.ts'
import { openBench, type Bench } from '../support/control-bench.ts'

const rule = (timeout: string): string =>
  ordersRoutes(`- timeout: ${timeout}\n  route: [{ destination: { host: orders } }]`)

/** A worker that evaluates three requests between two questions. */
class TryingWorker {
  readonly begun: CandidateRules[] = []
  private evaluated = 0
  private isOver = true

  constructor(worker: FakeWorker) {
    worker.answer = (question: WorkerQuestion): DryRunAnswer | object => {
      if (question.kind === 'begin-dry-run') {
        this.begun.push(question.candidate)
        this.evaluated = 0
        this.isOver = false
      } else if (question.kind === 'dry-run') this.evaluated += this.isOver ? 0 : 3
      else if (question.kind === 'end-dry-run') this.isOver = true
      else return {}
      const figures = { ...noFigures, evaluated: this.evaluated, different: this.evaluated }
      return { id: this.begun.at(-1)?.id ?? '', figures, isOver: this.isOver }
    }
  }
}

describe('the dry run of a host', () => {
  let bench: Bench
  let clock: ManualClock
  let dryRun: HostDryRun
  let worker: FakeWorker
  let trying: TryingWorker
  const order = { id: 'one', rule: rule('2s'), share: 0.5, ms: 600_000 }

  beforeEach(async () => {
    bench = await openBench({ outbound: { services: [{ service: 'orders', port: 20_007 }] } })
    clock = manualClock()
    const { control, log } = bench
    control.setLeading(true)
    dryRun = new HostDryRun({ control, clock, log, metrics: control.deps.metrics })
    worker = bench.worker()
    trying = new TryingWorker(worker)
    await worker.until(() => worker.wholes === 1, 'whole snapshot')
  })
  afterEach(async () => bench.close())

  const evaluated = (): number => dryRun.view()!.figures.evaluated
  /** Looks are a second apart. */
  async function look(until: () => boolean, what: string): Promise<void> {
    await worker.until(() => {
      if (!until()) clock.advance(1000)
      return until()
    }, what)
  }

  it('is handed to the workers compiled, followed, and ended with its time', async () => {
    const begun = await dryRun.start(order, 'ann')
    expect(begun).to.include({ state: 'running', rule: 'VirtualService public/orders', user: 'ann' })
    expect(trying.begun[0]).to.include({ id: 'one', share: 0.5, ms: 600_000 })
    expect(Object.keys(trying.begun[0]!.virtualHosts)).to.deep.equal([orders])
    await look(() => evaluated() >= 3, 'figures')
    expect(await dryRun.start(order, 'bob').catch((error: Error) => error.message)).to.include('by ann is under way')
    clock.advance(600_000)
    await worker.until(() => dryRun.view()!.state === 'over', 'its end')
    const whats = bench.control.timeline.query({}).events.map(({ what }) => what)
    expect(whats).to.include('dry-run').and.to.include('dry-run-over')
    expect(bench.control.deps.rules.statuses(), 'no rule of this host').to.deep.equal([])
  })

  it('is one at a time: another one is refused with 409 and how the first is ended', async () => {
    await dryRun.start(order, 'ann')
    const begin = dryRun.pages.find(({ path, method }) => path === '/rules/dry-run' && method === 'POST')!
    const asked = { body: { rule: rule('3s') }, query: new URLSearchParams(), isJson: true }
    const reply = await begin.answer(asked as unknown as AdminRequest)
    expect(reply).to.include({ status: 409 })
    expect(reply.body).to.include('by ann is under way').and.to.include('/rules/dry-run/stop')
    expect(trying.begun.length).to.equal(1)
  })

  it('goes on beside other rules for the time that is left, and keeps what it found', async () => {
    await dryRun.start(order, 'ann')
    await look(() => evaluated() >= 3, 'figures')
    const text = resource('DestinationRule', 'host: ledger')
    bench.control.core.replaceRules('rules.d', [{ name: 'other.yaml', text }])
    await look(() => trying.begun.length === 2, 'a second beginning')
    expect(trying.begun[1]!.ms).to.be.within(1, 599_000)
    const before = evaluated()
    await look(() => evaluated() > before, 'more figures')
  })

  it('ends where the rule in force says the same by now', async () => {
    await dryRun.start(order, 'ann')
    bench.control.core.replaceRules('rules.d', [{ name: 'orders.yaml', text: order.rule }])
    await look(() => dryRun.view()!.state === 'over', 'its end')
    expect(dryRun.view()!.hosts[0]!.problem).to.include('nothing would be otherwise')
  })

  it('begins in a worker that comes later', async () => {
    await dryRun.start(order, 'ann')
    const later = bench.worker({ index: 1, pid: 4712 })
    const alsoTrying = new TryingWorker(later)
    await later.until(() => later.wholes === 1, 'whole snapshot')
    await look(() => alsoTrying.begun.length === 1, 'its beginning')
  })

  it('is stopped while it waits for the registries to say who serves where it leads', async () => {
    const ledger = ordersRoutes('- route: [{ destination: { host: ledger } }]')
    const starting = dryRun.start({ ...order, rule: ledger }, 'ann').then(
      () => 'begun',
      (error: Error) => error.message,
    )
    expect(dryRun.view()!.state).to.equal('running')
    expect((await dryRun.stop())!.state).to.equal('over')
    clock.advance(3000)
    expect(await starting).to.include('stopped')
    expect(trying.begun, 'no worker evaluates it').to.deep.equal([])
    const active = bench.control.deps.metrics.series().find(({ name }) => name === 'hostmesh_dry_run_active')
    expect(
      active?.samples.map(({ value }) => value),
      'none is under way',
    ).to.deep.equal([0])
    await dryRun.start({ ...order, id: 'two' }, 'bob')
  })

  it('is refused for a share or a time beyond the bounds, and by a host without workers', async () => {
    for (const change of [{ share: 0 }, { share: 1.1 }, { ms: 10 }, { ms: 1e9 }, { share: Number.NaN }]) {
      const message = await dryRun.start({ ...order, ...change }, 'ann').catch((error: Error) => error.message)
      expect(message).to.include('allowed')
    }
    worker.close()
    await worker.until(() => bench.control.core.publisher.states().length === 0, 'no worker')
    const message = await dryRun.start(order, 'ann').catch((error: Error) => error.message)
    expect(message).to.include('no worker evaluates it')
    expect(dryRun.view()!.state).to.equal('refused')
  })
})
