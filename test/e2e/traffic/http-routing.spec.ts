import { expect } from 'chai'
import { app, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

const virtualService = (host: string, http: string): string =>
  resource('VirtualService', `hosts: [${host}]\nhttp:\n${http.trim()}`, host.replaceAll(/[^a-z0-9]/g, ''))

describe('HTTP routing through a worker', () => {
  let world: TrafficWorld

  before(async () => {
    world = await TrafficWorld.start({
      caller: app('cart', { tier: 'web' }),
      listeners: { matched: 'http' },
      apps: {
        a: [{}],
        b: [{}],
        c: [{}],
        orders: [{ version: 'v1' }, { version: 'v2' }],
        edited: [
          {
            answer: (_received, response) => {
              response.setHeader('server', 'app')
              response.setHeader('x-keep', 'app')
              response.setHeader('x-replaced', ['app', 'twice'])
              response.end('edited')
            },
          },
        ],
        matched: [{}],
      },
      rules: [
        virtualService(
          'matched',
          `
- match: [{ uri: { exact: /exact } }]
  route: [{ destination: { host: a } }]
- match: [{ uri: { regex: '/regex/[0-9]+' } }, { queryParams: { to: { exact: a+b } } }]
  route: [{ destination: { host: a } }]
- match: [{ method: { exact: DELETE }, withoutHeaders: { x-stay: {} } }]
  route: [{ destination: { host: b } }]
- match: [{ headers: { x-user: { prefix: beta- } } }]
  route: [{ destination: { host: b } }]
- match: [{ uri: { prefix: /mine }, sourceLabels: { app: cart, tier: web } }]
  route: [{ destination: { host: c } }]
- match: [{ uri: { prefix: /not-mine }, sourceLabels: { app: other } }]
  route: [{ destination: { host: c } }]
- match: [{ uri: { prefix: /rest } }]
  route: [{ destination: { host: matched } }]`,
        ),
        virtualService('"*.wild.example.com"', '- route: [{ destination: { host: a } }]'),
        virtualService('shop.example.com', '- route: [{ destination: { host: b } }]'),
        virtualService(
          'weighted',
          '- route: [{ destination: { host: a }, weight: 20 }, { destination: { host: b }, weight: 80 }]',
        ),
        virtualService(
          'subsets',
          `
- match: [{ headers: { x-canary: {} } }]
  route: [{ destination: { host: orders, subset: v2 } }]
- match: [{ headers: { x-missing: {} } }]
  route: [{ destination: { host: orders, subset: v3 } }]
- route: [{ destination: { host: orders, subset: v1 } }]`,
        ),
        resource(
          'DestinationRule',
          'host: orders\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]',
        ),
        virtualService(
          'rewritten',
          `
- match: [{ uri: { prefix: /old/ } }, { uri: { exact: /start } }]
  rewrite: { uri: /, authority: new.example.com:81 }
  route: [{ destination: { host: a } }]
- rewrite: { uriRegexRewrite: { match: '^/user/([0-9]+)', rewrite: '/u/\\1' } }
  route: [{ destination: { host: a } }]`,
        ),
        virtualService(
          'answered',
          `
- match: [{ uri: { prefix: /moved } }]
  redirect: { uri: /here, authority: b.example.com, redirectCode: 307 }
- match: [{ uri: { exact: /json } }]
  directResponse: { status: 418, body: { string: '{"a":1}' } }
- directResponse: { status: 204 }`,
        ),
        virtualService(
          'edited',
          `
- headers:
    request: { set: { x-env: prod, x-caller: mesh }, add: { x-trail: mesh }, remove: [x-debug] }
    response: { set: { x-replaced: rule }, remove: [server] }
  route:
  - destination: { host: edited }
    headers: { request: { add: { x-dest: '1' } }, response: { add: { x-version: v1 } } }`,
        ),
      ].join('---\n'),
    })
  })
  after(() => world.stop())
  beforeEach(() => world.forget())

  const bodyOf = async (...call: Parameters<TrafficWorld['call']>): Promise<string> => (await world.call(...call)).body

  it('matches path, method, headers and query, in the order of the rules', async () => {
    expect(await bodyOf('matched/exact?x')).to.equal('a')
    expect(await bodyOf('matched/regex/12')).to.equal('a')
    expect(await bodyOf('matched/rest?to=a+b')).to.equal('a')
    expect(await bodyOf('matched/rest', { method: 'DELETE' })).to.equal('b')
    expect(await bodyOf('matched/rest', { method: 'DELETE', headers: { 'x-stay': '1' } })).to.equal('matched')
    expect(await bodyOf('matched/rest', { headers: { 'X-User': 'beta-1' } })).to.equal('b')
    expect(await bodyOf('matched/rest')).to.equal('matched')
  })

  it('matches the calling application, known by the user that it runs as', async () => {
    expect(await bodyOf('matched/mine')).to.equal('c')
    expect((await world.call('matched/not-mine')).status).to.equal(404)
  })

  it('answers 404 with E_ROUTE_NONE where no route matches', async () => {
    const answer = await world.call('matched/regex/x')
    expect(answer.status).to.equal(404)
    expect(answer.headers['x-mesh-error']).to.equal('E_ROUTE_NONE')
  })

  it('applies the rules at the port of the service too', async () => {
    expect(await bodyOf('localhost/exact', { via: 'matched' })).to.equal('a')
  })

  it('knows names that only rules declare, wildcards and case', async () => {
    expect(await bodyOf('shop.example.com/')).to.equal('b')
    expect(await bodyOf('SHOP.example.com:80/')).to.equal('b')
    expect(await bodyOf('x.y.wild.example.com/')).to.equal('a')
    expect(await bodyOf('ignored/', { headers: { 'x-mesh-service': 'shop.example.com' } })).to.equal('b')
  })

  it('splits by weight', async () => {
    const counts = await world.countBodies(2000, 'weighted/')
    // more than five standard deviations of 2,000 draws at 20 %
    expect(counts['a']).to.be.within(300, 500)
    expect(counts['a']! + counts['b']!).to.equal(2000)
  })

  it('sends to subsets, and says 503 for one without endpoints', async () => {
    expect(await world.countBodies(20, 'subsets/')).to.deep.equal({ 'orders v1': 20 })
    expect(await world.countBodies(20, 'subsets/', { headers: { 'x-canary': '1' } })).to.deep.equal({ 'orders v2': 20 })
    const missing = await world.call('subsets/', { headers: { 'x-missing': '1' } })
    expect(missing.status).to.equal(503)
    expect(missing.headers['x-mesh-error']).to.equal('E_BALANCE_NO_ENDPOINT')
  })

  it('rewrites path and authority, and keeps the query', async () => {
    await world.call('rewritten/old/items?x=1')
    await world.call('rewritten/start?y')
    await world.call('rewritten/user/42/name?z=%20')
    expect(world.received('a').map(({ url, headers }) => [url, headers.host])).to.deep.equal([
      ['/items?x=1', 'new.example.com:81'],
      ['/?y', 'new.example.com:81'],
      ['/u/42/name?z=%20', 'rewritten'],
    ])
  })

  it('redirects and answers by itself, without an error mark', async () => {
    const moved = await world.call('answered/moved/x?q=1')
    expect([moved.status, moved.headers.location, moved.body]).to.deep.equal([307, 'http://b.example.com/here?q=1', ''])
    const json = await world.call('answered/json', { method: 'POST', body: 'something' })
    expect([json.status, json.headers['content-type'], json.body]).to.deep.equal([418, 'application/json', '{"a":1}'])
    expect((await world.call('answered/')).status).to.equal(204)
    expect(moved.headers['x-mesh-error']).to.equal(undefined)
    const head = await world.call('answered/json', { method: 'HEAD' })
    expect([head.status, head.body]).to.deep.equal([418, ''])
  })

  it('edits headers of request and response, for the route and for the destination', async () => {
    const answer = await world.call('edited/', {
      headers: { 'x-env': ['test', 'dev'], 'x-trail': 'app', 'x-debug': '1', 'x-other': 'kept' },
    })
    const { headers } = world.received('edited')[0]!
    expect(headers).to.include({
      'x-env': 'prod',
      'x-caller': 'mesh',
      'x-trail': 'app, mesh',
      'x-dest': '1',
      'x-other': 'kept',
    })
    expect(headers).to.not.have.property('x-debug')
    expect(answer.headers).to.include({ 'x-replaced': 'rule', 'x-version': 'v1', 'x-keep': 'app' })
    expect(answer.headers).to.not.have.property('server')
  })

  it('is explained by the worker that does it', async () => {
    const answer = await world.worker.ask({
      kind: 'explain',
      request: {
        listener: undefined,
        method: 'GET',
        path: '/rest',
        host: 'matched',
        headers: [['x-user', 'beta-9']],
        sourceApp: 'cart',
      },
    })
    expect(answer).to.deep.include({ listener: 'shared', name: 'matched' })
    const { steps, destinations } = answer as {
      steps: { rule: string; matched: boolean; reason: string }[]
      destinations: { service: string; candidates: { usable: boolean }[]; policy: { path: string }[] }[]
    }
    expect(steps.map(({ rule, matched }) => [rule, matched])).to.deep.equal([
      ['http[0]', false],
      ['http[1]', false],
      ['http[2]', false],
      ['http[3]', true],
    ])
    expect(steps[2]!.reason).to.equal('match[0]: method is "GET", wanted exact "DELETE"')
    expect(destinations[0]).to.include({ service: 'public/DEFAULT_GROUP@@b' })
    expect(destinations[0]!.candidates.map((one) => one.usable)).to.deep.equal([true])
    expect(destinations[0]!.policy.map((row) => row.path)).to.include.members(['loadBalancer.kind', 'pool.maxRequests'])
  })
})
