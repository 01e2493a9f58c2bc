import { expect } from 'chai'
import { resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'
import type { Handler } from '../../support/traffic-world.ts'
import { eventually, holds } from '../../support/worker/eventually.ts'

const status =
  (code: number): Handler =>
  (_received, response) => {
    response.statusCode = code
    response.end(String(code))
  }

/** Never answers. */
const silent: Handler = () => {}

/** Takes the whole request and resets the connection. */
const resets: Handler = (_received, _response, request) => {
  request.socket.resetAndDestroy()
}

const toItself = (host: string, more: string): string =>
  resource('VirtualService', `hosts: [${host}]\nhttp:\n- route: [{ destination: { host: ${host} } }]\n  ${more}`, host)

const roundRobin = (host: string, more = ''): string =>
  resource('DestinationRule', `host: ${host}\ntrafficPolicy:\n  loadBalancer: { simple: ROUND_ROBIN }\n${more}`, host)

describe('timeouts, retries and limits through a worker', () => {
  let world: TrafficWorld
  /** Answers that `busy` gives when it is told to. */
  const busy: (() => void)[] = []

  before(async () => {
    world = await TrafficWorld.start({
      apps: {
        slow: [{ answer: silent }],
        flaky: [{ answer: status(503) }, {}],
        conflict: [{ answer: status(409) }, {}],
        unretried: [{ answer: status(503) }, {}],
        never: [{ isDown: true }, {}],
        down: [{ isDown: true }, {}],
        resetting: [{ answer: resets }, {}],
        dying: [{ answer: resets }, {}],
        hanging: [{ answer: silent }, {}],
        stuck: [{ answer: silent }, {}],
        hedged: [{ answer: silent }, {}],
        broken: [{ answer: status(500) }],
        ejected: [{ answer: status(500) }, {}],
        checked: [
          {
            answer: (received, response) =>
              (received.url === '/health' ? status(500) : status(200))(received, response, null as never),
          },
          {},
        ],
        busy: [{ answer: (_received, response) => void busy.push(() => response.end('busy')) }],
      },
      rules: [
        toItself('slow', 'timeout: 150ms'),
        toItself('flaky', 'retries: { attempts: 2, retryOn: "503" }'),
        toItself('conflict', 'retries: { attempts: 2, retryOn: retriable-4xx }'),
        toItself('never', 'retries: { attempts: 0 }'),
        toItself('resetting', 'retries: { attempts: 2, retryOn: reset }'),
        toItself('hanging', 'retries: { attempts: 2, perTryTimeout: 700ms }'),
        toItself('stuck', 'retries: { attempts: 2, perTryTimeout: 700ms, retryOn: 5xx }'),
        ...['flaky', 'conflict', 'unretried', 'never', 'down', 'resetting', 'dying', 'hanging', 'stuck', 'hedged'].map(
          (host) => roundRobin(host),
        ),
        resource('MeshPolicy', 'hosts: [hedged]\nhedging: [{ after: 50ms }]', 'hedged'),
        resource('MeshPolicy', 'hosts: [broken]\ncircuitBreaker: { minimumRequests: 5, openTime: 1m }', 'broken'),
        roundRobin(
          'ejected',
          '  outlierDetection: { consecutive5xxErrors: 3, baseEjectionTime: 1m, maxEjectionPercent: 50 }',
        ),
        roundRobin('checked'),
        resource(
          'MeshPolicy',
          'hosts: [checked]\nhealthCheck: { http: { path: /health }, interval: 100ms, unhealthyThreshold: 1 }',
          'checked',
        ),
        resource(
          'DestinationRule',
          'host: busy\ntrafficPolicy: { connectionPool: { http: { http2MaxRequests: 2 } } }',
          'busy',
        ),
      ].join('---\n'),
    })
  })
  after(() => world.stop())
  beforeEach(() => world.forget())

  /** One after the other: many failures at the same time would meet the retry budget. */
  const countInTurn = async (
    count: number,
    ...call: Parameters<TrafficWorld['call']>
  ): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < count; i++) {
      const { body } = await world.call(...call)
      counts[body] = (counts[body] ?? 0) + 1
    }
    return counts
  }

  const errorOf = async (...call: Parameters<TrafficWorld['call']>): Promise<unknown[]> => {
    const answer = await world.call(...call)
    return [answer.status, answer.headers['x-mesh-error']]
  }

  it('a timeout of the route ends a request that is not answered', async () => {
    const from = performance.now()
    expect(await errorOf('slow/')).to.deep.equal([504, 'E_UPSTREAM_TIMEOUT'])
    expect(performance.now() - from).to.be.within(140, 10_000)
  })

  it('a listed status is tried again on another endpoint', async () => {
    expect(await countInTurn(10, 'flaky/')).to.deep.equal({ 'flaky 1': 10 })
    expect(await countInTurn(10, 'conflict/')).to.deep.equal({ 'conflict 1': 10 })
  })

  it('a status is passed on where no rule lists it', async () => {
    expect(Object.keys(await world.countBodies(10, 'unretried/')).toSorted()).to.deep.equal(['503', 'unretried 1'])
  })

  it('a status answer to a request that may not be repeated is passed on', async () => {
    expect(Object.keys(await countInTurn(10, 'flaky/', { method: 'POST', body: 'x' })).toSorted()).to.deep.equal([
      '503',
      'flaky 1',
    ])
  })

  it('an endpoint that refuses connections is passed over, for any method', async () => {
    expect(await countInTurn(10, 'down/')).to.deep.equal({ 'down 1': 10 })
    expect(await countInTurn(10, 'down/', { method: 'POST', body: 'x' })).to.deep.equal({ 'down 1': 10 })
    expect(world.received('down').filter((one) => one.body === 'x')).to.have.length(10)
  })

  it('retries beyond the budget of the destination are not made', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => world.call('flaky/')))
    const given = answers.filter((answer) => answer.status === 503)
    expect(given.length, 'some answers of the failing endpoint stand').to.be.above(0)
    expect(await world.worker.metric('hostmesh_cluster_retry_overflows_total')).to.be.above(0)
  })

  it('retries of what never left need no budget: a dead endpoint fails nobody, however many call', async () => {
    expect(await world.countBodies(200, 'down/')).to.deep.equal({ 'down 1': 200 })
  })

  it('no attempts means no retry', async () => {
    const answers = [await errorOf('never/'), await errorOf('never/')]
    expect(answers).to.deep.include([503, 'E_CONNECT_REFUSED'])
    expect(answers).to.deep.include([200, undefined])
  })

  for (const [name, how] of [
    ['resetting', 'by a rule'],
    ['dying', 'without a rule'],
  ] as const)
    it(`a connection that is reset is tried again for GET, never for POST: ${how}`, async () => {
      expect(await countInTurn(10, `${name}/`)).to.deep.equal({ [`${name} 1`]: 10 })
      world.forget()
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => errorOf(`${name}/`, { method: 'POST', body: 'pay' })),
      )
      expect(answers).to.deep.include([502, 'E_UPSTREAM_RESET'])
      expect(world.received(name), 'each POST reached one application once').to.have.length(10)
    })

  it('a time that ran out is not tried again where no rule asks for it', async () => {
    const answers = [await errorOf('hanging/'), await errorOf('hanging/')]
    expect(answers).to.deep.include([504, 'E_UPSTREAM_TIMEOUT'])
    expect(world.received('hanging')).to.have.length(2)
  })

  it('a try that takes too long is repeated elsewhere', async () => {
    expect(await world.countBodies(6, 'stuck/')).to.deep.equal({ 'stuck 1': 6 })
  })

  it('hedging takes the answer of the other endpoint, and not for requests with a body', async () => {
    expect(await world.countBodies(4, 'hedged/')).to.deep.equal({ 'hedged 1': 4 })
    world.forget()
    // one to each endpoint; a hedge of the one to the silent one would bring its answer
    const posts = Promise.all([1, 2].map(() => world.call('hedged/', { method: 'POST', body: 'x' })))
    // a hedge of a GET may come behind its answer
    const taken = (): number => world.received('hedged').filter(({ method }) => method === 'POST').length
    await eventually(() => taken() === 2)
    let isAnswered = false
    void posts.then(() => (isAnswered = true))
    await holds(() => !isAnswered && taken() === 2, 400)
  })

  it('the breaker opens after the failures of its policy', async () => {
    const answers: unknown[][] = []
    for (let i = 0; i < 8; i++) answers.push(await errorOf('broken/'))
    expect(answers.slice(0, 5)).to.deep.equal(Array.from({ length: 5 }, () => [500, undefined]))
    expect(answers.slice(5)).to.deep.equal(Array.from({ length: 3 }, () => [503, 'E_BALANCE_BREAKER_OPEN']))
    expect(world.received('broken')).to.have.length(5)
  })

  it('an endpoint that fails three times in a row is taken out', async () => {
    for (let i = 0; i < 10; i++) await world.call('ejected/')
    world.forget()
    expect(await world.countBodies(10, 'ejected/')).to.deep.equal({ 'ejected 1': 10 })
  })

  it('an endpoint that fails its health check gets no requests', async () => {
    for (let i = 0; i < 100 && world.app('checked 0').received.length === 0; i++) await world.call('checked/')
    const isOut = async (): Promise<boolean> => (await world.countBodies(10, 'checked/'))['checked 1'] === 10
    const deadline = performance.now() + 20_000
    while (!(await isOut())) expect(performance.now(), 'the failed check takes it out').to.be.below(deadline)
    expect(world.app('checked 0').received.filter((one) => one.url === '/health')).not.to.be.empty
  })

  it('requests beyond the limit of the destination are refused at once', async () => {
    let ended = 0
    const asked = Array.from({ length: 6 }, () => errorOf('busy/').finally(() => ended++))
    await eventually(() => ended >= 4 && busy.length >= 2)
    for (const answer of busy.splice(0)) answer()
    const answers = await Promise.all(asked)
    expect(answers.filter(([code]) => code === 200)).to.have.length(2)
    expect(answers.filter(([code, error]) => code === 503 && error === 'E_BALANCE_OVERFLOW')).to.have.length(4)
  })
})
