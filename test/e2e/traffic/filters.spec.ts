import { expect } from 'chai'
import { app, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'
import { eventually } from '../../support/worker/eventually.ts'

const toItself = (host: string, more: string): string =>
  resource('VirtualService', `hosts: [${host}]\nhttp:\n- route: [{ destination: { host: ${host} } }]\n  ${more}`, host)

describe('faults, mirrors, CORS and rate limits through a worker', () => {
  let world: TrafficWorld

  before(async () => {
    world = await TrafficWorld.start({
      caller: app('cart'),
      apps: {
        aborted: [{}],
        delayed: [{}],
        both: [{}],
        mirrored: [{}],
        shadow: [{ answer: (_received, response) => response.writeHead(500).end('shadow') }],
        dead: [{ isDown: true }],
        shared: [
          {
            answer: (_received, response) =>
              response.setHeader('access-control-allow-origin', 'https://app.example.com').end('shared'),
          },
        ],
        limited: [{}],
        fair: [{}],
      },
      rules: [
        toItself('aborted', 'fault: { abort: { httpStatus: 418, percentage: { value: 30 } } }'),
        toItself('delayed', 'fault: { delay: { fixedDelay: 200ms, percentage: { value: 100 } } }'),
        toItself(
          'both',
          'fault: { delay: { fixedDelay: 200ms, percentage: { value: 100 } }, abort: { httpStatus: 503, percentage: { value: 100 } } }',
        ),
        toItself('mirrored', 'mirrors: [{ destination: { host: shadow } }, { destination: { host: dead } }]'),
        toItself(
          'shared',
          'corsPolicy: { allowOrigins: [{ exact: https://a.example.com }], allowMethods: [PUT], exposeHeaders: [x-a], maxAge: 1m }',
        ),
        resource(
          'MeshPolicy',
          'hosts: [limited]\nrateLimits: [{ name: l, maxTokens: 5, tokensPerFill: 1, fillInterval: 1h }]',
          'limited',
        ),
        resource(
          'MeshPolicy',
          'hosts: [fair]\nrateLimits: [{ name: f, per: SourceApp, maxTokens: 3, fillInterval: 1h, status: 503 }]',
          'fair',
        ),
      ].join('---\n'),
    })
  })
  after(() => world.stop())
  beforeEach(() => world.forget())

  it('aborts its share of the requests, marked, without asking the application', async () => {
    const answers = await Promise.all(Array.from({ length: 600 }, () => world.call('aborted/')))
    const aborted = answers.filter((answer) => answer.status === 418)
    // more than five standard deviations of 600 draws at 30 %
    expect(aborted.length).to.be.within(116, 244)
    expect(aborted[0]!.headers['x-mesh-error']).to.equal('E_FAULT_INJECTED')
    expect(aborted[0]!.body).to.equal('fault injected by VirtualService public/aborted spec.http[0].fault\n')
    expect(world.received('aborted')).to.have.length(600 - aborted.length)
  })

  it('delays, and goes on behind the delay', async () => {
    const from = performance.now()
    const answers = await Promise.all([world.call('delayed/'), world.call('both/')])
    expect(performance.now() - from).to.be.within(190, 10_000)
    expect(answers.map((answer) => answer.status)).to.deep.equal([200, 503])
    expect(world.received('both')).to.deep.equal([])
  })

  it('copies requests with their body to a mirror, whose failures nobody sees', async () => {
    const answer = await world.call('mirrored/items?x=1', { method: 'POST', body: 'hello', headers: { 'x-a': 'b' } })
    expect([answer.status, answer.body]).to.deep.equal([200, 'mirrored'])
    await eventually(() => world.received('shadow').length === 1)
    const [copy] = world.received('shadow')
    expect([copy!.method, copy!.url, copy!.body, copy!.headers['x-a']]).to.deep.equal([
      'POST',
      '/items?x=1',
      'hello',
      'b',
    ])
    expect(copy!.headers.host).to.equal('mirrored-shadow')
  })

  it('answers preflights, and replaces the CORS fields of the application', async () => {
    const preflight = (origin: string) =>
      world.call('shared/', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } })
    const allowed = await preflight('https://a.example.com')
    expect(allowed.status).to.equal(200)
    expect(allowed.headers).to.include({
      'access-control-allow-origin': 'https://a.example.com',
      'access-control-allow-methods': 'PUT',
      'access-control-max-age': '60',
    })
    expect(world.received('shared'), 'not asked').to.deep.equal([])
    expect((await preflight('https://evil.com')).body).to.equal('shared')
    const plain = await world.call('shared/', { headers: { origin: 'https://a.example.com' } })
    expect(plain.headers).to.include({
      'access-control-allow-origin': 'https://a.example.com',
      'access-control-expose-headers': 'x-a',
      vary: 'origin',
    })
    const evil = await world.call('shared/', { headers: { origin: 'https://evil.com' } })
    expect(evil.headers).to.not.have.property('access-control-allow-origin')
  })

  it('limits a route, and says when to come back', async () => {
    const answers = []
    for (let i = 0; i < 8; i++) answers.push(await world.call('limited/'))
    expect(answers.map((answer) => answer.status)).to.deep.equal([200, 200, 200, 200, 200, 429, 429, 429])
    expect(answers[5]!.headers).to.include({ 'x-mesh-error': 'E_RATE_LIMITED', 'retry-after': '3600' })
    expect(world.received('limited')).to.have.length(5)
  })

  it('limits the calling application', async () => {
    const statuses = []
    for (let i = 0; i < 5; i++) statuses.push((await world.call('fair/')).status)
    expect(statuses).to.deep.equal([200, 200, 200, 503, 503])
  })

  it('are counted', async () => {
    for (const name of ['fault_delays', 'fault_aborts', 'cors_preflights', 'rate_limited_requests', 'mirrors_sent']) {
      expect(await world.worker.metric(`hostmesh_${name}_total`), name).to.be.above(0)
    }
  })
})
