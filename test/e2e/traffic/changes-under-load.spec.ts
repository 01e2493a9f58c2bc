import { Agent, request } from 'node:http'
import { expect } from 'chai'
import { ordersRoutes, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

/** Ten changes per second for this long; the release run takes 30 s. */
const seconds = Number(process.env['HOSTMESH_CHANGE_SECONDS'] ?? 4)
const callers = 16

const subsets = resource(
  'DestinationRule',
  'host: orders\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]',
)

/** Other weights, routes, timeouts, headers and limits each time. */
function rulesAt(turn: number): string {
  const weight = 10 + (turn % 9) * 10
  const routes = Array.from(
    { length: turn % 5 },
    (_, i) => `- match: [{ uri: { prefix: /other-${i} } }]\n  redirect: { uri: /x }`,
  )
  const main = `
- name: main
  timeout: ${5 + (turn % 3)}s
  headers: { request: { set: { x-turn: "${turn}" } } }
  route:
  - { destination: { host: orders, subset: v1 }, weight: ${weight} }
  - { destination: { host: orders, subset: v2 }, weight: ${100 - weight} }`
  const balancer = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RANDOM'][turn % 3]!
  return [
    ordersRoutes([...routes, main.trim()].join('\n')),
    subsets.replace('  host: orders', `  host: orders\n  trafficPolicy: { loadBalancer: { simple: ${balancer} } }`),
    resource(
      'MeshPolicy',
      `hosts: [orders]\nrateLimits: [{ name: wide, maxTokens: ${1_000_000 + turn}, fillInterval: 1s }]`,
    ),
  ].join('---\n')
}

/** Requests on as many connections as there are callers, one after the other on each, until `stop`. */
class Load {
  readonly bad: string[] = []
  readonly seen = new Set<string>()
  count = 0
  private readonly agent = new Agent({ keepAlive: true, maxSockets: callers })
  private readonly port: number
  private readonly running: Promise<unknown>
  private isOver = false

  constructor(port: number) {
    this.port = port
    this.running = Promise.all(
      Array.from({ length: callers }, async () => {
        while (!this.isOver) await this.call()
      }),
    )
  }

  async stop(): Promise<void> {
    this.isOver = true
    await this.running
    this.agent.destroy()
  }

  private call(): Promise<void> {
    const { agent, port } = this
    return new Promise((resolve) => {
      const outgoing = request({ agent, port, host: '127.0.0.1', path: '/a', headers: { host: 'orders' } })
      outgoing.once('error', (error) => {
        this.bad.push(error.message)
        resolve()
      })
      outgoing.once('response', (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => (body += chunk.toString()))
        response.once('error', (error) => this.bad.push(error.message))
        response.once('close', () => {
          this.count++
          this.seen.add(body)
          if (response.statusCode !== 200) this.bad.push(`${response.statusCode} ${body}`)
          resolve()
        })
      })
      outgoing.end()
    })
  }
}

describe('changing rules and endpoints under load', function () {
  this.timeout(seconds * 1000 + 20_000)

  it('loses no request', async () => {
    const world = await TrafficWorld.start({
      rules: rulesAt(0),
      apps: { orders: [{ version: 'v1' }, { version: 'v1' }, { version: 'v2' }, { version: 'v2' }] },
    })
    const load = new Load(world.port('shared'))
    try {
      for (let turn = 1; turn <= seconds * 10; turn++) {
        const due = new Promise((resolve) => setTimeout(resolve, 100))
        if (turn % 2 === 0) await world.changeRules(rulesAt(turn))
        // each subset keeps one of its two instances
        else await world.changeInstances('orders', (index) => index % 2 === (turn % 4) >> 1 || turn % 8 === 1)
        await due
      }
      await load.stop()
      const { bad, count, seen } = load
      expect(bad.slice(0, 5), `${bad.length} of ${count}`).to.deep.equal([])
      expect(count).to.be.above(seconds * 100)
      expect([...seen].toSorted()).to.deep.equal(['orders v1', 'orders v2'])
    } finally {
      await load.stop()
      await world.stop()
    }
  })

  it('opens one connection for a request that waits for one while its endpoint leaves', async () => {
    const onePerRequest = 'trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } }'
    const world = await TrafficWorld.start({
      rules: [
        ordersRoutes('- route: [{ destination: { host: orders } }]'),
        resource('DestinationRule', `host: orders\n${onePerRequest}`),
      ].join('---\n'),
      apps: { orders: [{ version: 'v1' }, { version: 'v2' }] },
    })
    const load = new Load(world.port('shared'))
    try {
      for (let turn = 1; turn <= 100; turn++) {
        await world.changeInstances('orders', (index) => index === turn % 2)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await load.stop()
      const { bad, count } = load
      expect(bad.slice(0, 5), `${bad.length} of ${count}`).to.deep.equal([])
      expect(count).to.be.above(callers)
      const opened = world.app('orders v1').connections + world.app('orders v2').connections
      // a dial that nobody waits for any more may be whole before it is ended
      expect(opened, `connections for ${count} requests`).to.be.below(count + 100 * callers)
    } finally {
      await load.stop()
      await world.stop()
    }
  })
})
