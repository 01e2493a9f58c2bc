/** Hosts that join a center and get certificates from it, by the real command and real processes. */
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect } from 'chai'
import { certify, type CaIdentity, type CaTrust } from '../../../agent/control/host/identities/ca-client.ts'
import { readKept } from '../../../agent/control/host/identities/kept-identities.ts'
import { keyAndRequest } from '../../../agent/control/host/identities/signing-request.ts'
import { MeshError, describeError } from '../../../contracts/errors.ts'
import { encodeProxyV2, relayTlvs } from '../../../contracts/proxy-protocol.ts'
import { readRelayIdentity, towardsCenter } from '../../../contracts/relay-identity.ts'
import { spiffeIdIn } from '../../../contracts/spiffe-id.ts'
import { hostmesh, makeToken } from '../../support/ca/joining.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import { Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'

interface Row {
  readonly id: string
  readonly state: string
  readonly serial?: string
  readonly notAfter?: number
  readonly chain: readonly string[]
  readonly problem?: string
}

/** Shows the certificate of an application, not that of its host, and goes on with the one that it gets. */
class Renewing {
  renewals = 0
  problem = ''

  constructor(host: DemoHost, id: string, center: { readonly host: string; readonly port: number }) {
    const { body } = JSON.parse(readFileSync(join(host.stateDir, 'identities.json'), 'utf8')) as { body: unknown }
    const { certificates, trustBundle, trustDomain } = readKept(body)!
    void this.goOn(
      center,
      { trustBundle, trustDomain },
      certificates.find((one) => one.id === id)!,
    )
  }

  private async goOn(center: { host: string; port: number }, trust: CaTrust, first: CaIdentity): Promise<void> {
    let mine = first
    let away = 0
    while (this.problem === '') {
      const id = spiffeIdIn(new X509Certificate(mine.chain).subjectAltName)!
      const { key, request } = await keyAndRequest(id)
      try {
        const { chain } = await certify(center, trust, mine, request)
        mine = { chain, key }
        this.renewals++
        away = 0
      } catch (error) {
        // a center that makes way for its next generation may reset a connection, which is no refusal
        const isAway = error instanceof MeshError && error.code === 'E_CA_UNREACHABLE'
        if (!isAway || ++away > 20) this.problem = describeError(error)
      }
    }
  }
}

describe('a center that certifies hosts', function () {
  this.timeout(180_000)
  let folder: string
  let mesh: Mesh
  let center: DemoHost
  let hosts: DemoHost[]
  let authority: string
  let relay: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-ca-'))
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    center = mesh.host('center', { role: 'center' })
    authority = `${center.options.address}:15012`
    const ca = {
      address: authority,
      trustDomain: 'mesh.test',
      leafLifetime: '10s',
      hostLifetime: '15s',
      rotationSpread: '3s',
      grants: [{ hosts: ['web-*'], identities: ['ns/default/sa/orders'] }],
    }
    relay = `${center.options.address}:15443`
    const taken = { address: relay, allowedNetworks: ['127.0.0.0/8'], mtls: 'strict' }
    Object.assign(center.options, { extra: { ca, relay: taken } })
    center.start()
    await center.ready()
    hosts = await Promise.all(
      ['web-1', 'web-2'].map(async (name) => {
        const application = await mesh.httpApplication(name === 'web-1' ? 'orders' : 'ledger', 'v1')
        const identity = { authorities: [authority], refresh: '1s' }
        const extra = { identity, center: { addresses: [relay], mtls: true } }
        return mesh.startedHost(name, { applications: [application], extra })
      }),
    )
  })
  after(async () => {
    await mesh?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const rows = async (host: DemoHost): Promise<Row[]> => {
    const { out } = await hostmesh('certs', '-c', host.configPath, '--json')
    return JSON.parse(out) as Row[]
  }
  const row = async (host: DemoHost, id: string): Promise<Row | undefined> => {
    const found = (await host.json('/identities?format=json')) as { identities: Row[] }
    return found.identities.find((one) => one.id === id)
  }
  const token = (host: string, ...words: string[]) => makeToken(center, host, ...words)
  const orders = 'spiffe://mesh.test/ns/default/sa/orders'
  const ledger = 'spiffe://mesh.test/ns/default/sa/ledger'

  it('lets each join by a token of its own, once, and says why another one may not', async () => {
    const [one, two] = hosts as [DemoHost, DemoHost]
    const first = await token('web-1')
    const wrong = await hostmesh('join', '-c', two.configPath, '--token-file', first)
    expect(wrong.code).to.equal(1)
    expect(wrong.err).to.include('it is for host web-1, not for web-2')
    const pinned = await hostmesh('join', '-c', one.configPath, '--token-file', first, '--ca-pin', 'ab'.repeat(32))
    expect(pinned.err).to.include('shows no root with the pin')
    const joined = await hostmesh('join', '-c', one.configPath, '--token-file', first)
    expect(joined.code, joined.err).to.equal(0)
    expect(joined.out).to.include('spiffe://mesh.test/host/web-1')
    const again = await hostmesh('join', '-c', one.configPath, '--token-file', first)
    expect(again.code).to.equal(1)
    expect(again.err).to.match(/E_CA_REFUSED .*it was used at .*, and is good for once/)
    for (const host of [center, one, two]) {
      const secret = readFileSync(first, 'utf8').split('.')[2]!
      expect(host.lastLines(200).join('\n')).to.not.include(secret)
    }
  })

  it('certifies the application that was granted, and refuses another one by name', async () => {
    const [one, two] = hosts as [DemoHost, DemoHost]
    await until(30_000, 'orders has a certificate', async () => (await row(one, orders))?.state === 'good')
    const second = await token('web-2')
    await hostmesh('join', '-c', two.configPath, '--token-file', second)
    await until(30_000, 'ledger is refused', async () => (await row(two, ledger))?.problem !== undefined)
    expect((await row(two, ledger))!.problem).to.include(
      'ledger: not granted to host web-2; granted are ns/default/sa/orders',
    )
    const listed = await hostmesh('certs', '-c', two.configPath)
    expect(listed.code).to.equal(1)
    expect(listed.out).to.include('not granted to host web-2')
    const third = await token('web-2', '--identity', 'ns/default/sa/led*', '--ttl', '1h')
    await hostmesh('join', '-c', two.configPath, '--token-file', third)
    await until(30_000, 'ledger is certified', async () => (await row(two, ledger))?.state === 'good')
    const [leaf] = (await row(one, orders))!.chain
    expect(new X509Certificate(leaf!).subjectAltName).to.equal(`URI:${orders}`)
    expect(statSync(join(one.stateDir, 'identities.json')).mode & 0o777).to.equal(0o600)
    const dumps = await Promise.all(
      ['/config_dump', '/certs', '/identities?format=json'].map((path) => one.admin.get(path)),
    )
    for (const dump of dumps) expect(dump.text).to.not.include('PRIVATE KEY')
    expect(dumps[1]!.text).to.include(orders)
  })

  it('renews before the end again and again, also over restarts of either side', async () => {
    const [one] = hosts as [DemoHost, DemoHost]
    const serials = new Set<string>()
    const look = async () => {
      const found = (await row(one, orders))!
      expect(found.notAfter!).to.be.greaterThan(Date.now())
      serials.add(found.serial!)
    }
    await look()
    await Promise.all([one.reload(), center.reload()])
    const before = serials.size
    await until(30_000, 'two more after the restarts', async () => {
      await look()
      return serials.size >= before + 2
    })
    expect((await rows(one)).map(({ state }) => state)).to.deep.equal(['good', 'good'])
  })

  it('begins a change of its root once, and shows where it is', async () => {
    const roots = async (): Promise<number> =>
      ((await center.json('/ca')) as { authority: { roots: unknown[] } }).authority.roots.length
    expect((await hostmesh('ca', 'rotate', '-c', center.configPath)).code).to.equal(0)
    expect(await roots()).to.equal(2)
    const shown = await hostmesh('ca', 'show', '-c', center.configPath)
    expect(shown.out).to.match(/rotation: (?:spreading|overlapping)/)
    expect(shown.out).to.include('web-1')
    const twice = await hostmesh('ca', 'rotate', '-c', center.configPath)
    expect(twice.code).to.equal(1)
    expect(twice.err).to.include('a rotation of the root is under way')
  })

  /** What the relay of the center says to a request of this host; '' = it closes the connection. */
  async function relayed(host: DemoHost): Promise<string> {
    const identity = readRelayIdentity(readFileSync(join(host.stateDir, 'relay-identity.json'), 'utf8'))
    const socket = connect({ host: center.options.address, port: 15_443, ...towardsCenter(identity) })
    let said = ''
    socket.on('data', (bytes: Buffer) => (said += bytes.toString('latin1')))
    const tlvs = relayTlvs({ service: '', host: 'whatever', listener: 'x' })
    socket.write(encodeProxyV2({ command: 'proxy', source: undefined, destination: undefined, tlvs: [...tlvs] }))
    socket.write('GET / HTTP/1.1\r\nHost: nowhere.test\r\nConnection: close\r\n\r\n')
    await new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()))
    return said.slice(0, 12)
  }

  it('relays nothing of a host from the moment that it is denied, over restarts, until it is allowed again', async () => {
    const [, two] = hosts as [DemoHost, DemoHost]
    const refusals = () => counted(center, 'hostmesh_relay_refused_hosts_total')
    expect(await relayed(two)).to.match(/^HTTP\/1\.1 /)
    expect(await refusals()).to.equal(0)
    expect((await hostmesh('ca', 'deny', '-c', center.configPath, '--host', 'web-2')).code).to.equal(0)
    await until(20_000, 'it is refused', async () => (await relayed(two)) === '')
    const before = await refusals()
    // the watchdog of that host asks every 10 s whether the center lives, and is refused as well
    expect(before).to.be.at.least(1)
    await center.reload()
    expect(await relayed(two)).to.equal('')
    // what the workers before have counted may come behind their connections
    await until(20_000, 'it is counted', async () => (await refusals()) >= before + 1)
    expect((await hostmesh('ca', 'allow', '-c', center.configPath, '--host', 'web-2')).code).to.equal(0)
    await until(20_000, 'it is taken again', async () => (await relayed(two)) !== '')
  })

  it('gives a denied host nothing more, until it is allowed again', async () => {
    const [one] = hosts as [DemoHost, DemoHost]
    // what the host has kept of its application asks for itself, again and again
    const thief = new Renewing(one, orders, { host: center.options.address, port: 15012 })
    await until(20_000, 'it renews', () => Promise.resolve(thief.renewals > 1))
    const deny = await hostmesh('ca', 'deny', '-c', center.configPath, '--host', 'web-1', '--reason', 'stolen')
    expect(deny.code, deny.err).to.equal(0)
    await until(20_000, 'it is refused', () => Promise.resolve(thief.problem !== ''))
    expect(thief.problem).to.include('host web-1 is denied: stolen')
    await until(20_000, 'its renewal is refused', async () =>
      ((await row(one, orders))!.problem ?? '').includes('host web-1 is denied: stolen'),
    )
    expect((await hostmesh('ca', 'allow', '-c', center.configPath, '--host', 'web-1')).code).to.equal(0)
    await until(30_000, 'it is certified again', async () => (await row(one, orders))!.problem === undefined)
  })
})
