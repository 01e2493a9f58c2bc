import { expect } from 'chai'
import type {
  DescriptorActionSpec,
  GlobalRateLimitSpec,
  RateLimitServiceSpec,
} from '../../../../../contracts/global-rate-limit-spec.ts'
import type { FilterSpec, VirtualHostSpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { RlsServer } from '../../../../support/rate-limits/rls-server.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const service: RateLimitServiceSpec = {
  name: 'limits',
  service: keyOf('limits'),
  timeoutMs: 5000,
  failureModeDeny: false,
  metadata: { 'hostmesh-host': 'host-1', authorization: 'Bearer secret' },
}
const byUser: DescriptorActionSpec = { kind: 'request-headers', key: 'user', name: 'x-user', skipIfAbsent: false }
const limit = (requestsPerUnit: number, unit = 'HOUR') => ({ requestsPerUnit, unit, name: '' })
const ok = (requestsPerUnit: number, limitRemaining: number, unit = 'HOUR') => ({
  overallCode: 'OK',
  statuses: [
    { code: 'OK', currentLimit: limit(requestsPerUnit, unit), limitRemaining, durationUntilReset: { seconds: 3000 } },
  ],
})

describe('limits that hosts share, asked for by a worker', () => {
  let backend: RecordingBackend
  let server: RlsServer
  let started: StartedWorker
  const callers: RawCaller[] = []

  const services = () => {
    const at = (port: number) => [{ address: '127.0.0.1', port }]
    return [
      { name: 'orders', endpoints: at(backend.port) },
      { name: 'limits', protocol: 'grpc' as const, endpoints: at(server.port) },
    ]
  }
  beforeEach(async () => {
    backend = await RecordingBackend.start()
    server = await RlsServer.start()
    started = await startWorker({ services: services() })
  })
  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    server.stop()
    await backend.close()
  })

  function hostWith(more: Partial<GlobalRateLimitSpec>): VirtualHostSpec {
    const key = keyOf('orders')
    return {
      name: key,
      domains: ['orders'],
      http: [
        {
          name: 'default',
          origin: { kind: 'default', name: '', path: '' },
          matches: [],
          action: { kind: 'forward', destinations: [{ service: key, weight: 1 }] },
          timeoutMs: 0,
          filters: [
            {
              kind: 'global-rate-limit',
              name: 'shop/orders/users',
              provider: 'limits',
              service,
              domain: 'shop',
              hitsAddend: 1,
              descriptors: [[byUser]],
              origin: { kind: 'MeshPolicy', name: 'shop/orders', path: 'spec.globalRateLimits[0]' },
              ...more,
            },
          ],
        },
      ],
      tcp: [],
    }
  }
  const guard = (more: Partial<GlobalRateLimitSpec> = {}, worker = started): Promise<void> =>
    worker.change({ virtualHosts: { [keyOf('orders')]: hostWith(more) } })

  async function ask(
    fields = 'x-user: ann\r\n',
    target = '/',
    worker = started,
  ): Promise<{ head: string; body: string }> {
    const caller = await RawCaller.open(worker.port('orders'))
    callers.push(caller)
    caller.send(`GET ${target} HTTP/1.1\r\nHost: orders\r\n${fields}\r\n`)
    await caller.until(() => {
      const [head, body] = caller.text.split('\r\n\r\n')
      const length = Number(/^content-length: (\d+)$/im.exec(head!)?.[1])
      return body !== undefined && body.length >= length
    })
    const [head = '', body = ''] = caller.text.split('\r\n\r\n')
    return { head, body }
  }
  const status = async (...args: Parameters<typeof ask>): Promise<number> =>
    Number((await ask(...args)).head.split(' ')[1])
  const counted = (result: string) => started.metric('hostmesh_ratelimit_total', 'limits', result)

  it('asks about the descriptors of a request, as its host, and goes on where that is in the limit', async () => {
    await guard({
      hitsAddend: 3,
      descriptors: [
        [{ kind: 'generic-key', key: 'generic_key', value: 'orders' }, byUser],
        [{ kind: 'remote-address' }, { kind: 'source-cluster' }],
        [{ kind: 'request-headers', key: 'path', name: ':path', skipIfAbsent: false }],
        [{ kind: 'request-headers', key: 'none', name: 'x-none', skipIfAbsent: false }, { kind: 'remote-address' }],
        [{ kind: 'request-headers', key: 'none', name: 'x-none', skipIfAbsent: true }, { kind: 'remote-address' }],
        [
          {
            kind: 'header-value-match',
            key: 'm',
            value: 'ann',
            expectMatch: true,
            headers: { 'x-user': { exact: 'ann' } },
          },
        ],
        [
          {
            kind: 'header-value-match',
            key: 'm',
            value: 'not',
            expectMatch: false,
            headers: { 'x-user': { exact: 'ann' } },
          },
        ],
      ],
    })
    expect(await status('x-user: ann\r\n', '/a?b=c')).to.equal(200)
    const [asked] = server.asked
    expect(asked).to.include({ domain: 'shop', hitsAddend: 3 })
    expect(asked!.descriptors.map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`))).to.deep.equal([
      ['generic_key=orders', 'user=ann'],
      ['remote_address=127.0.0.1', 'source_cluster=unknown'],
      ['path=/a?b=c'],
      ['remote_address=127.0.0.1'],
      ['m=ann'],
    ])
    expect(server.metadata[0]!.get('hostmesh-host')).to.deep.equal(['host-1'])
    expect(server.metadata[0]!.get('authorization')).to.deep.equal(['Bearer secret'])
    expect(counted('ok')).to.equal(1)
  })

  it('asks nobody about a request without a descriptor', async () => {
    await guard()
    expect(await status('')).to.equal(200)
    expect(server.asked).to.have.length(0)
  })

  it('answers 429 beyond the limit, with what the service wants to be said', async () => {
    await guard()
    server.answer = () => ({
      overallCode: 'OVER_LIMIT',
      statuses: [{ code: 'OVER_LIMIT', currentLimit: limit(9, 'MINUTE'), durationUntilReset: { seconds: 42 } }],
      responseHeadersToAdd: [{ key: 'X-Limit', value: '9' }],
      rawBody: Buffer.from('slowly'),
    })
    const { body, head } = await ask()
    expect(head).to.match(/^HTTP\/1.1 429 /)
    for (const field of ['x-envoy-ratelimited: true', 'retry-after: 42', 'x-limit: 9', 'x-mesh-error: E_RATE_LIMITED'])
      expect(head.toLowerCase()).to.contain(field.toLowerCase())
    expect(body).to.equal('slowly')
    expect(backend.requests).to.have.length(0)
    expect(counted('over_limit')).to.equal(1)
  })

  it('gives request and reply the fields of the service', async () => {
    await guard()
    server.answer = () => ({
      ...ok(9, 8),
      requestHeadersToAdd: [{ key: 'x-tier', rawValue: Buffer.from('gold') }],
      responseHeadersToAdd: [{ key: 'x-left', value: '8' }],
    })
    expect((await ask()).head).to.match(/^x-left: 8$/im)
    expect(backend.requests[0]!.fields.find(([name]) => name === 'x-tier')?.[1]).to.equal('gold')
  })

  it('believes no time beyond the window of the limit', async () => {
    await guard()
    const absurd = (seconds: number | string, currentLimit: object | null) => {
      server.answer = () => ({
        overallCode: 'OVER_LIMIT',
        statuses: [{ code: 'OVER_LIMIT', currentLimit, durationUntilReset: { seconds } }],
      })
    }
    absurd('9000000000000000', limit(1, 'MINUTE'))
    expect((await ask()).head).to.match(/^retry-after: 60$/im)
    absurd(-5, limit(1, 'HOUR'))
    expect((await ask()).head).to.match(/^retry-after: 3600$/im)
    absurd('9000000000000000', null)
    expect((await ask()).head).to.match(/^retry-after: 86400$/im)
  })

  const lies: readonly [string, () => void][] = [
    ['fails', () => (server.answer = () => new Error('out of order'))],
    ['says neither yes nor no', () => (server.answer = () => ({ overallCode: 'UNKNOWN' }))],
    ['counts other descriptors', () => (server.answer = () => ({ ...ok(9, 8), statuses: [{}, {}] }))],
    [
      'splits a head',
      () => (server.answer = () => ({ overallCode: 'OK', responseHeadersToAdd: [{ key: 'x', value: 'a\r\nb: c' }] })),
    ],
    [
      'writes what is ours',
      () => (server.answer = () => ({ overallCode: 'OK', requestHeadersToAdd: [{ key: 'host', value: 'a' }] })),
    ],
    ['says too much', () => (server.answer = () => ({ overallCode: 'OVER_LIMIT', rawBody: Buffer.alloc(70_000, 97) }))],
  ]
  for (const [what, breakIt] of lies)
    it(`takes one that ${what} for no answer: requests pass, or are refused where that is wanted`, async () => {
      await guard()
      breakIt()
      expect(await status()).to.equal(200)
      await guard({ service: { ...service, failureModeDeny: true } })
      const { head } = await ask()
      expect(head).to.match(/^HTTP\/1.1 500 [^]*E_RATE_LIMIT_UNAVAILABLE/)
      expect([counted('error'), counted('failure_mode_allowed'), counted('failure_mode_denied')]).to.deep.equal([
        2, 1, 1,
      ])
    })

  it('tells the log what the service said that it may not say', async () => {
    await guard()
    server.answer = () => ({ overallCode: 'OK', requestHeadersToAdd: [{ key: 'host', value: 'a' }] })
    for (let at = 0; at < 3; at++) expect(await status()).to.equal(200)
    const said = 'rate-limit service limits: field "host" is not for a service to change; this host applies'
    expect(started.logged.filter((line) => line.includes(said))).to.have.length(1)
  })

  it('waits no longer than its time for one that hangs, and after three times for none at all', async () => {
    await guard({ service: { ...service, timeoutMs: 50 } })
    server.answer = () => undefined
    for (let at = 0; at < 3; at++) expect(await status()).to.equal(200)
    expect(counted('timeout')).to.equal(3)
    expect(started.logged.filter((line) => line.includes('E_RATE_LIMIT_UNAVAILABLE'))).to.have.length(1)
    const before = started.metric('hostmesh_filter_total', 'global-rate-limit', 'wait')
    for (let at = 0; at < 20; at++) expect(await status()).to.equal(200)
    expect(started.metric('hostmesh_filter_total', 'global-rate-limit', 'wait')).to.equal(before)
  })

  it('applies its share of what it was told while the service is gone, and asks again when it is back', async () => {
    await guard()
    server.hosts = '2'
    server.answer = () => ok(8, 8)
    expect(await status()).to.equal(200)
    const { port } = server
    server.stop()
    const during: number[] = []
    for (let at = 0; at < 10; at++) during.push(await status())
    expect(during, 'half of 8').to.deep.equal([200, 200, 200, 200, 429, 429, 429, 429, 429, 429])
    expect(await status('x-user: ben\r\n'), 'of whom nothing was said').to.equal(200)
    expect([counted('local_ok'), counted('local_over_limit')]).to.deep.equal([4, 6])
    expect(started.logged.filter((line) => line.includes('this host applies 50 %'))).to.have.length(1)
    server = await RlsServer.start(port)
    server.answer = () => ok(8, 8)
    // requests that are judged here ask beside it, once a second
    const deadline = performance.now() + 20_000
    while (!started.logged.some((line) => line.includes('answers again')) && performance.now() < deadline)
      await status()
    const asked = server.asked.length
    expect(await status()).to.equal(200)
    expect(server.asked.length).to.equal(asked + 1)
  })

  it('begins with what was left, and with the share of its configuration', async () => {
    await guard({ service: { ...service, localShare: 0.25 } })
    server.hosts = '1000000000'
    server.answer = () => ok(100, 8)
    expect(await status()).to.equal(200)
    server.answer = () => new Error('out of order')
    const during: number[] = []
    for (let at = 0; at < 4; at++) during.push(await status())
    expect(during, 'a quarter of 8').to.deep.equal([200, 200, 429, 429])
  })

  it('lets nothing pass of a limit of none, and all of one that was taken back', async () => {
    await guard()
    server.answer = () => ok(0, 0)
    await ask()
    server.answer = () => new Error('out of order')
    expect(await status()).to.equal(429)
    server.answer = () => ({ overallCode: 'OK', statuses: [{ code: 'OK' }] })
    expect(await status()).to.equal(200)
    server.answer = () => new Error('out of order')
    expect(await status()).to.equal(200)
  })

  it('hands what it was told to the next worker', async () => {
    await guard()
    server.hosts = '2'
    server.answer = () => ok(2, 2)
    await ask()
    server.answer = () => new Error('out of order')
    const next = await startWorker({ services: services() })
    try {
      await guard({}, next)
      for (const [part, body] of Object.entries(started.worker.porter.exportState()))
        next.worker.porter.importState(part, JSON.parse(JSON.stringify(body)))
      expect(next.metric('hostmesh_ratelimit_total', 'limits', 'ok'), 'counted on').to.equal(1)
      expect(await status(undefined, undefined, next)).to.equal(200)
      expect(await status(undefined, undefined, next)).to.equal(429)
      next.worker.porter.importState('rateLimits', {
        'global-rate-limit\nlimits': { hosts: -1, limits: { a: [1], b: 'c' } },
      })
    } finally {
      next.stop()
    }
  })

  it('lets pass what is for a service that the configuration does not name', async () => {
    const key = keyOf('orders')
    const { service: _none, ...rest } = hostWith({}).http[0]!.filters![0] as Extract<
      FilterSpec,
      { kind: 'global-rate-limit' }
    >
    const host = hostWith({})
    await started.change({
      virtualHosts: {
        [key]: { ...host, http: [{ ...host.http[0]!, filters: [rest] }] },
      },
    })
    expect(await status()).to.equal(200)
    expect(server.asked).to.have.length(0)
  })
})
