import { expect } from 'chai'
import { once } from 'node:events'
import { keepAliveLoad, newConnectionLoad, KeepAliveCaller } from '../../support/continuity/callers.ts'
import type { FarSide } from '../../support/continuity/far-side.ts'
import { startRealWorkers } from '../../support/continuity/real-workers.ts'
import { endRestartedWorkers, startRestartedWorkers } from '../../support/continuity/restarted-workers.ts'
import { EchoStream } from '../../support/continuity/streams.ts'
import { eventually } from '../../support/worker/eventually.ts'
import type { WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { freePort } from '../../support/free-port.ts'

describe('with real workers, through hot restarts,', function () {
  this.timeout(120_000)
  let host: WatchdogHost
  let provider: FarSide

  beforeEach(async () => {
    ;({ host, provider } = await startRestartedWorkers())
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(host?.tail(200))
  })
  afterEach(() => endRestartedWorkers({ host, provider }))

  it('keep-alive callers that do not retry lose nothing and end on the connection they began with', async () => {
    const load = await keepAliveLoad(host.httpPort, 32)
    const fresh = newConnectionLoad(host.httpPort, 4)
    for (let round = 0; round < 5; round++) {
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      expect(report.counts.reduce((sum, count) => sum + count.cut, 0)).to.equal(0)
    }
    const [kept, opened] = await Promise.all([load.stop(), fresh.stop()])
    expect(kept.failures).to.deep.equal([])
    expect(opened.failures).to.deep.equal([])
    expect(kept.answered).to.be.above(500)
  })

  it('callers whose answers take long lose nothing either, and do not hold up the restart', async () => {
    const load = await keepAliveLoad(host.httpPort, 64, '/slow/150')
    await load.served
    for (let round = 0; round < 4; round++) {
      const report = await host.reload()
      expect(report.outcome, report.cause).to.equal('done')
      const kept = report.counts.filter((count) => count.protocol === 'http1')
      expect(kept.map(({ moved, drained, cut }) => ({ moved, drained, cut }))).to.deep.equal([
        { moved: 64, drained: 0, cut: 0 },
      ])
    }
    expect((await load.stop()).failures).to.deep.equal([])
  })

  it('a restart during the drain of the one before takes over what that one still has', async () => {
    const caller = await KeepAliveCaller.connect(host.httpPort)
    // An answer that its caller does not read keeps the first generation until the caller does.
    caller.socket.pause()
    const big = caller.get('/big/16000000')
    await eventually(() => provider.heads.length > 0)
    await host.reload('serving')
    expect((await host.reload()).outcome).to.equal('done')
    expect((await host.state()).generations.map(({ phase }) => phase)).to.deep.equal(['serving', 'draining'])
    caller.socket.resume()
    expect((await big).body.length).to.equal(16_000_000)
    const state = await host.until(({ generations }) => generations.length === 1, 'the oldest is gone')
    const first = state.reports.find(({ to }) => to === 2)!
    expect(first.counts.filter(({ protocol }) => protocol === 'http1')).to.deep.equal([
      { protocol: 'http1', application: 'service:orders', moved: 1, drained: 0, cut: 0 },
    ])
    expect((await caller.get()).status).to.equal(200)
    caller.close()
  })

  it('idle keep-alive connections stay usable, however many restarts they slept through', async () => {
    const callers = await Promise.all(Array.from({ length: 20 }, () => KeepAliveCaller.connect(host.httpPort)))
    for (const caller of callers) await caller.get()
    for (let round = 0; round < 3; round++) await host.reload()
    for (const caller of callers) expect((await caller.get()).status).to.equal(200)
    for (const caller of callers) caller.close()
  })

  it('TCP streams and WebSockets are not cut, and no byte is lost or repeated', async () => {
    const streams = await Promise.all([
      ...Array.from({ length: 40 }, (_, index) => EchoStream.open(host.tcpPort, `t${index}`, 'tcp')),
      ...Array.from({ length: 40 }, (_, index) => EchoStream.open(host.httpPort, `w${index}`, 'websocket')),
    ])
    for (const stream of streams) stream.start(5, 700)
    for (let round = 0; round < 3; round++) {
      const report = await host.reload()
      expect(report.counts.filter((count) => count.cut > 0)).to.deep.equal([])
      const moved = (protocol: string): number =>
        report.counts.filter((count) => count.protocol === protocol).reduce((sum, count) => sum + count.moved, 0)
      expect({ tcp: moved('tcp'), websocket: moved('websocket') }).to.deep.equal({ tcp: 40, websocket: 40 })
    }
    const problems = await Promise.all(streams.map((stream) => stream.finish()))
    expect(problems.filter((problem) => problem !== undefined)).to.deep.equal([])
  })

  it('streams that push against full buffers in both directions lose nothing either', async () => {
    const streams = await Promise.all(
      Array.from({ length: 4 }, (_, index) => EchoStream.open(host.tcpPort, `t${index}`, 'tcp')),
    )
    for (const stream of streams) stream.start(5, 200_000)
    for (let round = 0; round < 3; round++) await host.reload()
    const problems = await Promise.all(streams.map((stream) => stream.finish()))
    expect(problems.filter((problem) => problem !== undefined)).to.deep.equal([])
  })

  it('a response under way is finished by the old worker, and the connection then goes on in the new one', async () => {
    const caller = await KeepAliveCaller.connect(host.httpPort)
    const slow = caller.get('/slow/2500')
    const report = host.reload()
    expect((await slow).body).to.equal('provider')
    expect((await report).goneMs).to.be.above(2000)
    expect((await caller.get()).status).to.equal(200)
    caller.close()
  })

  it('a large response under way arrives whole', async () => {
    const caller = await KeepAliveCaller.connect(host.httpPort)
    caller.socket.pause()
    const big = caller.get('/big/8000000')
    const report = host.reload('gone')
    setTimeout(() => caller.socket.resume(), 1000)
    expect((await big).body.length).to.equal(8_000_000)
    expect((await report).outcome).to.equal('done')
    expect((await caller.get()).status).to.equal(200)
    caller.close()
  })

  it('a partial head and pipelined requests travel along', async () => {
    const half = await KeepAliveCaller.connect(host.httpPort)
    half.socket.write('GET / HTTP/1.1\r\nhos')
    const piped = await KeepAliveCaller.connect(host.httpPort)
    const first = piped.send(
      'GET /slow/1500 HTTP/1.1\r\nhost: a\r\n\r\nGET /big/5 HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nho',
    )
    await host.reload('serving')
    expect((await first).body).to.equal('provider')
    expect((await piped.send('')).body).to.equal('bbbbb')
    expect((await piped.send('st: a\r\n\r\n')).body).to.equal('provider')
    expect((await half.send('t: a\r\n\r\n')).status).to.equal(200)
    half.close()
    piped.close()
  })

  it('hundreds of listeners go from hand to hand, in batches, and none is refused meanwhile', async () => {
    await host.end()
    const more = await Promise.all(
      Array.from({ length: 250 }, async (_, index) => ({ name: `service-${index}`, port: await freePort() })),
    )
    host = await startRealWorkers(provider, {}, more)
    await host.until((state) => state.heldShards === 2 * 252, 'every shard is held')
    let isDone = false
    const failures: string[] = []
    const walk = async (): Promise<void> => {
      for (let round = 0; !isDone; round++) {
        const { port } = more[(round * 7) % more.length]!
        const answer = await KeepAliveCaller.connect(port)
          .then(async (caller) => caller.get().finally(() => caller.close()))
          .catch((error: unknown) => failures.push(String(error)))
        if (typeof answer === 'object' && answer.status !== 200) failures.push(answer.head)
      }
    }
    const walking = walk()
    for (let round = 0; round < 2; round++) expect((await host.reload()).outcome).to.equal('done')
    isDone = true
    await walking
    expect(failures).to.deep.equal([])
    expect((await host.state()).heldShards).to.equal(2 * 252)
  })

  it('the number of workers can change without a lost connection', async () => {
    const load = await keepAliveLoad(host.httpPort, 16)
    for (const workers of [3, 1, 2]) {
      const report = await host.upgrade(host.release({ name: `with ${workers}`, workers }))
      expect(report.outcome, report.cause).to.equal('done')
    }
    expect((await load.stop()).failures).to.deep.equal([])
  })

  it('workers that serve their sockets in different ways give each other their connections', async () => {
    const load = await keepAliveLoad(host.httpPort, 16)
    const stream = await EchoStream.open(host.tcpPort, 't', 'tcp')
    stream.start(5, 700)
    for (const transport of ['raw', 'epoll', 'raw', 'auto']) {
      const given = host.release({ name: `on ${transport}` })
      const worker = [...given.worker.slice(0, given.worker.indexOf('--transport')), '--transport', transport]
      const report = await host.upgrade({ ...given, worker })
      expect(report.outcome, report.cause).to.equal('done')
      expect(report.counts.reduce((sum, count) => sum + count.cut + count.drained, 0)).to.equal(0)
    }
    expect((await load.stop()).failures).to.deep.equal([])
    expect(await stream.finish()).to.equal(undefined)
  })

  it('the death of a worker, of control and of the watchdog costs at most what was in flight on the dead process', async () => {
    const load = await keepAliveLoad(host.httpPort, 8)
    const fresh = newConnectionLoad(host.httpPort, 4)
    process.kill((await host.child('control')).pid, 'SIGKILL')
    host.process!.kill('SIGKILL')
    await once(host.process!, 'exit')
    host.startWatchdog()
    await host.until(
      (state) => state.isAdopted && state.heldShards === 4 && host.serving(state) !== undefined,
      'adopted',
    )
    expect((await load.stop()).failures).to.deep.equal([])
    const { pid } = await host.child('worker', 0)
    process.kill(pid, 'SIGKILL')
    await host.until(
      (state) => host.serving(state)?.children.every((child) => child.pid !== pid) === true,
      'the worker is back',
    )
    const { failures } = await fresh.stop()
    expect(failures.filter((failure) => failure === 'ECONNREFUSED')).to.deep.equal([])
    expect(failures.length).to.be.at.most(4)
    expect((await host.reload()).outcome).to.equal('done')
  })
})
