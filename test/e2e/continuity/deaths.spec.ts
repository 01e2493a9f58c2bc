import { expect } from 'chai'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newConnectionLoad, keepAliveLoad, KeepAliveCaller } from '../../support/continuity/callers.ts'
import { isAlive, patientDeadlines, WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { testOptions } from '../../support/continuity/watchdog-options.ts'
import { goBeforeOthers } from '../../support/priority.ts'
import { holds } from '../../support/worker/eventually.ts'

describe('the death of', function () {
  this.timeout(120_000)
  let host: WatchdogHost

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  it('one worker refuses no connection: its neighbour accepts for it until it is back', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const load = newConnectionLoad(host.httpPort, 8)
    for (let round = 0; round < 3; round++) {
      const { pid } = await host.child('worker', round % 2)
      process.kill(pid, 'SIGKILL')
      await host.until(
        (state) => host.serving(state)?.children.every((child) => child.pid !== pid) === true,
        'the worker is back',
      )
    }
    const result = await load.stop()
    expect(result.failures.filter((failure) => failure === 'ECONNREFUSED')).to.deep.equal([])
    // What was in flight on the killed process: at most the parallel callers, each time.
    expect(result.failures.length).to.be.at.most(3 * 8)
    expect(host.lines.some((line) => line.includes('accepts for worker'))).to.equal(true)
  })

  it('the only worker refuses no connection: callers wait in the accept queue', async () => {
    host = await WatchdogHost.start()
    process.kill((await host.child('worker')).pid, 'SIGKILL')
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect((await caller.get()).status).to.equal(200)
    caller.close()
  })

  it('control does not touch a single request, and it comes back', async () => {
    host = await WatchdogHost.start()
    const load = await keepAliveLoad(host.httpPort, 8)
    const { pid } = await host.child('control')
    process.kill(pid, 'SIGKILL')
    await host.until((state) => {
      const control = state.generations[0]?.children.find((child) => child.role === 'control')
      return control !== undefined && control.pid !== pid && control.isReady
    }, 'control is back')
    expect((await load.stop()).failures).to.deep.equal([])
  })

  it('the watchdog loses nothing; the next one adopts what runs and then does everything as before', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const load = await keepAliveLoad(host.httpPort, 8)
    const fresh = newConnectionLoad(host.httpPort, 2)
    const before = (await host.state()).generations[0]!.children.map((child) => child.pid)
    host.process!.kill('SIGKILL')
    await new Promise((resolve) => host.process!.once('exit', resolve))
    expect(before.every((pid) => isAlive(pid))).to.equal(true)
    host.startWatchdog()
    const state = await host.until(
      (now) => now.isAdopted && now.heldShards === 4 && now.generations[0]!.children.every((child) => child.isReady),
      'everything is adopted',
    )
    expect(state.generations[0]!.children.map((child) => child.pid)).to.have.members(before)
    // It supervises: an adopted worker that dies is replaced.
    const { pid } = await host.child('worker', 1)
    expect((await load.stop()).failures).to.deep.equal([])
    process.kill(pid, 'SIGKILL')
    await host.until(
      (now) => host.serving(now)?.children.every((child) => child.pid !== pid) === true,
      'the worker is back',
    )
    // It hands over.
    const again = await keepAliveLoad(host.httpPort, 8)
    expect(await host.reload()).to.include({ outcome: 'done', from: 1, to: 2 })
    expect((await again.stop()).failures).to.deep.equal([])
    expect((await fresh.stop()).failures.filter((failure) => failure === 'ECONNREFUSED')).to.deep.equal([])
  })

  it('the watchdog in the middle of an upgrade leaves one generation, which serves', async () => {
    host = await WatchdogHost.start()
    const load = await keepAliveLoad(host.httpPort, 4)
    host
      .ask({ type: 'upgrade', release: host.release({ name: 'v2', worker: 'hang-at-start' }), wait: 'serving' })
      .catch(() => {})
    await host.until((state) => state.generations.length === 2, 'the new generation is being started')
    host.process!.kill('SIGKILL')
    await new Promise((resolve) => host.process!.once('exit', resolve))
    host.startWatchdog()
    const state = await host.until((now) => host.serving(now) !== undefined, 'adopted')
    expect(state.generations.map((one) => one.generation)).to.deep.equal([1])
    expect((await load.stop()).failures).to.deep.equal([])
  })

  it('the watchdog while a generation drains leaves nothing of it behind, and its last request is answered', async () => {
    host = await WatchdogHost.start()
    const old = (await host.state()).generations[0]!.children.map((child) => child.pid)
    const caller = await KeepAliveCaller.connect(host.httpPort)
    // what it still has keeps the first generation for as long as this test needs
    const held = caller.get('/held/may-be-answered')
    const isDraining = host.until(
      (now) => now.generations.some(({ generation, phase }) => generation === 1 && phase === 'draining'),
      'the first generation drains',
    )
    const reload = host.reload().catch(() => undefined)
    await isDraining
    host.process!.kill('SIGKILL')
    await new Promise((resolve) => host.process!.once('exit', resolve))
    await reload
    host.startWatchdog()
    const adopted = await host.until((now) => now.isAdopted, 'the next watchdog')
    expect(adopted.generations.map(({ generation }) => generation)).to.deep.equal([2, 1])
    writeFileSync(join(host.runDir, 'may-be-answered'), '')
    expect((await held).status).to.equal(200)
    caller.close()
    await host.until((now) => now.generations.length === 1, 'the first generation is gone')
    expect(old.filter((pid) => isAlive(pid))).to.deep.equal([])
  })

  for (const [when, isLate] of [
    ['at once', false],
    ['when that one serves', true],
  ] as const)
    it(`the watchdog and of the generation that took over leaves nothing of the one before, which gives what it has to the next, found ${when}`, async () => {
      const deadlines = { ...patientDeadlines, drainMs: 60_000, adoptMs: 60_000 }
      host = await WatchdogHost.start({ tuning: { deadlines } })
      const before = (await host.state()).generations[0]!.children
      const old = before.map((child) => child.pid)
      const worker = before.find(({ role }) => role === 'worker')!.pid
      const caller = await KeepAliveCaller.connect(host.httpPort)
      const held = caller.get('/held/may-be-answered')
      const isDraining = host.until(
        (now) => now.generations.some(({ generation, phase }) => generation === 1 && phase === 'draining'),
        'the first generation drains',
      )
      const reload = host.reload().catch(() => undefined)
      const { generations } = await isDraining
      host.process!.kill('SIGKILL')
      await new Promise((resolve) => host.process!.once('exit', resolve))
      await reload
      if (isLate) process.kill(worker, 'SIGSTOP')
      for (const { pid } of generations.find(({ generation }) => generation === 2)!.children)
        process.kill(pid, 'SIGKILL')
      host.startWatchdog()
      await host.until((now) => host.serving(now)?.generation === 3, 'a third generation serves')
      if (isLate) process.kill(worker, 'SIGCONT')
      writeFileSync(join(host.runDir, 'may-be-answered'), '')
      expect((await held).status).to.equal(200)
      for (let by = 1; by !== 3;) by = (JSON.parse((await caller.get()).body) as { generation: number }).generation
      caller.close()
      await host.until((now) => now.generations.length === 1, 'the first generation is gone')
      expect(old.filter((pid) => isAlive(pid))).to.deep.equal([])
    })

  it('the watchdog, with its record lost, leaves nobody behind: processes that the next one does not know answer what they have, and end', async () => {
    host = await WatchdogHost.start()
    const old = (await host.state()).generations[0]!.children.map((child) => child.pid)
    const caller = await KeepAliveCaller.connect(host.httpPort)
    const slow = caller.get('/slow/1000')
    host.process!.kill('SIGKILL')
    await new Promise((resolve) => host.process!.once('exit', resolve))
    rmSync(join(host.runDir, 'watchdog.json'))
    host.startWatchdog()
    expect((await slow).status).to.equal(200)
    caller.close()
    const now = await host.until((state) => host.serving(state) !== undefined, 'a new generation serves')
    const known = now.generations[0]!.children.map((child) => child.pid)
    expect(known.filter((pid) => old.includes(pid))).to.deep.equal([])
    await host.until(() => old.every((pid) => !isAlive(pid)), 'the old processes have ended')
  })

  it('the host, politely: everything ends within its time, and nothing is left in the run directory that lies', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const caller = await KeepAliveCaller.connect(host.httpPort)
    await caller.get()
    host.process!.kill('SIGTERM')
    const code = await new Promise((resolve) => host.process!.once('exit', resolve))
    expect(code).to.equal(0)
    caller.close()
  })

  it('nobody: a second watchdog in the same run directory is refused and hurts nothing', async () => {
    host = await WatchdogHost.start()
    const first = host.process!
    const second = host.startWatchdog()
    // and with its end all that it said is here
    const code = await new Promise((resolve) => second.once('close', resolve))
    host.process = first
    expect(code).to.equal(3)
    expect(host.lines.some((line) => line.includes('E_ALREADY_RUNNING'))).to.equal(true)
    expect((await host.state()).generations).to.have.length(1)
  })
})

/** As every host has it whose configuration says nothing of it. */
const { liveness: fixedLiveness } = testOptions

describe('a hang', function () {
  this.timeout(120_000)
  let host: WatchdogHost
  let goAsOthers: () => void

  before(() => {
    goAsOthers = goBeforeOthers()
  })

  after(() => goAsOthers())

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  for (const role of ['worker', 'control'] as const) {
    it(`of ${role} (SIGSTOP) is noticed and ended within 10 s, and other workers serve meanwhile`, async () => {
      host = await WatchdogHost.start({ workers: 2, tuning: { liveness: fixedLiveness } })
      const load = newConnectionLoad(host.httpPort, 4)
      const { pid } = await host.child(role)
      const began = performance.now()
      process.kill(pid, 'SIGSTOP')
      await host.until(() => !isAlive(pid), 'it is ended')
      expect(performance.now() - began).to.be.below(10_000)
      await host.until((state) => {
        const serving = host.serving(state)
        return (
          serving !== undefined &&
          serving.children.length === 3 &&
          serving.children.every((child) => child.pid !== pid && child.isReady)
        )
      }, 'it is replaced')
      const result = await load.stop()
      expect(result.failures.filter((failure) => failure === 'ECONNREFUSED')).to.deep.equal([])
      expect(result.answered).to.be.above(100)
    })
  }

  it('of the watchdog itself (stopped for a while) is not blamed on its children', async () => {
    host = await WatchdogHost.start({ tuning: { liveness: { periodMs: 300, suspectMs: 300, deadMs: 2000 } } })
    const { pid } = await host.child('worker')
    host.process!.kill('SIGSTOP')
    await holds(() => isAlive(pid), 3500)
    host.process!.kill('SIGCONT')
    const caller = await KeepAliveCaller.connect(host.httpPort)
    for (let round = 0; round < 20; round++) {
      await caller.get('/slow/50')
    }
    caller.close()
    expect((await host.child('worker')).pid).to.equal(pid)
  })
})
