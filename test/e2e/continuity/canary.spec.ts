import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import type { CanaryOrder } from '../../../contracts/canary.ts'
import type { RestartReport, WatchdogState } from '../../../contracts/handoff.ts'
import type { Snapshot } from '../../../contracts/snapshot.ts'
import { keepAliveLoad } from '../../support/continuity/callers.ts'
import { startFarSide } from '../../support/continuity/far-side.ts'
import type { FarSide } from '../../support/continuity/far-side.ts'
import { realSnapshot, startRealWorkers } from '../../support/continuity/real-workers.ts'
import { EchoStream } from '../../support/continuity/streams.ts'
import type { WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { freePort } from '../../support/free-port.ts'

const tuning = { liveness: { periodMs: 500, suspectMs: 5000, deadMs: 20_000 } }
const allowed = { maxFailedPercent: 1, maxSlowerPercent: 50 }

describe('an upgrade with a canary', function () {
  this.timeout(120_000)
  let host: WatchdogHost
  let provider: FarSide
  const others: Server[] = []

  beforeEach(async () => {
    provider = await startFarSide('provider', false)
    host = await startRealWorkers(provider, { tuning })
  })

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
    await provider.close()
    for (const one of others.splice(0)) one.close()
  })

  const begin = (name: string, forMs: number, snapshot?: Snapshot, change = {}): Promise<RestartReport> => {
    const order: CanaryOrder = { forMs, ...allowed, ...change }
    const release = host.release({ name, ...(snapshot !== undefined && { snapshot }) })
    return host.report({ type: 'canary', release, order, wait: 'serving' })
  }

  const canaryOf = (state: WatchdogState) => state.generations.find(({ phase }) => phase === 'canary')

  /** Requests of the canary, as the watchdog tells them meanwhile. */
  const served = (state: WatchdogState): number => canaryOf(state)?.canary?.canary.requests ?? 0

  it('gives the canary its share of living connections, compares it, and goes on without a lost request', async () => {
    const load = await keepAliveLoad(host.httpPort, 24)
    const streams = await Promise.all(
      Array.from({ length: 6 }, (_, index) => EchoStream.open(host.tcpPort, `t${index}`, 'tcp')),
    )
    for (const stream of streams) stream.start(5, 1000)
    // how fast it is on a busy machine is not what this asks; such a one also needs seconds to give it its share
    const forMs = 12_000
    const outcome = begin('v2', forMs, undefined, { maxSlowerPercent: 10_000 })
    const state = await host.until((now) => served(now) > 100, 'the canary serves and is compared', 60_000)
    expect(state.generations.map(({ phase }) => phase)).to.deep.equal(['canary', 'serving'])
    const workers = canaryOf(state)!.children.filter(({ role }) => role === 'worker')
    expect(workers.map(({ isServing }) => isServing)).to.deep.equal([true, false])
    const report = await outcome
    expect(report.outcome, report.cause).to.equal('done')
    expect(report.canary).to.include({ verdict: 'passed', forMs })
    // the watchdog waits 10 s more at most for the last word of both sides
    expect(report.canary!.servedMs).to.be.within(forMs, forMs + 10_500)
    expect(report.canary!.canary.failed).to.equal(0)
    expect(report.canary!.others.requests).to.be.greaterThan(100)
    const problems = await Promise.all(streams.map((stream) => stream.finish()))
    expect(problems.filter((problem) => problem !== undefined)).to.deep.equal([])
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
  })

  it('takes back one that fails requests, long before its time, and every connection goes on in the old one', async () => {
    const load = await keepAliveLoad(host.httpPort, 24)
    const report = await begin('v2', 60_000, realSnapshot(host, await freePort()))
    expect(report).to.include({ outcome: 'failed', kind: 'upgrade' })
    expect(report.cause).to.match(/^canary: \d+\.\d % of its requests failed \(\d+ of \d+\), 0\.0 % with the others/)
    expect(report.canary).to.include({ verdict: 'failed' })
    expect(report.canary!.servedMs).to.be.lessThan(20_000)
    const { generations } = await host.state()
    expect(generations.map(({ generation, phase }) => `${generation} ${phase}`)).to.deep.equal(['1 serving'])
    const failedBy = load.result.failures.length
    const answeredBy = load.result.answered
    await host.until(() => load.result.answered > answeredBy + 500, 'the old one answers')
    const { failures, closed } = await load.stop()
    expect(failures.length).to.equal(failedBy)
    // refused by the canary, as its callers were to see it; no connection ended
    expect({ closed, kinds: [...new Set(failures.map((text) => text.slice(0, 10)))] }).to.deep.equal({
      closed: 0,
      kinds: ['status 503'],
    })
    expect(host.reportFiles().find(({ id }) => id === report.id)?.canary?.verdict).to.equal('failed')
  })

  it('takes back one that is slower, and loses nothing', async () => {
    const slow = createServer((_request, response) => setTimeout(() => response.end('late'), 250))
    others.push(slow)
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve))
    const load = await keepAliveLoad(host.httpPort, 24)
    const report = await begin('v2', 12_000, realSnapshot(host, (slow.address() as AddressInfo).port))
    expect(report.outcome).to.equal('failed')
    expect(report.cause).to.match(/^canary: its median is \d+(\.\d)? ms, \d+(\.\d)? ms with the others/)
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
  })

  it('takes back one that dies, and one that an operator has seen enough of', async () => {
    const dying = begin('v2', 60_000)
    const state = await host.until((now) => canaryOf(now)?.canary !== undefined, 'the canary serves')
    process.kill(canaryOf(state)!.children.find(({ role }) => role === 'worker')!.pid, 'SIGKILL')
    expect((await dying).cause).to.match(/worker 0 of generation 2 .*signal SIGKILL/)

    const load = await keepAliveLoad(host.httpPort, 12)
    const second = begin('v2', 60_000)
    await host.until((now) => served(now) > 20, 'the canary serves')
    const back = await host.report({ type: 'rollback', wait: 'serving' })
    expect(back).to.deep.equal(await second)
    expect(back).to.include({ outcome: 'failed', cause: 'canary: an operator took it back' })
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
  })

  it('goes on where there is too little to compare, and says so', async () => {
    const report = await begin('v2', 1000)
    expect(report.outcome, report.cause).to.equal('done')
    expect(report.canary).to.include({ verdict: 'unjudged' })
    expect(report.canary!.says).to.match(/0 requests are too few to compare/)
  })

  it('gives its connections back when the watchdog dies meanwhile, and nobody notices', async () => {
    const load = await keepAliveLoad(host.httpPort, 24)
    const cut = begin('v2', 60_000).catch((error: Error) => error.message)
    await host.until((now) => served(now) > 100, 'the canary serves')
    host.process!.kill('SIGKILL')
    expect(await cut).to.match(/hung up/)
    host.startWatchdog()
    const state = await host.until(({ generations }) => generations.length === 1, 'the old one is alone')
    expect(state.generations.map(({ generation, phase }) => `${generation} ${phase}`)).to.deep.equal(['1 serving'])
    const { failures, closed } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
  })

  it('is refused when its order is out of bounds, and nothing is started', async () => {
    const release = host.release({ name: 'v2' })
    for (const [order, message] of [
      [{ forMs: 10, ...allowed }, /forMs 10: allowed 1000 to/],
      [{ forMs: 1000, ...allowed, maxFailedPercent: -1 }, /maxFailedPercent -1/],
      [undefined, /forMs undefined/],
    ] as const) {
      const reply = await host.ask({ type: 'canary', release, order: order!, wait: 'serving' })
      expect(reply).to.include({ type: 'refused', code: 'E_ADMIN_REQUEST' })
      expect((reply as { message: string }).message).to.match(message)
    }
    expect((await host.state()).generations).to.have.length(1)
  })
})
