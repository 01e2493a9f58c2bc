/** Two hosts share a limit that a center counts, over the death of the center and its return. */
import { expect } from 'chai'
import { counted } from '../../support/mesh/host-facts.ts'
import { call, type DemoHost, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import { perUserLimits } from '../../support/rate-limits/per-user.ts'

const limit = 20

describe('two hosts with a limit that a center counts', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let center: DemoHost
  const hosts: DemoHost[] = []

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const orders = await mesh.httpApplication('orders', 'v1')
    mesh.tell('orders', [{ address: orders.address, port: orders.port }])
    const at = mesh.address()
    center = await mesh.startedHost('center', {
      role: 'center',
      extra: {
        xds: { address: `${at}:15010`, withoutToken: 'read' },
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
    const provider = { service: 'limits.internal', timeout: '5s' }
    for (const name of ['first', 'second']) {
      const host = mesh.host(name, {
        extra: { workers: 1, rules: { extensionProviders: [{ name: 'limits', envoyRateLimitGrpc: provider }] } },
      })
      Object.assign(host.options, {
        rules: `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: limits }
spec:
  hosts: [limits.internal]
  resolution: STATIC
  ports: [{ number: 15010, name: grpc, protocol: GRPC }]
  endpoints: [{ address: ${at} }]
---
${perUserLimits}`,
      })
      host.start()
      hosts.push(host)
    }
    for (const host of hosts) {
      await host.ready()
      await until(30_000, 'orders', async () => (await ask(host, '')) === 200)
      await until(30_000, 'the first word of the center', async () => {
        await ask(host, `warm-${host.options.name}`)
        return (await counted(host, 'hostmesh_ratelimit_total', 'result="ok"')) > 0
      })
    }
  })
  after(async () => {
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function ask(host: DemoHost, user: string): Promise<number> {
    const named: Record<string, string> = user === '' ? {} : { 'x-user': user }
    return (await call(host.options.address, sharedPort, { 'x-mesh-service': 'orders', ...named })).status
  }
  /** How many of `times` requests of a user passed at each host. */
  async function passed(user: string, times: number): Promise<number[]> {
    const counts = hosts.map(() => 0)
    for (let at = 0; at < times; at++)
      for (const [index, host] of hosts.entries()) {
        const status = await ask(host, user)
        expect(status).to.be.oneOf([200, 429])
        if (status === 200) counts[index]!++
      }
    return counts
  }

  it('let as many pass together as the limit says', async () => {
    const counts = await passed('ann', limit)
    expect(counts[0]! + counts[1]!).to.equal(limit)
    // in turn
    expect(counts).to.deep.equal([limit / 2, limit / 2])
  })

  it('apply a half of what it said each while the center is gone', async () => {
    for (const host of [...hosts, ...hosts]) expect(await ask(host, 'ben')).to.equal(200)
    await center.stop()
    // the center said last that 17 and 16 of 20 were left, and that there are two hosts
    expect(await passed('ben', limit)).to.deep.equal([8, 8])
    for (const host of hosts)
      expect(await counted(host, 'hostmesh_ratelimit_total', 'result="local_over_limit"')).to.be.above(0)
  })

  it('ask again when it is back', async () => {
    center.start()
    await center.ready()
    let round = 0
    await until(60_000, 'both ask', async () => {
      const counts = await passed(`back ${round++}`, limit)
      return counts[0]! + counts[1]! === limit
    })
  })
})
