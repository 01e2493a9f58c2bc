import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { KeepAliveCaller, newConnectionLoad } from '../../support/continuity/callers.ts'
import { ServiceManagerDouble } from '../../support/continuity/service-manager-double.ts'
import { WatchdogHost } from '../../support/continuity/watchdog-host.ts'

describe('under a service manager', function () {
  this.timeout(120_000)
  let manager: ServiceManagerDouble
  let host: WatchdogHost

  beforeEach(async () => {
    manager = new ServiceManagerDouble()
    host = await WatchdogHost.start({ manager })
  })

  afterEach(async () => {
    expect(await host.end(), 'processes left').to.deep.equal([])
    manager.close()
  })

  async function heard(text: string): Promise<void> {
    while (!manager.messages.some((message) => message.includes(text)))
      await new Promise((resolve) => setTimeout(resolve, 10))
  }

  it('the watchdog says when it serves, that it lives, and when it stops', async () => {
    await heard('READY=1')
    await heard('WATCHDOG=1')
    host.process!.kill('SIGTERM')
    await heard('STOPPING=1')
  })

  it('the sockets survive the death of every process, with the callers in their queues', async () => {
    await host.until((state) => state.heldShards === 2, 'both sockets are held')
    while (manager.stored.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    const { generations } = await host.state()
    host.process!.kill('SIGKILL')
    for (const child of generations[0]!.children) process.kill(child.pid, 'SIGKILL')
    await once(host.process!, 'exit')
    const waiting = await KeepAliveCaller.connect(host.httpPort)
    const answer = waiting.get()
    const load = newConnectionLoad(host.httpPort, 4)
    host.startWatchdog()
    expect(JSON.parse((await answer).body)).to.include({ generation: 2 })
    expect((await load.stop()).failures).to.deep.equal([])
    waiting.close()
  })

  it('a restarted watchdog adopts what runs and needs nothing from the workers that the store already has', async () => {
    while (manager.stored.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    host.process!.kill('SIGKILL')
    await once(host.process!, 'exit')
    host.startWatchdog()
    await host.until((state) => state.isAdopted && state.heldShards === 2, 'adopted with its sockets')
    expect((await host.reload()).outcome).to.equal('done')
  })
})

describe('the unit files', () => {
  for (const unit of ['hostmesh.service', 'hostmesh-center.service']) {
    it(`${unit} is hardened to an exposure of 1.5 or less`, function () {
      const file = join(import.meta.dirname, '../../../systemd', unit)
      const run = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', file], { encoding: 'utf8' })
      if (run.error !== undefined) {
        this.test!.title += ' (needs systemd-analyze: apt-get install systemd)'
        this.skip()
      }
      const level = Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(run.stdout)?.[1])
      expect(level, run.stderr).to.be.at.most(1.5)
    })
  }
})
