import { join } from 'node:path'
import { expect } from 'chai'
import { keepAliveLoad, newConnectionLoad } from '../../support/continuity/callers.ts'
import { startFarSide } from '../../support/continuity/far-side.ts'
import type { FarSide } from '../../support/continuity/far-side.ts'
import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'
import { keyOf, snapshotOf } from '../../support/worker/snapshots.ts'

/** Keeps a generation that died dead for long enough to be asked without it. */
const tuning = { restarts: { firstPauseMs: 5000, lastPauseMs: 5000 } }
const name = 'outbound-socket'
const fields = 'x-mesh-service: orders\r\n'

describe('callers at a unix socket', function () {
  this.timeout(180_000)
  let host: WatchdogHost
  let provider: FarSide
  let path: string

  beforeEach(async () => {
    provider = await startFarSide('provider', false)
    host = await WatchdogHost.start({
      workers: 2,
      tuning,
      snapshot: (started) => {
        path = join(started.folder, 'out.sock')
        const snapshot = snapshotOf({
          services: [{ name: 'orders', endpoints: [{ address: '127.0.0.1', port: provider.port }] }],
          listen: { orders: { address: '127.0.0.1', port: started.httpPort } },
        })
        const service = { service: keyOf('orders'), virtualHost: keyOf('orders') }
        const at = { address: path, port: 0, access: { mode: 0o600 }, proxyProtocol: 'off' } as const
        const listener = { name, kind: 'service', protocol: 'http', ...service, ...at } as const
        return { ...snapshot, listeners: { ...snapshot.listeners, [name]: listener } }
      },
    })
  })

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
    await provider.close()
  })

  it('notice nothing of a hot restart: no request fails, no connection ends', async () => {
    const load = await keepAliveLoad(path, 12)
    const news = newConnectionLoad(path, 2)
    await load.served
    const report = await host.upgrade(host.release({ name: 'next' }))
    expect(report.outcome, report.cause).to.equal('done')
    const { answered, closed, failures } = await load.stop()
    expect({ failures, closed }).to.deep.equal({ failures: [], closed: 0 })
    expect(answered).to.be.above(12)
    const { answered: fresh, failures: refused } = await news.stop()
    expect(refused).to.deep.equal([])
    expect(fresh).to.be.above(0)
  })

  it('are never refused when the worker that listens is killed', async () => {
    const news = newConnectionLoad(path, 2, '/', fields)
    await host.until(() => news.result.answered > 10, 'traffic')
    const before = news.result.answered
    const { pid } = await host.child('worker')
    process.kill(pid, 'SIGKILL')
    await host.until(() => news.result.answered > before + 50, 'traffic goes on')
    const { failures } = await news.stop()
    expect(failures.filter((one) => /ECONNREFUSED|ENOENT/.test(one))).to.deep.equal([])
    expect(failures.length, 'what was in flight').to.be.at.most(2)
  })
  it('reach the last known instances through the watchdog while the whole generation is dead', async () => {
    const route = { kind: 'service', protocol: 'http', service: keyOf('orders'), center: true, direct: true } as const
    host.writeTargets({
      writtenAt: Date.now(),
      host: 'host-a',
      centers: [],
      listeners: { [name]: { ...route, endpoints: [`127.0.0.1:${provider.port}`] } },
      services: {},
      names: {},
      fallbackNetworks: [],
    })
    await host.until((state) => state.relay.targetsAgeMs >= 0, 'the targets are known')
    const news = newConnectionLoad(path, 2, '/', fields)
    await host.until(() => news.result.answered > 10, 'traffic')
    const { generations } = await host.state()
    for (const { pid } of generations[0]!.children) process.kill(pid, 'SIGKILL')
    await host.until((state) => state.relay.isRelaying, 'the relay accepts')
    const before = news.result.answered
    await host.until(() => news.result.answered > before + 50, 'traffic goes on without a worker')
    expect((await host.state()).relay).to.include({ tier: 'direct', isRelaying: true })
    await host.until((state) => host.serving(state) !== undefined, 'workers serve again')
    const { failures } = await news.stop()
    expect(failures.filter((one) => /ECONNREFUSED|ENOENT/.test(one))).to.deep.equal([])
    expect(failures.length, 'what was in flight').to.be.at.most(2)
  })
})
