import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closing } from '../../support/closing.ts'
import { keepAliveLoad, KeepAliveCaller } from '../../support/continuity/callers.ts'
import { startFarSide } from '../../support/continuity/far-side.ts'
import { startRealWorkers } from '../../support/continuity/real-workers.ts'
import { isAlive, WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { testOptions } from '../../support/continuity/watchdog-options.ts'
import { holds } from '../../support/worker/eventually.ts'

describe('when resources run out:', function () {
  this.timeout(120_000)
  let host: WatchdogHost | undefined

  afterEach(async () => {
    if (host !== undefined) expect(await host.end(), 'processes left').to.deep.equal([])
    host = undefined
  })

  it('a worker without a descriptor left keeps what it has, is not killed for it, and accepts again when some are free', async () => {
    const provider = await startFarSide('provider', false)
    host = await startRealWorkers(provider, {
      workers: 1,
      maxOpenFiles: 200,
      tuning: { liveness: { periodMs: 300, suspectMs: 300, deadMs: 8000 }, restarts: { windowMs: 600_000 } },
    })
    const { pid } = await host.child('worker')
    const steady = await keepAliveLoad(host.httpPort, 4)
    // with a connection to the endpoint, each: what it has
    await steady.served
    const crowd = Array.from({ length: 300 }, () => net.connect(host!.tcpPort, '127.0.0.1').on('error', () => {}))
    await holds(() => isAlive(pid), 11_000)
    for (const socket of crowd) socket.destroy()
    expect((await steady.stop()).failures).to.deep.equal([])
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect((await caller.get()).status).to.equal(200)
    caller.close()
    expect((await host.child('worker')).pid).to.equal(pid)
    await provider.close()
  })

  it('the relay sheds connections before it runs out of descriptors, and the workers come back all the same', async () => {
    const center = await startFarSide('center', true)
    host = await WatchdogHost.start({
      maxOpenFiles: 300,
      tuning: { restarts: { firstPauseMs: 5000, lastPauseMs: 5000 } },
    })
    host.writeTargets({
      writtenAt: Date.now(),
      host: 'a',
      centers: [`127.0.0.1:${center.port}`],
      listeners: {
        tcp: { kind: 'service', protocol: 'tcp', service: undefined, center: true, direct: false, endpoints: [] },
      },
      services: {},
      names: {},
      fallbackNetworks: [],
    })
    await host.until((state) => state.relay.targetsAgeMs >= 0, 'the targets are known')
    for (const child of (await host.state()).generations[0]!.children) process.kill(child.pid, 'SIGKILL')
    await host.until((state) => state.relay.isRelaying, 'the relay accepts')
    const crowd = Array.from({ length: 400 }, () => net.connect(host!.tcpPort, '127.0.0.1').on('error', () => {}))
    await host.until((state) => state.relay.connections.shed > 0, 'connections are shed')
    const state = await host.until((now) => host!.serving(now) !== undefined, 'workers are back')
    expect(state.relay.connections.center).to.be.above(20)
    for (const socket of crowd) socket.destroy()
    await center.close()
  })

  for (const kind of ['full', 'read-only'] as const) {
    it(`a state directory that is ${kind} costs the report's file, and nothing else`, async function () {
      const folder = mkdtempSync(join(tmpdir(), 'hm-disk-'))
      const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', folder])
      if (mount.status !== 0) {
        rmSync(folder, { recursive: true })
        this.test!.title += ' (needs root, to mount a small disk)'
        this.skip()
      }
      try {
        if (kind === 'full') {
          try {
            writeFileSync(join(folder, 'filler'), Buffer.alloc(1024 * 1024))
          } catch {
            // Full, as wanted.
          }
        } else {
          spawnSync('mount', ['-o', 'remount,ro', folder])
        }
        host = await WatchdogHost.start({ stateDir: folder })
        const load = await keepAliveLoad(host.httpPort, 4)
        const report = await host.reload()
        expect(report.outcome).to.equal('done')
        expect((await load.stop()).failures).to.deep.equal([])
        expect((await host.state()).reports[0]).to.include({ id: report.id })
        const said = (): boolean => host!.lines.some((line) => line.includes('the report could not be written'))
        await host.until(said, 'the log says so')
        await host.end()
        host = undefined
      } finally {
        spawnSync('umount', [folder])
        rmSync(folder, { recursive: true })
      }
    })
  }

  it('a run directory that cannot be made is a clear error at the start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-run-'))
    writeFileSync(join(folder, 'file'), '')
    const options = {
      runDir: join(folder, 'file', 'run'),
      stateDir: folder,
      release: { name: 'x', control: ['a'], worker: ['a'], workers: 1 },
      ...testOptions,
    }
    const run = spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../../../watchdog/main.ts'), JSON.stringify(options)],
      { encoding: 'utf8' },
    )
    expect(run.status).to.equal(1)
    expect(run.stdout).to.match(/E_RUN_DIRECTORY .*cannot be made/)
    rmSync(folder, { recursive: true })
  })

  it('a wall clock that jumps 400 days ahead and then back an hour ends no process and loses no request', async () => {
    const provider = await startFarSide('provider', false)
    host = await startRealWorkers(provider, {
      environment: {
        NODE_OPTIONS: `--import=${join(import.meta.dirname, '../../support/continuity/jumping-clock.mjs')}`,
      },
    })
    const before = (await host.state()).generations[0]!.children.map((child) => child.pid)
    const load = await keepAliveLoad(host.httpPort, 4)
    await holds(() => before.every(isAlive), 5000)
    expect(await host.reload()).to.include({ outcome: 'done' })
    const after = (await host.state()).generations.at(-1)!.children.map((child) => child.pid)
    await holds(() => after.every(isAlive), 3000)
    expect((await load.stop()).failures).to.deep.equal([])
    const state = await host.state()
    expect(state.reports.map((report) => report.kind)).to.have.members(['reload', 'start'])
    expect(before).to.have.length(3)
    await provider.close()
  })

  it('without the native calls it still supervises and replaces; only the handover is off, and says so', async () => {
    const provider = await startFarSide('provider', false)
    host = await startRealWorkers(provider, { nodeFlags: ['--no-experimental-ffi'] })
    expect((await host.state()).handover).to.match(/^off: /)
    const caller = await KeepAliveCaller.connect(host.httpPort)
    expect((await caller.get()).status).to.equal(200)
    const report = await host.reload()
    expect(report.outcome, report.cause).to.equal('done')
    const { pid } = await host.child('worker')
    process.kill(pid, 'SIGKILL')
    await host.until((now) => host!.serving(now)?.children.every((child) => child.pid !== pid) === true, 'it is back')
    const fresh = await KeepAliveCaller.connect(host.httpPort)
    expect((await fresh.get()).status).to.equal(200)
    for (const one of [caller, fresh]) one.close()
    const first = host.process!
    const second = host.startWatchdog()
    expect(await new Promise((resolve) => second.once('exit', resolve))).to.equal(3)
    host.process = first
    await provider.close()
  })

  it('garbage on the sockets of the run directory closes that connection and changes nothing', async () => {
    host = await WatchdogHost.start()
    for (const garbage of [
      'GET / HTTP/1.1\r\n\r\n',
      '\xff\xff\xff\xff',
      '\0\0\0\x02{}',
      '\0\0\0\x04null',
      `\0\0\0\x1b{"type":"hello","link":99}  `,
    ]) {
      const socket = net.connect(join(host.runDir, 'watchdog.sock'))
      socket.on('error', () => {})
      socket.resume()
      await once(socket, 'connect')
      socket.end(Buffer.from(garbage, 'latin1'))
      await closing(socket)
    }
    expect(host.serving(await host.state())).to.not.equal(undefined)
  })
})
