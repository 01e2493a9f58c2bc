import { expect } from 'chai'
import { KeepAliveCaller, keepAliveLoad } from '../../support/continuity/callers.ts'
import { startFarSide } from '../../support/continuity/far-side.ts'
import type { FarSide } from '../../support/continuity/far-side.ts'
import { startRealWorkers } from '../../support/continuity/real-workers.ts'
import { EchoStream } from '../../support/continuity/streams.ts'
import { requestsOfWorkers } from '../../support/continuity/worker-requests.ts'
import type { WatchdogHost } from '../../support/continuity/watchdog-host.ts'

/** Looks twice a second, so that an uneven spread is seen soon. */
const tuning = { liveness: { periodMs: 500, suspectMs: 5000, deadMs: 20_000 } }

/** Two workers that share nothing are worth 1.9 of one as long as the busier one has no more of the work. */
const largestShare = 1 / 1.9

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0)

describe('connections of the workers of one generation', function () {
  this.timeout(180_000)
  let host: WatchdogHost
  let provider: FarSide

  beforeEach(async () => {
    provider = await startFarSide('provider', false)
    host = await startRealWorkers(provider, { tuning, workers: 1 })
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(host?.tail(200))
  })
  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
    await provider.close()
  })

  /** A worker's connections go to the successor of its own index: the new neighbour begins with none. */
  const grow = (workers: number) => host.upgrade(host.release({ name: `with ${workers}`, workers }), 'serving')

  /** The watchdog passes on what its children write every few seconds. */
  const gave = (): boolean => host.lines.some((line) => /worker 1 is less busy: giving it \d+ of \d+ active/.test(line))

  const spread = async (isRight: (connections: readonly number[]) => boolean, what: string): Promise<void> => {
    await host.until(
      (state) => {
        const serving = state.generations.find(({ phase }) => phase === 'serving')
        return isRight((serving?.children ?? []).filter(({ role }) => role === 'worker').map((one) => one.connections))
      },
      what,
      40_000,
    )
  }

  it('become evenly spread, and no caller notices', async () => {
    const load = await keepAliveLoad(host.httpPort, 20)
    const report = await grow(2)
    expect(report.outcome, report.cause).to.equal('done')
    await spread(([first, second]) => first === 10 && second === 10, 'ten each')
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
    await host.until(gave, 'the log says so')
  })

  for (const count of [10, 64, 1000]) {
    it(`leave the busier of two workers at most 52.6 % of the work of ${count} that one worker had`, async function () {
      const callers = await Promise.all(Array.from({ length: count }, () => KeepAliveCaller.connect(host.httpPort)))
      /** Each caller as much as the others, however much of the machine each worker gets. */
      const round = async (): Promise<void> => {
        const answers = await Promise.all(callers.map((caller) => caller.get()))
        expect(answers.filter(({ status }) => status !== 200).map(({ head, body }) => head + body)).to.deep.equal([])
      }
      await round()
      const { outcome, cause, to } = await grow(2)
      expect(outcome, cause).to.equal('done')
      // What the first generation counted comes behind the connections
      while (sumOf(await requestsOfWorkers(host.runDir, to)) < count);
      const share = async (): Promise<number> => {
        const before = await requestsOfWorkers(host.runDir, to)
        for (let i = 0; i < 5; i++) await round()
        const after = await requestsOfWorkers(host.runDir, to)
        const served = after.map((requests, index) => requests - before[index]!)
        expect(sumOf(served)).to.equal(5 * count)
        return Math.max(...served) / (5 * count)
      }
      let busier = await share()
      const deadline = performance.now() + 60_000
      while (busier > largestShare && performance.now() < deadline) busier = await share()
      this.test!.title += `: ${(busier * 100).toFixed(1)} %`
      expect(busier).to.be.at.most(largestShare)
      await host.until(gave, 'one of them had more, and gave')
      expect(callers.filter(({ closed }) => closed !== undefined)).to.deep.equal([])
      for (const caller of callers) caller.close()
    })
  }

  it('become evenly spread over three workers when they are streams, without a lost byte', async () => {
    const streams = await Promise.all([
      ...Array.from({ length: 6 }, (_, index) => EchoStream.open(host.tcpPort, `t${index}`, 'tcp')),
      ...Array.from({ length: 6 }, (_, index) => EchoStream.open(host.httpPort, `w${index}`, 'websocket')),
    ])
    for (const stream of streams) stream.start(5, 700)
    await grow(3)
    await spread((connections) => connections.length === 3 && connections.every((one) => one === 4), 'four each')
    const problems = await Promise.all(streams.map((stream) => stream.finish()))
    expect(problems.filter((problem) => problem !== undefined)).to.deep.equal([])
  })

  it('lose nothing when a restart comes while some are on their way', async () => {
    const load = await keepAliveLoad(host.httpPort, 48)
    for (const workers of [2, 1, 3, 2]) {
      const report = await grow(workers)
      expect(report.outcome, report.cause).to.equal('done')
      const gives = new RegExp(`"generation":${report.to},.*is less busy`)
      if (workers > 1) await host.until(() => host.lines.some((line) => gives.test(line)), 'some are on their way')
    }
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
  })
})
