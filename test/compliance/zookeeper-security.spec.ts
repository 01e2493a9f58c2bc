/**
 * TLS and credentials against a real ZooKeeper: the right ones, the wrong ones, and ones that are put right while the
 * agent runs.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import type { ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createZooKeeperAdapter } from '../../registry-adapters/zookeeper/index.ts'
import type { ZooKeeperAdapterConfig } from '../../registry-adapters/zookeeper/index.ts'
import { throwawayCertificates } from '../support/nacos/certificates.ts'
import type { Certificates } from '../support/nacos/certificates.ts'
import { startGate } from '../support/nacos/gate.ts'
import { eventually, recordedDeps, recordingListener } from '../support/registry-listener.ts'
import { needsZooKeeper, startZooKeeper } from '../support/zookeeper/server.ts'
import type { ZooKeeperServer } from '../support/zookeeper/server.ts'
import { outsideTree } from '../support/zookeeper/outside.ts'
import type { OutsideTree } from '../support/zookeeper/outside.ts'

const orders: ServiceName = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }

describe('a real ZooKeeper with TLS and access lists', function () {
  this.timeout(240_000)
  let folder: string
  let certificates: Certificates
  let server: ZooKeeperServer
  let tree: OutsideTree
  const adapters: RegistryAdapter[] = []

  before(async function () {
    await needsZooKeeper(this)
    certificates = await throwawayCertificates()
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-zookeeper-tls-'))
    const [keyAndCert, ca] = [join(folder, 'server.pem'), join(folder, 'ca.pem')]
    writeFileSync(keyAndCert, `${certificates.serverKey}\n${certificates.serverCert}`)
    writeFileSync(ca, certificates.ca)
    server = await startZooKeeper({ tls: { keyAndCert, ca } })
    tree = await outsideTree(server.port)
    await tree.put('/services/orders/10.0.0.1:80', JSON.stringify({ address: '10.0.0.1', port: 80 }))
    await tree.put('/services/secret/10.0.0.2:80', JSON.stringify({ address: '10.0.0.2', port: 80 }))
    // this one may be read by `outside:secret` only
    await tree.own('/services/secret', true)
  })
  afterEach(() => Promise.all(adapters.splice(0).map((adapter) => adapter.close())))
  after(async () => {
    ;(tree as OutsideTree | undefined)?.close()
    await (server as ZooKeeperServer | undefined)?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const started = (port: number, change: Partial<ZooKeeperAdapterConfig>): RegistryAdapter => {
    const adapter = createZooKeeperAdapter(
      {
        name: 'zk',
        servers: [{ host: '127.0.0.1', port }],
        layout: 'plain',
        namespace: 'public',
        group: 'DEFAULT_GROUP',
        sessionTimeoutMs: 8000,
        auth: () => undefined,
        tls: () => undefined,
        maxEndpoints: 100,
        ...change,
      },
      recordedDeps(),
    )
    adapters.push(adapter)
    adapter.start()
    return adapter
  }
  const problemOf = async (adapter: RegistryAdapter): Promise<string> => {
    await eventually(() => adapter.status().problem !== undefined, 'a problem that is named')
    expect(adapter.status().connected).to.equal(false)
    const { code, message } = adapter.status().problem!
    return `${code} ${message}`
  }
  const secure = (ca: string): Partial<ZooKeeperAdapterConfig> => ({ tls: () => ({ ca, servername: 'nacos.test' }) })

  it('reads and announces by TLS when the authority is the right one', async () => {
    const adapter = started(server.securePort, secure(certificates.ca))
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    const handle = adapter.register({
      service: orders,
      address: '10.0.0.9',
      port: 90,
      weight: 1,
      cluster: '',
      healthy: true,
      enabled: true,
      metadata: {},
    })
    await listener.untilIds(['10.0.0.1:80', '10.0.0.9:90'])
    await handle.deregister(5000)
    await listener.untilIds(['10.0.0.1:80'])
  })

  it('refuses a server of another authority or name, and says that it is the certificate', async () => {
    const strange = started(server.securePort, { tls: () => ({ servername: 'nacos.test' }) })
    expect(await problemOf(strange)).to.match(/E_REGISTRY_UNREACHABLE.*certificate/)
    const named = started(server.securePort, { tls: () => ({ ca: certificates.ca, servername: 'other.test' }) })
    expect(await problemOf(named)).to.match(/E_REGISTRY_UNREACHABLE.*(altnames|certificate)/)
  })

  it('plain at a TLS port, and TLS at a plain port, are problems with a name, not silence', async () => {
    const plain = started(server.securePort, {})
    const tls = started(server.port, secure(certificates.ca))
    expect(await problemOf(plain)).to.contain(`127.0.0.1:${server.securePort}`)
    expect(await problemOf(tls)).to.contain(`127.0.0.1:${server.port}`)
  })

  it('a wrong password is named, takes nothing from what may be read, and is put right without a restart', async () => {
    let auth = 'outside:wrong'
    const gate = await startGate(server.port)
    const adapter = started(gate.port, { auth: () => auth })
    const [open, secret] = [recordingListener(), recordingListener()]
    adapter.subscribe(orders, open)
    adapter.subscribe({ ...orders, name: 'secret' }, secret)
    await open.untilIds(['10.0.0.1:80'])
    await eventually(() => adapter.status().problem?.code === 'E_REGISTRY_DENIED', 'the refusal')
    expect(adapter.status().problem?.message).to.contain('/services/secret')
    expect(secret.problems).to.have.length(1)
    expect(secret.sets).to.deep.equal([])
    // the next connection has the right one
    auth = 'outside:secret'
    gate.cut()
    await secret.untilIds(['10.0.0.2:80'])
    await eventually(() => adapter.status().problem === undefined, 'a good status')
    await gate.close()
  })
})
