/** Limits that a center counts for hosts which show a token over TLS: the right one, and one that it does not know. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'

import { counted } from '../../support/mesh/host-facts.ts'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { perUserLimits } from '../../support/rate-limits/per-user.ts'
import { resource } from '../../support/routing.ts'
import { Authority } from '../../support/tls/authority.ts'

const limit = 10
const right = 'r'.repeat(40)
const wrong = 'w'.repeat(40)
const result = (name: string): [string, string] => ['hostmesh_ratelimit_total', `result="${name}"`]

describe('limits of a center that wants TLS and a token', function () {
  this.timeout(180_000)
  const authority = new Authority()
  let mesh: Mesh
  let tokensFile: string
  let host: DemoHost
  let stranger: DemoHost

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const orders = await mesh.httpApplication('orders', 'v1')
    mesh.tell('orders', [{ address: orders.address, port: orders.port }])
    const at = mesh.address()
    const file = (name: string, content: string): string => {
      writeFileSync(join(mesh.directory, name), content, { mode: 0o600 })
      return join(mesh.directory, name)
    }
    const { certificate, key } = authority.leaf('', { uris: [], dns: ['center.test'] })
    tokensFile = file('tokens', '')
    know(right)
    await mesh.startedHost('center', {
      role: 'center',
      extra: {
        xds: {
          address: `${at}:15010`,
          tls: { cert: file('xds.crt', certificate), key: file('xds.key', key) },
          tokensFile,
        },
        rateLimits: {
          domains: [
            {
              domain: 'shop',
              descriptors: [{ key: 'user', rate_limit: { unit: 'year', requests_per_unit: limit } }],
            },
          ],
        },
      },
    })
    const rules = [
      resource(
        'ServiceEntry',
        `hosts: [limits.internal]\nresolution: STATIC\nports: [{ number: 15010, name: grpc, protocol: GRPC }]\nendpoints: [{ address: ${at} }]`,
        'limits',
      ),
      resource(
        'DestinationRule',
        'host: limits.internal\ntrafficPolicy: { tls: { mode: SIMPLE, sni: center.test, credentialName: center } }',
        'limits',
      ),
      perUserLimits,
    ].join('---\n')
    const caller = (name: string, token: string): DemoHost => {
      const envoyRateLimitGrpc = {
        service: 'limits.internal',
        timeout: '5s',
        initialMetadata: { authorization: `Bearer ${token}` },
      }
      const made = mesh.host(name, {
        extra: { workers: 1, rules: { extensionProviders: [{ name: 'limits', envoyRateLimitGrpc }] } },
      })
      Object.assign(made.options, { rules })
      const credentials = join(made.options.directory, 'credentials.d', 'center')
      mkdirSync(credentials, { recursive: true })
      writeFileSync(join(credentials, 'ca.crt'), authority.certificate)
      made.start()
      return made
    }
    host = caller('host', right)
    stranger = caller('stranger', wrong)
    for (const one of [host, stranger]) {
      await one.ready()
      await until(30_000, 'orders', async () => (await ask(one, '')) === 200)
    }
  })
  after(async () => {
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  function know(token: string): void {
    writeFileSync(tokensFile, stringify([{ user: 'host', token, role: 'host' }]), { mode: 0o600 })
  }
  async function ask(one: DemoHost, user: string): Promise<number> {
    const named: Record<string, string> = user === '' ? {} : { 'x-user': user }
    return (await call(one.options.address, sharedPort, { 'x-mesh-service': 'orders', ...named })).status
  }
  async function passed(one: DemoHost, user: string, times: number): Promise<number> {
    let count = 0
    for (let at = 0; at < times; at++) if ((await ask(one, user)) === 200) count++
    return count
  }
  const warned = (one: DemoHost): string[] =>
    one.lastLines(500).filter((line) => line.includes('E_RATE_LIMIT_UNAVAILABLE'))

  it('are kept for a host with its token', async () => {
    await until(30_000, 'the center counts', async () => {
      await ask(host, 'warm')
      return (await counted(host, ...result('ok'))) > 0
    })
    expect(await passed(host, 'ann', limit + 5)).to.equal(limit)
  })

  it('say why to a host whose token is wrong, whose requests pass, for nothing is known', async () => {
    // the rule may not be there yet
    await until(30_000, 'it was refused', async () => {
      expect(await ask(stranger, 'ann')).to.equal(200)
      return warned(stranger).length > 0
    })
    expect(warned(stranger)[0]).to.include('rate-limit service limits: grpc-status 16').and.include('requests without')
    expect(await counted(stranger, ...result('error'))).to.be.at.least(3)
    expect(await counted(stranger, ...result('failure_mode_allowed'))).to.be.at.least(3)
    expect(await counted(stranger, ...result('ok'))).to.equal(0)
    expect(stranger.lastLines(500).join('\n')).to.not.include(wrong)
  })

  it('are kept in the share of the host once its token is taken back, and by the center when it holds again', async () => {
    expect(await ask(host, 'ben')).to.equal(200)
    know(wrong)
    await until(60_000, 'it is refused', async () => {
      await ask(host, 'warm')
      return warned(host).length > 0
    })
    expect(warned(host)[0]).to.include('grpc-status 16').and.not.include(right)
    // one of two hosts, or of one: nobody has asked for the other
    expect(await passed(host, 'ben', 2 * limit)).to.be.within(1, limit - 1)
    expect(await counted(host, ...result('local_over_limit'))).to.be.above(0)
    know(right)
    await until(60_000, 'the center counts again', async () => {
      await ask(host, 'warm')
      return host.lastLines(500).some((line) => line.includes('rate-limit service limits answers again'))
    })
  })
})
