import { expect } from 'chai'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { DifferenceTable } from '../../../../../agent/worker/dry-run/difference-table.ts'
import type { FilterKind } from '../../../../../agent/worker/filters/kind.ts'
import type { CandidateRules, DryRunAnswer, DryRunFigures } from '../../../../../contracts/dry-run.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import type { FilterSpec, HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import { hostSpec, key, orders, ordersRoutes, route, rules } from '../../../../support/routing.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { endpointOf } from '../../../../support/worker/snapshots.ts'
import { startWorker, type StartedWorker } from '../../../../support/worker/start-worker.ts'

const requests = 20

describe('a dry run in a worker', () => {
  let backend: Server
  let started: StartedWorker
  /** Draws of the worker, in their order; then 0.5. */
  let draws: number[] = []

  const broken: FilterKind = {
    kind: 'broken',
    make: () => ({
      kind: 'broken',
      onRequest() {
        throw new Error('this filter is broken')
      },
      explain: () => 'throws',
    }),
  }

  async function start(inForce: Partial<HttpRouteSpec> = {}): Promise<void> {
    const { port } = backend.address() as AddressInfo
    const endpoints = [endpointOf('127.0.0.1', port)]
    started = await startWorker(
      {
        services: [
          { name: 'orders', endpoints, route: inForce },
          { name: 'billing', endpoints },
          { name: 'empty', endpoints: [] },
        ],
      },
      { filterKinds: [broken, ...allFilterKinds()], random: () => draws.shift() ?? 0.5 },
    )
  }

  beforeEach(async () => {
    draws = []
    backend = createServer((_, reply) => reply.end('ok'))
    backend.listen(0, '127.0.0.1')
    await once(backend, 'listening')
  })
  afterEach(() => {
    started.stop()
    backend.close()
  })

  const ask = (question: Parameters<StartedWorker['worker']['answer']>[0]): DryRunAnswer =>
    started.worker.answer(question) as DryRunAnswer
  const begin = (candidate: Partial<CandidateRules>): DryRunAnswer =>
    ask({
      kind: 'begin-dry-run',
      candidate: { id: 'one', share: 1, ms: 60_000, virtualHosts: {}, services: {}, ...candidate },
    })
  /** The host of `orders` by a VirtualService with these routes. */
  const beginRoutes = (http: string): DryRunAnswer =>
    begin({ virtualHosts: { [orders]: rules(ordersRoutes(http)).virtualHost(orders).spec } })

  /** All of them are served as if nothing were. */
  async function call(count = requests, path = '/items?secret=1'): Promise<void> {
    for (let at = 0; at < count; at++) {
      const { status } = await fetch(`http://127.0.0.1:${started.port('orders')}${path}`)
      expect(status).to.equal(200)
    }
  }
  const found = (): DryRunFigures => ask({ kind: 'dry-run' }).figures
  const rows = (): string[] =>
    found().differences.map(({ kind, now, then, requests: count }) => `${count} ${kind}: ${now} -> ${then}`)

  it('counts what would go elsewhere, with the first one as an example and without its query', async () => {
    await start()
    beginRoutes('- retries: { attempts: 0 }\n  route: [{ destination: { host: billing } }]')
    await call()
    expect(rows()).to.deep.equal([`20 destination: ${orders} -> ${key('billing')}`])
    expect(found()).to.include({ evaluated: 20, different: 20, undecided: 0, failed: 0, failure: '', others: 0 })
    expect(found().differences[0]).to.include({ host: orders, route: 'default', example: 'GET /items' })
  })

  it('counts what would be refused, and counts it nowhere else', async () => {
    await start()
    beginRoutes(
      '- fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }\n  route: [{ destination: { host: orders } }]',
    )
    await call()
    expect(rows()).to.deep.equal([`20 refused: ${orders} -> 503 E_FAULT_INJECTED`])
    expect(started.metric('hostmesh_filter_total')).to.equal(0)
    expect(started.metric('hostmesh_fault_aborts_total')).to.equal(0)
  })

  it('counts what would find nobody: a service without endpoints, one that nobody knows, no route', async () => {
    await start()
    beginRoutes(
      [
        '- match: [{ uri: { prefix: /empty } }]\n  route: [{ destination: { host: empty } }]',
        '- match: [{ uri: { prefix: /unknown } }]\n  route: [{ destination: { host: unknown } }]',
        '- match: [{ uri: { prefix: /items } }]\n  retries: { attempts: 0 }\n  route: [{ destination: { host: orders } }]',
      ].join('\n'),
    )
    for (const path of ['/empty', '/unknown', '/other', '/items']) await call(1, path)
    expect(rows()).to.have.members([
      `1 refused: ${orders} -> 503 E_BALANCE_NO_ENDPOINT`,
      `1 refused: ${orders} -> 503 E_ROUTE_UNKNOWN_SERVICE`,
      `1 refused: ${orders} -> 404 E_ROUTE_NONE`,
    ])
    expect(found()).to.include({ evaluated: 4, different: 3 })
  })

  it('tells other times, retries and edits of the route apart, and delays', async () => {
    await start()
    beginRoutes(
      [
        '- timeout: 2s',
        '  retries: { attempts: 2, perTryTimeout: 1s, retryOn: 5xx }',
        '  headers: { request: { set: { x-a: b } } }',
        '  fault: { delay: { fixedDelay: 3s, percentage: { value: 100 } } }',
        '  route: [{ destination: { host: orders } }]',
      ].join('\n'),
    )
    await call(2)
    expect(rows()).to.have.members([
      '2 delay: as it is -> 3000 ms later',
      '2 timeout: none -> 2000 ms',
      '2 retries: none -> 2 on 5xx, 1000 ms per try',
      '2 edits: as it is -> requestHeaders would be otherwise',
    ])
    expect(found().different).to.equal(2)
  })

  it('moves a request by the same draw as the rules in force', async () => {
    const split = (first: number): HttpRouteSpec['action'] => ({
      kind: 'forward',
      destinations: [
        { service: key('orders'), weight: first },
        { service: key('billing'), weight: 100 - first },
      ],
    })
    await start({ action: split(90) })
    begin({ virtualHosts: { [orders]: hostSpec([route('orders', [], { action: split(70) })]) } })
    for (const draw of [0.1, 0.69, 0.75, 0.89, 0.95]) {
      draws = [draw]
      await call(1)
    }
    expect(rows()).to.deep.equal([`2 destination: ${orders} -> ${key('billing')}`])
    expect(found().evaluated).to.equal(5)
  })

  it('takes what a filter by chance said for both where both have it', async () => {
    const fault = { kind: 'fault-abort', share: 0.5, status: 503 } as const
    await start({ filters: [fault] })
    const cors = {
      kind: 'cors',
      allowOrigins: [],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: false,
    } as const
    begin({ virtualHosts: { [orders]: hostSpec([route('orders', [], { filters: [cors, fault] })]) } })
    for (let at = 0; at < 10; at++) {
      draws = [at % 2 === 0 ? 0.1 : 0.9, 0.2]
      await fetch(`http://127.0.0.1:${started.port('orders')}/`)
    }
    expect(found()).to.include({ evaluated: 10, different: 0 })
  })

  it('tells what of the policy of a destination would be otherwise', async () => {
    await start()
    const policy = { ...defaultTrafficPolicy, pool: { ...defaultTrafficPolicy.pool, connectTimeoutMs: 50 } }
    begin({ services: { [orders]: { policy, subsets: {}, portPolicies: {} } } })
    await call(3)
    expect(rows()).to.deep.equal(['3 policy: pool.connectTimeoutMs 1000 -> pool.connectTimeoutMs 50'])
  })

  it('looks at its share of the requests alone', async () => {
    await start()
    begin({ share: 0.25, virtualHosts: { [orders]: hostSpec([route('billing')]) } })
    for (const draw of [0.1, 0.2, 0.3, 0.9]) {
      draws = [draw]
      await call(1)
    }
    expect(found()).to.include({ evaluated: 2, different: 2 })
  })

  it('gives up a new version whose evaluation throws, and no request notices', async () => {
    await start()
    const filters = [{ kind: 'broken' } as unknown as FilterSpec]
    begin({ virtualHosts: { [orders]: hostSpec([route('orders', [], { filters })]) } })
    await call()
    const { figures, isOver } = ask({ kind: 'dry-run' })
    expect(isOver).to.equal(true)
    expect(figures).to.include({ evaluated: 10, failed: 10, different: 0 })
    expect(figures.failure).to.include('this filter is broken')
  })

  it('refuses what cannot be compiled, and goes on with what is under way', async () => {
    await start()
    beginRoutes('- timeout: 1s\n  route: [{ destination: { host: orders } }]')
    const filters = [{ kind: 'of-tomorrow' } as unknown as FilterSpec]
    const candidate = { id: 'two', virtualHosts: { [orders]: hostSpec([route('orders', [], { filters })]) } }
    expect(() => begin(candidate)).to.throw(/no filter of-tomorrow is known/)
    await call(2)
    expect(ask({ kind: 'dry-run' })).to.deep.include({ id: 'one', isOver: false })
    expect(found().evaluated).to.equal(2)
  })

  it('ends with its time by itself, or when it is told, and keeps what it found', async () => {
    await start()
    const virtualHosts = { [orders]: hostSpec([route('billing')]) }
    begin({ virtualHosts })
    await call(3)
    expect(ask({ kind: 'end-dry-run' })).to.deep.include({ id: 'one', isOver: true })
    await call(1)
    expect(found().evaluated).to.equal(3)
    begin({ id: 'two', ms: 5, virtualHosts })
    await eventually(() => ask({ kind: 'dry-run' }).isOver)
    await call(1)
    expect(ask({ kind: 'dry-run' })).to.deep.include({ id: 'two', isOver: true })
    expect(found().evaluated).to.equal(0)
  })
})

describe('the differences of a dry run', () => {
  it('are told apart up to a bound, and added up beyond it', () => {
    const table = new DifferenceTable()
    for (let at = 0; at < 60; at++)
      table.add({ kind: 'answer', now: 'a'.repeat(1000), then: String(at) }, 'host', 'route', () => 'GET /')
    table.add({ kind: 'answer', now: 'a'.repeat(1000), then: '0' }, 'host', 'route', () => 'GET /')
    expect(table.all()).to.have.length(50)
    expect(table.all()[0]).to.include({ then: '0', requests: 2 })
    expect(table.all()[0]!.now).to.have.length(300)
    expect(table.others).to.equal(10)
  })
})
