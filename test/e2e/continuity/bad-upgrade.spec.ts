import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { keepAliveLoad, newConnectionLoad, KeepAliveCaller } from '../../support/continuity/callers.ts'
import { patientDeadlines, WatchdogHost } from '../../support/continuity/watchdog-host.ts'

describe('a bad new version', function () {
  this.timeout(120_000)
  let host: WatchdogHost

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  const kinds = [
    {
      title: 'crashes at start',
      startMs: patientDeadlines.startMs,
      release: { worker: 'crash-at-start' },
      cause: /worker 0 .*exit code 1/,
      evidence: /this version is broken/,
    },
    {
      title: 'hangs at start',
      startMs: 6000,
      release: { worker: 'hang-at-start' },
      cause: /not ready after 6000 ms: (?:.*, )?worker 0/,
      evidence: undefined,
    },
    {
      title: 'has a refused configuration',
      startMs: patientDeadlines.startMs,
      release: { control: 'refuse-config' },
      cause: /control .*exit code 2/,
      evidence: /E_CONFIG_INVALID/,
    },
    {
      title: 'fails its self-test',
      startMs: patientDeadlines.startMs,
      release: { worker: 'fail-self-test' },
      cause: /self-test failed/,
      evidence: /500 Broken/,
    },
  ] as const

  for (const kind of kinds) {
    it(`that ${kind.title} leaves the old one serving, says why, and leaves no process behind`, async () => {
      host = await WatchdogHost.start({ tuning: { deadlines: { ...patientDeadlines, startMs: kind.startMs } } })
      const before = (await host.state()).generations[0]!.children.map((child) => child.pid)
      const load = await keepAliveLoad(host.httpPort, 8)
      const fresh = newConnectionLoad(host.httpPort, 2)
      const report = await host.upgrade(host.release({ name: 'v2', ...kind.release }))
      expect((await load.stop()).failures).to.deep.equal([])
      expect((await fresh.stop()).failures).to.deep.equal([])
      expect(report.outcome).to.equal('failed')
      expect(report.cause).to.match(kind.cause)
      if (kind.evidence !== undefined) expect(report.evidence.join('\n')).to.match(kind.evidence)
      const { generations } = await host.state()
      expect(generations).to.have.length(1)
      expect(generations[0]!.children.map((child) => child.pid)).to.deep.equal(before)
      expect(host.reportFiles().some((one) => one.id === report.id && one.outcome === 'failed')).to.equal(true)
    })
  }

  it('that the system does not start at all fails at once, and a reload works afterwards', async () => {
    host = await WatchdogHost.start()
    const report = await host.upgrade({ ...host.release({ name: 'v2' }), worker: [`${import.meta.filename}/node`] })
    expect(report.outcome).to.equal('failed')
    expect(report.cause).to.match(/worker 0 .*could not be started: .*ENOTDIR/)
    expect(await host.reload()).to.include({ outcome: 'done', release: 'v1' })
  })

  it('that crashes in a loop after it took over is taken back, and its callers are served by the old release', async () => {
    host = await WatchdogHost.start()
    await host.upgrade(host.release({ name: 'v2', worker: 'crash-after-serving' }), 'serving')
    await host.until((state) => host.serving(state)?.release === 'v1', 'the old release serves again', 20_000)
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect(JSON.parse((await caller.get()).body)).to.include({ version: 'v1' })
    caller.close()
    const { reports } = await host.state()
    expect(reports.find((report) => report.kind === 'recovery')?.cause).to.match(/crash loop: worker 0 .*exit code 7/)
  })

  it('that crashes in a loop is taken back also when it was upgraded to twice, and the watchdog died meanwhile', async () => {
    // how fast a machine starts processes is not what this proves
    host = await WatchdogHost.start({ tuning: { restarts: { probationMs: 120_000, windowMs: 120_000 } } })
    const upgrade = () => host.upgrade(host.release({ name: 'v2', worker: 'crash-when-told' }), 'serving')
    expect(await upgrade()).to.include({ kind: 'upgrade', outcome: 'done' })
    expect(await upgrade()).to.include({ kind: 'reload', outcome: 'done' })
    const died = once(host.process!, 'exit')
    host.process!.kill('SIGKILL')
    await died
    host.startWatchdog()
    await host.until((state) => state.isAdopted && host.serving(state)?.release === 'v2', 'it is adopted')
    writeFileSync(join(host.runDir, 'may-crash'), '')
    await host.until((state) => host.serving(state)?.release === 'v1', 'the old release serves again', 60_000)
  })

  it('that grows past its memory bound after it took over is taken back', async () => {
    host = await WatchdogHost.start({ tuning: { bounds: { maxChildBytes: 300 * 1024 * 1024 } } })
    await host.upgrade(host.release({ name: 'v2', worker: 'grow-after-serving' }), 'serving')
    const state = await host.until((now) => host.serving(now)?.release === 'v1', 'the old release serves again', 30_000)
    expect(state.reports.find((report) => report.kind === 'recovery')?.cause).to.match(/MiB resident, allowed 300 MiB/)
  })

  it('whose event loop blocks after it took over is taken back', async () => {
    host = await WatchdogHost.start({ tuning: { liveness: { periodMs: 500, suspectMs: 500, deadMs: 3000 } } })
    await host.upgrade(host.release({ name: 'v2', worker: 'block-after-serving' }), 'serving')
    const state = await host.until((now) => host.serving(now)?.release === 'v1', 'the old release serves again', 30_000)
    expect(state.reports.find((report) => report.kind === 'recovery')?.cause).to.match(/no answer for/)
  })

  it('can be tried ten times without harm and without leaving processes or generations', async () => {
    host = await WatchdogHost.start()
    const load = await keepAliveLoad(host.httpPort, 8)
    for (let round = 0; round < 10; round++) {
      const release = round % 2 === 0 ? { worker: 'crash-at-start' } : { worker: 'fail-self-test' }
      expect((await host.upgrade(host.release({ name: `bad ${round}`, ...release }))).outcome).to.equal('failed')
    }
    expect((await load.stop()).failures).to.deep.equal([])
    const { generations } = await host.state()
    expect(generations.map((one) => one.generation)).to.deep.equal([1])
  })
})
