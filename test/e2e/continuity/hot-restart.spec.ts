import { expect } from 'chai'
import { once } from 'node:events'
import net from 'node:net'
import { keepAliveLoad, newConnectionLoad, KeepAliveCaller } from '../../support/continuity/callers.ts'
import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'

describe('a hot restart', function () {
  this.timeout(120_000)
  let host: WatchdogHost

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
  })

  it('loses no request and closes no connection of busy keep-alive callers, five times in a row', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const load = await keepAliveLoad(host.httpPort, 32)
    for (let round = 0; round < 5; round++) {
      const report = await host.reload()
      expect(report.outcome).to.equal('done')
      expect(report.counts.reduce((sum, count) => sum + count.cut, 0)).to.equal(0)
      expect(report.counts.reduce((sum, count) => sum + count.moved, 0)).to.equal(32)
    }
    const result = await load.stop()
    expect(result.failures).to.deep.equal([])
    expect(result.answered).to.be.above(100)
  })

  it('refuses no new connection', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const load = newConnectionLoad(host.httpPort, 8)
    for (let round = 0; round < 5; round++) await host.reload()
    const result = await load.stop()
    expect(result.failures).to.deep.equal([])
    expect(result.answered).to.be.above(100)
  })

  it('moves a busy connection right after its current response, and a partial head with it', async () => {
    host = await WatchdogHost.start()
    const busy = await KeepAliveCaller.connect(host.httpPort)
    const slow = busy.get('/slow/1500')
    const half = await KeepAliveCaller.connect(host.httpPort)
    half.socket.write('GET / HTTP/1.1\r\nho')
    await host.until((state) => (host.serving(state)?.children.length ?? 0) > 0, 'serving')
    const reload = host.reload()
    const answer = await slow
    expect(JSON.parse(answer.body)).to.include({ generation: 1 })
    expect((await reload).outcome).to.equal('done')
    expect(JSON.parse((await busy.get()).body)).to.include({ generation: 2, served: 2 })
    expect(JSON.parse((await half.send('st: test\r\n\r\n')).body)).to.include({ generation: 2 })
    busy.close()
    half.close()
  })

  it('keeps TCP connections open and loses none of their bytes', async () => {
    host = await WatchdogHost.start()
    const sockets = Array.from({ length: 50 }, () => net.connect(host.tcpPort, '127.0.0.1'))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    const echoes = sockets.map(() => '')
    sockets.forEach((socket, index) => socket.on('data', (bytes: Buffer) => (echoes[index] += bytes.toString())))
    let sent = ''
    const timer = setInterval(() => {
      const word = `${sent.length},`
      sent += word
      for (const socket of sockets) socket.write(word)
    }, 1)
    for (let round = 0; round < 3; round++) await host.reload()
    clearInterval(timer)
    await Promise.all(
      sockets.map(async (socket, index) => {
        while (echoes[index]!.length < sent.length) await once(socket, 'data')
      }),
    )
    expect(echoes.every((echo) => echo === sent)).to.equal(true)
    expect(sockets.every((socket) => !socket.destroyed)).to.equal(true)
    for (const socket of sockets) socket.destroy()
  })

  it('can change the number of workers either way without losing a connection', async () => {
    host = await WatchdogHost.start({ workers: 2 })
    const load = await keepAliveLoad(host.httpPort, 16)
    const fresh = newConnectionLoad(host.httpPort, 4)
    for (const workers of [3, 1, 2]) {
      const report = await host.upgrade(host.release({ name: `with ${workers}`, workers }))
      expect(report.outcome, report.cause).to.equal('done')
    }
    expect((await load.stop()).failures).to.deep.equal([])
    expect((await fresh.stop()).failures).to.deep.equal([])
  })

  it('hands over state, and says in the log, in a file and in the state what it did', async () => {
    host = await WatchdogHost.start()
    const caller = await KeepAliveCaller.connect(host.httpPort)
    await caller.get()
    const report = await host.reload()
    expect(report).to.deep.include({ kind: 'reload', from: 1, to: 2, outcome: 'done' })
    expect(report.goneMs).to.be.above(report.servingMs!)
    expect(report.counts).to.deep.equal([{ protocol: 'http1', application: 'http', moved: 1, drained: 0, cut: 0 }])
    expect(host.reportFiles().find((one) => one.id === report.id)).to.deep.include({ outcome: 'done', to: 2 })
    expect((await host.state()).reports[0]).to.deep.include({ id: report.id })
    await host.until(() => host.lines.some((line) => line.includes('moved 1, drained 0, cut 0')), 'the log says so')
    caller.close()
  })

  it('is done once when asked for twice at the same time: the second is refused', async () => {
    host = await WatchdogHost.start()
    const [first, second] = await Promise.all([
      host.ask({ type: 'reload', wait: 'serving' }),
      host.ask({ type: 'reload', wait: 'serving' }),
    ])
    const answers = [first.type, second.type].sort()
    expect(answers).to.deep.equal(['outcome', 'refused'])
    const refusal = first.type === 'refused' ? first : second
    expect(refusal).to.include({ code: 'E_HANDOFF_REFUSED' })
    await host.until((state) => state.generations.length === 1, 'one generation is left')
  })

  it('goes back to the release before on request, and refuses when there is none', async () => {
    host = await WatchdogHost.start()
    expect(await host.ask({ type: 'rollback', wait: 'gone' })).to.include({ type: 'refused' })
    await host.upgrade(host.release({ name: 'v2' }))
    const report = await host.report({ type: 'rollback', wait: 'gone' })
    expect(report).to.include({ kind: 'rollback', release: 'v1', outcome: 'done' })
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect(JSON.parse((await caller.get()).body)).to.include({ version: 'v1', generation: 3 })
    caller.close()
  })

  it('happens on SIGUSR2 as an upgrade to what is installed now', async () => {
    host = await WatchdogHost.start()
    await host.upgrade(host.release({ name: 'v2' }))
    host.process!.kill('SIGUSR2')
    const state = await host.until(
      (now) => host.serving(now)?.generation === 3 && now.generations.length === 1,
      'generation 3 alone',
    )
    expect(state.reports[0]).to.include({ kind: 'upgrade', outcome: 'done', release: 'v1' })
  })

  it('never leaves more draining generations than allowed: the oldest is ended', async () => {
    host = await WatchdogHost.start({ tuning: { bounds: { maxDraining: 2 }, deadlines: { drainMs: 60_000 } } })
    const callers: KeepAliveCaller[] = []
    const ends: Promise<string>[] = []
    for (let round = 0; round < 4; round++) {
      const caller = await KeepAliveCaller.connect(host.httpPort)
      callers.push(caller)
      ends.push(
        caller.get('/slow/50000').then(
          () => 'answered',
          () => 'cut',
        ),
      )
      await host.reload('serving')
    }
    const state = await host.until((now) => now.generations.length === 3, 'two drain, one serves')
    expect(state.generations.map((one) => one.phase)).to.deep.equal(['serving', 'draining', 'draining'])
    expect(await ends[0]).to.equal('cut')
    const lost = state.reports.flatMap(({ counts }) => counts).filter(({ cut }) => cut > 0)
    expect(lost, 'the reports say what the end of a generation cost').to.have.length.above(0)
    for (const caller of callers) caller.close()
    await Promise.all(ends)
  })

  it('has an end: what a generation still does at its deadline is cut, and counted', async () => {
    host = await WatchdogHost.start({ tuning: { deadlines: { drainMs: 1500 } } })
    const caller = await KeepAliveCaller.connect(host.httpPort)
    const answer = caller.get('/slow/50000').catch(() => 'cut')
    const report = await host.reload()
    expect(await answer).to.equal('cut')
    expect(report.counts).to.deep.equal([{ protocol: 'http1', application: 'http', moved: 0, drained: 0, cut: 1 }])
    expect(report.goneMs! - report.servingMs!).to.be.within(1400, 4900)
  })

  it('happens on SIGHUP', async () => {
    host = await WatchdogHost.start()
    host.process!.kill('SIGHUP')
    await host.until(
      (state) => host.serving(state)?.generation === 2 && state.generations.length === 1,
      'generation 2 alone',
    )
  })
})
