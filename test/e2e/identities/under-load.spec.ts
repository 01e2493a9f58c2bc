/**
 * Two hosts that joined one center call each other in mutual TLS: certificates and the root change under load, callers
 * die and reuse their ports, and nobody is ever taken for somebody else.
 *
 * `npm run soak:identities` makes 100,000 connections of callers instead of some thousands.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { keepAliveLoad } from '../../support/continuity/callers.ts'
import { joinHost, makeToken } from '../../support/ca/joining.ts'
import { inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { runAs } from '../../support/security/other-user.ts'

const [alice, bob, nobody] = [4201, 4202, 65534]
const connectionsOfCallers = Number(process.env['HOSTMESH_CHURN'] ?? 3000)
const idOf = (account: string) => `spiffe://mesh.test/ns/default/sa/${account}`

describe('identities under load', function () {
  this.timeout(120_000 + connectionsOfCallers * 10)
  let mesh: Mesh
  let center: DemoHost
  let provider: DemoHost
  let caller: DemoHost

  before(async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    mesh = await Mesh.openOnFiles()
    center = mesh.host('center', { role: 'center' })
    const authority = `${center.options.address}:15012`
    const ca = {
      address: authority,
      trustDomain: 'mesh.test',
      leafLifetime: '10s',
      hostLifetime: '15s',
      rotationSpread: '3s',
      grants: [{ hosts: ['*'], identities: ['ns/default/sa/*'] }],
    }
    Object.assign(center.options, { extra: { ca } })
    const identity = { authorities: [authority], refresh: '1s' }
    const address = mesh.address()
    const applications = [
      await mesh.httpApplication('of-alice', 'v1', address),
      await mesh.httpApplication('of-bob', 'v1', address),
    ]
    provider = mesh.host('provider', { applications, extra: { identity } })
    caller = mesh.host('caller', { outbound: [{ service: 'of-alice', protocol: 'http' }], extra: { identity } })
    for (const host of [center, provider, caller]) host.start()
    await Promise.all([center, provider, caller].map((host) => host.ready()))
    for (const [name, user] of [
      ['alice', alice],
      ['bob', bob],
    ] as const)
      writeFileSync(
        join(caller.options.directory, 'services.d', `${name}.yaml`),
        stringify({ service: name, address: caller.options.address, port: 9000 + user, check: { off: true }, user }),
      )
    for (const host of [provider, caller]) await joinHost(host, await makeToken(center, host.options.name))
    for (const [host, id] of [
      [provider, idOf('of-alice')],
      [provider, idOf('of-bob')],
      [caller, idOf('alice')],
      [caller, idOf('bob')],
    ] as const)
      await until(20_000, `${id} is certified`, async () => (await states(host)).get(id) === 'good')
    for (const service of ['of-alice', 'of-bob']) {
      const port = await inboundPort(provider, service)
      const metadata = { 'hostmesh.inbound': 'true', 'hostmesh.mtls': 'permissive' }
      const endpoints = [{ address: provider.options.address, port, metadata }]
      mesh.tell(service, endpoints)
      await until(
        15_000,
        service,
        async () => (await call(caller.options.address, 15_001, { host: service })).status === 200,
      )
    }
  })
  after(async () => {
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function states(host: DemoHost): Promise<Map<string, string>> {
    const { identities } = (await host.json('/identities?format=json')) as {
      identities: { id: string; state: string }[]
    }
    return new Map(identities.map(({ id, state }) => [id, state]))
  }

  /** Connections that the provider took, by application and the name that the caller proved. */
  async function callersOf(service: string): Promise<Map<string, number>> {
    const { text } = await provider.admin.get('/stats/prometheus')
    const found = new Map<string, number>()
    for (const line of text.split('\n')) {
      if (!line.startsWith('hostmesh_inbound_connections_total{') || !line.includes(service)) continue
      const name = /caller="([^"]*)"/.exec(line)![1]!
      found.set(name, (found.get(name) ?? 0) + Number(line.split(' ').at(-1)))
    }
    return found
  }

  it('change certificates every few seconds and the root without a lost request', async () => {
    const load = await keepAliveLoad(await caller.port('of-alice'), 16, '/', { host: caller.options.address })
    const serials = new Set<string>()
    await center.admin.post('/ca/rotate')
    await until(60_000, 'the old root is gone', async () => {
      const { identities } = (await provider.json('/identities?format=json')) as {
        identities: { id: string; serial: string; state: string }[]
      }
      for (const { id, serial, state } of identities) {
        expect(state, id).to.be.oneOf(['good', 'late'])
        if (id === idOf('of-alice')) serials.add(serial)
      }
      const { authority } = (await center.json('/ca')) as { authority: { roots: unknown[] } }
      return authority.roots.length === 1
    })
    const { answered, failures } = await load.stop()
    expect(failures).to.deep.equal([])
    expect(answered).to.be.above(1000)
    expect(serials.size).to.be.above(3)
  })

  it('are never another one`s, however callers close, die and reuse ports', async () => {
    // each calls its own application alone, from the same 150 ports; every third dies with its request on the way
    const script = `
      const net = require('node:net'); const [host, name, count] = process.argv[1].split(' '); let left = Number(count), at = 0
      const next = () => { if (left-- <= 0) return
        const mode = left % 3
        const socket = net.connect({ host, port: 15001, localAddress: host, localPort: 44000 + (at++ % 150) })
        socket.on('error', () => {}); socket.on('close', () => setImmediate(next))
        socket.on('connect', () => { socket.write('GET / HTTP/1.1\\r\\nHost: ' + name + '\\r\\nConnection: close\\r\\n\\r\\n'); if (mode === 1) socket.end(); if (mode === 2) setTimeout(() => socket.resetAndDestroy(), 1) })
        socket.resume() }
      for (let i = 0; i < 6; i++) next()`
    const rounds = Math.ceil(connectionsOfCallers / 3000)
    const { address } = caller.options
    for (let round = 0; round < rounds; round++) {
      const callers = [
        runAs(alice, script, `${address} of-alice 1000`),
        runAs(bob, script, `${address} of-bob 1000`),
        runAs(nobody, script, `${address} of-alice 1000`),
      ]
      if (round % 4 === 3) callers[round % 2]!.kill('SIGKILL')
      await Promise.all(callers.map((child) => once(child, 'close')))
    }
    const [ofAlice, ofBob] = [await callersOf('of-alice'), await callersOf('of-bob')]
    const hosts = ['spiffe://mesh.test/host/caller']
    expect([...ofAlice.keys()]).to.have.members([idOf('alice'), ...hosts])
    expect([...ofBob.keys()]).to.have.members([idOf('bob'), ...hosts])
  })
})
