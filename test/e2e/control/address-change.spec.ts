/** A host whose address changes while it runs (a new lease): in a network namespace of its own, with real processes. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { call, until } from '../../support/mesh/mesh.ts'
import { openPeerNamespace, type PeerNamespace } from '../../support/security/network-namespace.ts'
import { runAs } from '../../support/security/other-user.ts'

const main = join(import.meta.dirname, '../../../cli/main.ts')

describe('a host whose address changes while it runs', function () {
  this.timeout(90_000)
  let network: PeerNamespace
  let registry: EmbeddedRegistry
  let folder: string
  let watchdog: ChildProcess
  let application: ChildProcess
  let log = ''

  before(async function () {
    const opened = process.getuid!() === 0 ? openPeerNamespace(Math.random) : undefined
    if (opened === undefined) {
      console.log('skipped: network namespaces cannot be made here')
      this.skip()
    }
    network = opened
    ip(`-n ${network.name} route add default via ${network.here}`)
    registry = await startEmbeddedRegistry({ host: network.here, mergeWindowMs: 50 })
    folder = mkdtempSync(join(tmpdir(), 'hm-address-'))
    mkdirSync(join(folder, 'services.d'))
    mkdirSync(join(folder, 'rules.d'))
    writeFileSync(
      join(folder, 'services.d/orders.yaml'),
      'service: orders\nport: 8080\nprotocol: http\ncheck: { off: true }\n',
    )
    const config = {
      registries: [{ name: 'main', type: 'nacos', servers: [registry.address] }],
      servicesDir: 'services.d',
      rulesDir: 'rules.d',
      runDir: 'run',
      stateDir: 'state',
      workers: 1,
    }
    writeFileSync(join(folder, 'agent.yaml'), JSON.stringify(config))
    const serve = `require('node:http').createServer((incoming, outgoing) => outgoing.end('orders')).listen(8080, '127.0.0.1', () => process.stdout.write('on'))`
    application = runAs(0, serve, '', network.name)
    await once(application.stdout!, 'data')
    watchdog = spawn(
      'ip',
      ['netns', 'exec', network.name, process.execPath, main, 'watchdog', '-c', join(folder, 'agent.yaml')],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    for (const stream of [watchdog.stdout!, watchdog.stderr!])
      stream.on('data', (bytes: Buffer) => (log += bytes.toString()))
  })
  after(async () => {
    if (watchdog?.exitCode === null) {
      watchdog.kill('SIGTERM')
      await once(watchdog, 'exit')
    }
    application?.kill('SIGKILL')
    await registry?.close()
    network?.close()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(log)
  })

  interface Instance {
    readonly ip: string
    readonly port: number
    readonly healthy: boolean
  }
  const instances = async (): Promise<readonly Instance[]> => {
    const reply = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?serviceName=orders`)
    return ((await reply.json()) as { hosts: readonly Instance[] }).hosts
  }

  it('is announced at the new one within seconds, is reached there, and leaves nothing at the old one', async () => {
    const here = network.here.replace('198.18.', '198.19.')
    const there = network.there.replace('198.18.', '198.19.')
    const isAt = (address: string) => async (): Promise<boolean> => {
      const [first, ...others] = await instances()
      return others.length === 0 && first?.ip === address && (await call(address, first.port)).body === 'orders'
    }
    await until(20_000, 'announced at the first address, and reached', isAt(network.there))
    ip(`addr add ${here}/30 dev ${network.nearLink}`)
    ip(`-n ${network.name} addr add ${there}/30 dev ${network.farLink}`)
    ip(`-n ${network.name} route replace default via ${here}`)
    ip(`-n ${network.name} addr del ${network.there}/30 dev ${network.farLink}`)
    await until(20_000, 'announced at the second address alone, and reached', isAt(there))
    expect(log).to.include(`the address of this host is ${there} now, it was ${network.there}`)
  })
})

function ip(line: string): void {
  const { status, stderr } = spawnSync('ip', line.split(' '), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${line}: ${stderr}`)
}
