import { expect } from 'chai'

import type { TrafficPolicySpec } from '../../../../../contracts/policy-spec.ts'
import type { RetrySpec } from '../../../../../contracts/route-spec.ts'
import { outlierOf } from '../../../../support/balance.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually, holds, still } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import type { ServicePlan, SnapshotPlan } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const refusingPort = 1
const retry: RetrySpec = { attempts: 2, perTryTimeoutMs: 0, on: ['5xx'], statuses: [], backoffMs: 1 }

describe('an HTTP/1.1 exchange', () => {
  let backend: RecordingBackend
  let second: RecordingBackend
  let started: StartedWorker | undefined
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    second = await RecordingBackend.start()
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started?.stop()
    started = undefined
    await backend.close()
    await second.close()
  })

  const at = (port: number) => ({ address: '127.0.0.1', port })
  const orders = (plan: Partial<ServicePlan> = {}): ServicePlan => ({
    name: 'orders',
    endpoints: [at(backend.port)],
    ...plan,
  })

  async function worker(plan: Partial<SnapshotPlan> & { service?: Partial<ServicePlan> } = {}): Promise<StartedWorker> {
    const { service, ...rest } = plan
    started = await startWorker({ services: [orders(service)], ...rest })
    return started
  }

  async function call(port: number): Promise<RawCaller> {
    const caller = await RawCaller.open(port)
    callers.push(caller)
    return caller
  }

  const get = (path = '/', fields = '') => `GET ${path} HTTP/1.1\r\nHost: orders\r\n${fields}\r\n`
  const post = (body: string, fields = '') =>
    `POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`

  it('passes a request and its reply, marks the tier and names itself in Via', async () => {
    const { port } = await worker()
    const caller = await call(port('orders'))
    caller.send(get('/a?b=1', 'X-Thing: 1\r\n'))
    await caller.expect(/^HTTP\/1\.1 200 OK\r\n[^]*x-mesh-tier: agent\r\n[^]*\r\nok$/)
    const [request] = backend.requests
    expect(request!.target).to.equal('/a?b=1')
    expect(backend.connections[0]!.bytes.toString())
      .to.include('Via: 1.1 test-host\r\n')
      .and.to.include('X-Thing: 1\r\n')
  })

  it('reuses one connection to the endpoint for requests of many callers', async () => {
    const { port } = await worker()
    for (let i = 0; i < 5; i++) {
      const caller = await call(port('orders'))
      caller.send(get())
      await caller.expect('\r\n\r\nok')
    }
    expect(backend.connections).to.have.length(1)
    expect(backend.requests).to.have.length(5)
  })

  it('answers pipelined requests in order', async () => {
    const { port } = await worker()
    backend.answer = (message) => `HTTP/1.1 200 OK\r\nContent-Length: ${message.target.length}\r\n\r\n${message.target}`
    const caller = await call(port('orders'))
    caller.send(Array.from({ length: 40 }, (_, i) => get(`/${i}`)).join(''))
    await caller.expect('\r\n\r\n/39')
    expect(caller.text.match(/\r\n\r\n\/\d+/g)!.map((found) => Number(found.slice(5)))).to.deep.equal([
      ...Array(40).keys(),
    ])
  })

  it('names the service by x-mesh-service and does not forward the field', async () => {
    const { port } = await worker()
    const caller = await call(port('shared'))
    caller.send('GET / HTTP/1.1\r\nHost: whatever\r\nX-Mesh-Service: orders\r\n\r\n')
    await caller.expect('\r\n\r\nok')
    expect(backend.connections[0]!.bytes.toString().toLowerCase()).to.not.include('x-mesh-service')
  })

  it('names the service by Host, with or without a port', async () => {
    const { port } = await worker()
    for (const host of ['orders', 'orders:80', 'ORDERS']) {
      const caller = await call(port('shared'))
      caller.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      await caller.expect('\r\n\r\nok')
    }
  })

  it('asks control for an unknown name and serves the waiting request when the answer comes', async () => {
    const { asked, change, port } = await worker()
    const caller = await call(port('shared'))
    caller.send('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: billing\r\n\r\n')
    await eventually(() => asked.length > 0)
    expect(asked).to.deep.equal(['billing'])
    await change({ names: { billing: keyOf('orders') } })
    await caller.expect('\r\n\r\nok')
  })

  it('answers 503 for a name that nobody knows, and when control does not answer in time', async () => {
    const { change, port } = await worker({ limits: { parkTimeoutMs: 30 } })
    const slow = await call(port('shared'))
    slow.send('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: billing\r\n\r\n')
    await slow.expect(/E_ROUTE_UNKNOWN_SERVICE[^]*billing is not known yet: no registry has answered/)
    await change({ names: { nobody: null } })
    const known = await call(port('shared'))
    known.send('GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: nobody\r\n\r\n')
    await known.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_ROUTE_UNKNOWN_SERVICE[^]*known to no registry/)
  })

  it('says of a name that no service can have that it is not allowed, and asks nobody', async () => {
    const { asked, port } = await worker()
    for (const name of ['a b', 'a/b/c', '@@x', 'caf\xe9', 'x'.repeat(513)]) {
      const caller = await call(port('shared'))
      caller.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Mesh-Service: ${name}\r\n\r\n`)
      await caller.expect(/^HTTP\/1\.1 400 [^]*x-mesh-error: E_ROUTE_NAME_NOT_ALLOWED/)
    }
    expect(asked).to.deep.equal([])
  })

  it('refuses requests beyond the bound on waiting ones', async () => {
    const { metric, port } = await worker({ limits: { maxParkedRequests: 1 } })
    const first = await call(port('shared'))
    first.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => metric('hostmesh_parked_requests') === 1)
    const next = await call(port('shared'))
    next.send('GET / HTTP/1.1\r\nHost: b\r\n\r\n')
    await next.expect('x-mesh-error: E_OVERLOAD')
    expect(metric('hostmesh_park_overflows_total')).to.equal(1)
  })

  it('uses x-mesh-fallback only when no instance is known, and only inside the allowed networks', async () => {
    const { port } = await worker({
      mesh: { fallbackNetworks: ['127.0.0.0/8'] },
      service: { endpoints: [] },
    })
    const inside = await call(port('orders'))
    inside.send(get('/', `X-Mesh-Fallback: 127.0.0.1:${second.port}\r\n`))
    await inside.expect('\r\n\r\nok')
    expect(second.requests).to.have.length(1)
    const outside = await call(port('orders'))
    outside.send(get('/', 'X-Mesh-Fallback: 10.1.1.1:80\r\n'))
    await outside.expect(/^HTTP\/1\.1 403 [^]*E_ROUTE_FALLBACK_REFUSED/)
  })

  it('follows x-mesh-fallback to no port of the agent itself, in any spelling', async () => {
    const { metric, port } = await worker({
      mesh: {
        fallbackNetworks: ['127.0.0.0/8', '0.0.0.0/0'],
        ownAddresses: [{ address: '127.0.0.1', port: second.port }],
      },
      service: { endpoints: [] },
    })
    for (const named of [`127.0.0.1:${second.port}`, `[::ffff:127.0.0.1]:${second.port}`, '169.254.169.254:80']) {
      const caller = await call(port('shared'))
      caller.send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\nX-Mesh-Fallback: ${named}\r\n\r\n`)
      await caller.expect(/^HTTP\/1\.1 403 [^]*E_ROUTE_FALLBACK_REFUSED/)
    }
    expect(second.requests).to.have.length(0)
    const back = await call(port('orders'))
    back.send(get('/', `X-Mesh-Fallback: 127.0.0.1:${port('shared')}\r\n`))
    await back.expect(/^HTTP\/1\.1 503 /)
    expect(metric('hostmesh_loop_dials_total')).to.be.above(0)
  })

  it('lets no peer at an inbound port choose an address by x-mesh-fallback', async () => {
    const { change, port } = await worker({
      mesh: { fallbackNetworks: ['127.0.0.0/8'] },
      service: { endpoints: [] },
    })
    const base = { address: '127.0.0.1', port: 0, proxyProtocol: 'off', protocol: 'http' } as const
    const key = keyOf('orders')
    await change({
      listeners: { in: { ...base, name: 'in', kind: 'inbound', service: key, virtualHost: key, app: 'orders' } },
    })
    const peer = await call(port('in'))
    peer.send(get('/', `X-Mesh-Fallback: 127.0.0.1:${second.port}\r\n`))
    await peer.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_BALANCE_NO_ENDPOINT/)
    expect(second.requests).to.have.length(0)
  })

  it('prefers a known instance over x-mesh-fallback', async () => {
    const { port } = await worker({ mesh: { fallbackNetworks: ['127.0.0.0/8'] } })
    const caller = await call(port('orders'))
    caller.send(get('/', `X-Mesh-Fallback: 127.0.0.1:${second.port}\r\n`))
    await caller.expect('\r\n\r\nok')
    expect(second.requests).to.have.length(0)
  })

  it('answers 503 with UH for a service without endpoints', async () => {
    const { metric, port } = await worker({ service: { endpoints: [] } })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_BALANCE_NO_ENDPOINT/)
    expect(metric('istio_requests_total', '503', 'UH')).to.equal(1)
  })

  it('answers 503 with UF when the endpoint refuses, and keeps the connection of the caller', async () => {
    const { metric, port } = await worker({ service: { endpoints: [at(refusingPort)] } })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect('x-mesh-error: E_CONNECT_REFUSED')
    caller.send(get())
    await caller.until(() => caller.text.split('E_CONNECT_REFUSED\r\n').length === 3)
    expect(caller.isOver).to.equal(false)
    expect(metric('istio_requests_total', '503', 'UF')).to.equal(2)
  })

  it('retries a refused connection at another endpoint, also for POST', async () => {
    const { port } = await worker({
      service: {
        endpoints: [at(refusingPort), at(backend.port)],
        policy: { loadBalancer: { kind: 'round-robin' } },
        route: { retry: { ...retry, on: ['connect-failure'] } },
      },
    })
    for (let i = 0; i < 4; i++) {
      const caller = await call(port('orders'))
      caller.send(post('hello'))
      await caller.expect(/^HTTP\/1\.1 200/)
    }
    expect(backend.requests.map((request) => request.body)).to.deep.equal(Array(4).fill('hello'))
  })

  it('retries a GET on a listed status at another endpoint, within the count', async () => {
    backend.answer = () => 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'
    const { metric, port } = await worker({
      service: { endpoints: [at(backend.port), at(second.port)], route: { retry } },
    })
    for (let i = 0; i < 4; i++) {
      const caller = await call(port('orders'))
      caller.send(get())
      await caller.expect(/^HTTP\/1\.1 200/)
    }
    expect(second.requests).to.have.length(4)
    expect(metric('hostmesh_retries_total')).to.equal(backend.requests.length)
  })

  it('passes the last reply on when the retries are used up', async () => {
    backend.answer = () => 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy'
    const { metric, port } = await worker({ service: { route: { retry } } })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect(/^HTTP\/1\.1 503 [^]*\r\n\r\nbusy$/)
    expect(backend.requests).to.have.length(3)
    expect(metric('istio_requests_total', '503', 'URX')).to.equal(1)
  })

  it('does not retry a POST whose bytes were sent (R31)', async () => {
    backend.answer = () => 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'
    const { port } = await worker({ service: { route: { retry } } })
    const caller = await call(port('orders'))
    caller.send(post('hello'))
    await caller.expect(/^HTTP\/1\.1 503/)
    expect(backend.requests).to.have.length(1)
  })

  describe('on a kept-alive connection that ends without a byte of a reply', () => {
    const unread = 'hostmesh_repeats_unread_total'
    const reused = 'hostmesh_repeats_reused_connection_total'
    const policy: Partial<TrafficPolicySpec> = {
      outlier: outlierOf({ consecutiveGatewayErrors: 1, maxEjectionShare: 1 }),
    }

    async function kept(plan: Parameters<typeof worker>[0] = {}): Promise<RawCaller> {
      const { port } = await worker(plan)
      const caller = await call(port('orders'))
      caller.send(get())
      await caller.expect('\r\n\r\nok')
      return caller
    }
    const answered = (caller: RawCaller, count: number) =>
      caller.until(() => caller.text.split('HTTP/1.1 ').length > count)

    for (const method of ['POST', 'PATCH', 'MOVE', 'GET'])
      it(`repeats a ${method} that the endpoint had closed before it knew of it, which is no failure of the endpoint (R31)`, async () => {
        const caller = await kept({ service: { policy } })
        // In one turn: the request is on its way when the endpoint's FIN leaves.
        caller.send(post('hello').replace('POST', method))
        backend.connections[0]!.socket.destroy()
        await answered(caller, 2)
        expect(caller.text.split('200 OK')).to.have.length(3)
        expect(backend.connections[1]!.bytes.toString()).to.match(new RegExp(`^${method} [^]*hello$`))
        expect([started!.metric(unread), started!.metric(reused)]).to.deep.equal([1, 0])
        expect(started!.metric('hostmesh_cluster_ejections_total')).to.equal(0)
      })

    for (const method of ['POST', 'PATCH', 'MOVE'])
      for (const attempts of [0, 2])
        it(`does not repeat a ${method} that the endpoint has read, with ${attempts} retries (R31)`, async () => {
          const caller = await kept({ service: { route: { retry: { ...retry, attempts, on: ['5xx', 'reset'] } } } })
          backend.onPiece = ({ socket }) => {
            socket.end()
            return true
          }
          caller.send(post('hello').replace('POST', method))
          await caller.expect('x-mesh-error: E_UPSTREAM_RESET')
          expect(backend.connections).to.have.length(1)
        })

    it('repeats a POST that the kernel did not take, and goes on with the caller', async () => {
      const caller = await kept()
      // In one turn: the reset is there when the request is to be written.
      caller.send(post('hello'))
      backend.connections[0]!.socket.resetAndDestroy()
      await answered(caller, 2)
      expect(started!.metric(unread)).to.equal(1)
      caller.send(get())
      await answered(caller, 3)
      expect(caller.text.split('200 OK')).to.have.length(4)
    })

    it('does not repeat a POST after a reset, which says nothing of what was read', async () => {
      const caller = await kept()
      backend.onPiece = ({ socket }) => {
        socket.resetAndDestroy()
        return true
      }
      caller.send(post('hello'))
      await caller.expect('x-mesh-error: E_UPSTREAM_RESET')
      expect(backend.connections).to.have.length(1)
    })

    it('writes no byte of a POST to an endpoint that has said that it will send no more, and may still read', async () => {
      const caller = await kept()
      caller.send(post('hello'))
      backend.connections[0]!.socket.end()
      await answered(caller, 2)
      expect(caller.text.split('200 OK')).to.have.length(3)
      expect(backend.connections[0]!.bytes.toString()).not.to.include('hello')
      expect(backend.connections[1]!.bytes.toString()).to.match(/^POST [^]*hello$/)
      expect(started!.metric(unread)).to.equal(1)
    })

    it('repeats a GET that the endpoint may have read, and counts the first as a failure of the endpoint', async () => {
      const caller = await kept({
        service: {
          endpoints: [at(backend.port), at(second.port)],
          policy: { ...policy, loadBalancer: { kind: 'round-robin' } },
        },
      })
      caller.send(get())
      await answered(caller, 2)
      for (const one of [backend, second]) {
        one.onPiece = ({ id, socket }) => {
          if (id > 0) return false
          socket.end()
          return true
        }
      }
      caller.send(get())
      await answered(caller, 3)
      expect(caller.text.split('200 OK')).to.have.length(4)
      expect([started!.metric(unread), started!.metric(reused)]).to.deep.equal([0, 1])
      expect(started!.metric('hostmesh_cluster_ejections_total')).to.equal(1)
    })
  })

  it('answers 502 when the endpoint closes without a reply', async () => {
    backend.onPiece = (connection) => {
      connection.socket.destroy()
      return true
    }
    const { metric, port } = await worker()
    const caller = await call(port('orders'))
    caller.send(post('hello'))
    await caller.expect(/^HTTP\/1\.1 502 [^]*x-mesh-error: E_UPSTREAM_RESET/)
    expect(metric('istio_requests_total', '502', 'UC')).to.equal(1)
  })

  it('answers 504 when the time of the route is over, and closes the connection to the endpoint', async () => {
    backend.answer = () => undefined
    const { metric, port } = await worker({ service: { route: { timeoutMs: 40 } } })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect(/^HTTP\/1\.1 504 [^]*x-mesh-error: E_UPSTREAM_TIMEOUT/)
    expect(metric('istio_requests_total', '504', 'UT')).to.equal(1)
    await eventually(() => backend.connections[0]!.isEnded)
    expect(backend.connections[0]!.isEnded).to.equal(true)
  })

  it('gives up one try after its own time and uses another endpoint', async () => {
    backend.answer = () => undefined
    const { port } = await worker({
      service: {
        endpoints: [at(backend.port), at(second.port)],
        policy: { loadBalancer: { kind: 'round-robin' } },
        route: { retry: { ...retry, perTryTimeoutMs: 30 } },
      },
    })
    for (let i = 0; i < 2; i++) {
      const caller = await call(port('orders'))
      caller.send(get())
      await caller.expect(/^HTTP\/1\.1 200/)
    }
  })

  it('does not count an injected delay into the time of the route', async () => {
    const { port } = await worker({
      service: { route: { timeoutMs: 200, filters: [{ kind: 'fault-delay', share: 1, fixedMs: 250 }] } },
    })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect(/^HTTP\/1\.1 200/)
    backend.answer = () => undefined
    caller.send(get())
    await caller.expect(/HTTP\/1\.1 504 /)
  })

  it('matches repeated fields joined by commas, and the destination replaces what its route sets', async () => {
    const edits = (value: string) => ({ set: [['x-by', value]] as [string, string][], add: [], remove: [] })
    const { port } = await worker({
      service: {
        route: {
          matches: [{ headers: { 'x-a': { exact: '1,2' } } }],
          requestHeaders: edits('route'),
          action: {
            kind: 'forward',
            destinations: [{ service: keyOf('orders'), weight: 1, requestHeaders: edits('destination') }],
          },
        },
      },
    })
    const caller = await call(port('orders'))
    caller.send(get('/', 'X-A: 1\r\nX-By: caller\r\nX-A: 2\r\n'))
    await caller.expect(/^HTTP\/1\.1 200/)
    expect(backend.requests[0]!.fields.filter(([name]) => name === 'x-by')).to.deep.equal([['x-by', 'destination']])
  })

  for (const ignorePreviousHosts of [undefined, true])
    it(`${ignorePreviousHosts === true ? 'goes elsewhere with' : 'stays at the endpoint of its hash for'} a retry ${ignorePreviousHosts === true ? 'where the rule says so' : 'unless told otherwise'}`, async () => {
      for (const one of [backend, second]) one.answer = () => 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'
      const loadBalancer = {
        kind: 'ring-hash',
        key: { from: 'header', name: 'x-user' },
        minimumRingSize: 1024,
      } as const
      const { port } = await worker({
        service: {
          endpoints: [at(backend.port), at(second.port)],
          policy: { loadBalancer },
          route: { retry: { ...retry, ...(ignorePreviousHosts === undefined ? {} : { ignorePreviousHosts }) } },
        },
      })
      const caller = await call(port('orders'))
      caller.send(get('/', 'X-User: 7\r\n'))
      await caller.expect(/^HTTP\/1\.1 503/)
      const counts = [backend.requests.length, second.requests.length].toSorted((one, other) => one - other)
      expect(counts).to.deep.equal(ignorePreviousHosts === true ? [1, 2] : [0, 3])
    })

  it('sends a second request beside a slow first one and takes the faster answer', async () => {
    let answered = 0
    const slowFirst = () => (answered++ === 0 ? undefined : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    backend.answer = slowFirst
    second.answer = slowFirst
    const { metric, port } = await worker({
      service: { endpoints: [at(backend.port), at(second.port)], route: { hedge: { afterMs: 20, maxExtra: 1 } } },
    })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect(/^HTTP\/1\.1 200/)
    expect(metric('hostmesh_hedges_total')).to.equal(1)
    expect(backend.requests).to.have.length(1)
    expect(second.requests).to.have.length(1)
    expect(metric('hostmesh_cluster_active_retries')).to.equal(0)
  })

  it('does not hedge a request with a body', async () => {
    backend.answer = () => undefined
    const route = { timeoutMs: 1000, hedge: { afterMs: 1, maxExtra: 1 } }
    const { metric, port } = await worker({ service: { route } })
    const caller = await call(port('orders'))
    caller.send(post('x'))
    await eventually(() => backend.requests.length === 1)
    await caller.expect(/^HTTP\/1\.1 504/)
    expect(backend.requests).to.have.length(1)
    expect(metric('hostmesh_hedges_total')).to.equal(0)
  })

  it('mirrors a request to another service, marks its Host, and does not wait for it', async () => {
    second.answer = () => undefined
    started = await startWorker({
      services: [
        orders({ route: { mirrors: [{ destination: { service: keyOf('shadow'), weight: 1 }, share: 1 }] } }),
        { name: 'shadow', endpoints: [at(second.port)] },
      ],
    })
    const caller = await call(started.port('orders'))
    caller.send(post('hello'))
    await caller.expect('\r\n\r\nok')
    await eventually(() => second.requests.length > 0)
    expect(second.requests[0]!.body).to.equal('hello')
    expect(second.connections[0]!.bytes.toString()).to.include('Host: orders-shadow\r\n')
  })

  it('limits by the policy: a request beyond maxRequests is refused with UO', async () => {
    backend.answer = () => undefined
    const { defaultTrafficPolicy } = await import('../../../../../contracts/policy-spec.ts')
    const { metric, port } = await worker({
      service: { policy: { pool: { ...defaultTrafficPolicy.pool, maxRequests: 1 } } },
    })
    const first = await call(port('orders'))
    first.send(get())
    await eventually(() => backend.requests.length === 1)
    const next = await call(port('orders'))
    next.send(get())
    await next.expect(/^HTTP\/1\.1 503 [^]*x-mesh-error: E_BALANCE_OVERFLOW/)
    expect(metric('istio_requests_total', '503', 'UO')).to.equal(1)
  })

  it('creates a trace for a request without one and leaves an existing one alone', async () => {
    const { port } = await worker({ mesh: { tracing: { createMissing: true, sampledShare: 1 } } })
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect('\r\n\r\nok')
    const traced = await call(port('orders'))
    traced.send(get('/', 'traceparent: 00-11111111111111111111111111111111-2222222222222222-01\r\n'))
    await traced.expect('\r\n\r\nok')
    const [made, kept] = backend.connections[0]!.bytes.toString().split('GET ').slice(1)
    expect(made).to.match(/traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\n/)
    expect(kept!.match(/traceparent/g)).to.have.length(1)
    expect(kept).to.include('1111-2222222222222222-01')
  })

  it('breaks a loop: a request that passed this agent too often is refused', async () => {
    const { port } = await worker()
    const caller = await call(port('orders'))
    caller.send(get('/', `Via: ${Array(8).fill('1.1 test-host').join(', ')}\r\n`))
    await caller.expect(/^HTTP\/1\.1 508 [^]*x-mesh-error: E_ROUTE_LOOP/)
    expect(backend.requests).to.have.length(0)
  })

  it('closes the connection to the endpoint when the caller goes away', async () => {
    backend.answer = () => undefined
    const { metric, port } = await worker()
    const caller = await call(port('orders'))
    caller.send(get())
    await eventually(() => backend.requests.length === 1)
    caller.socket.resetAndDestroy()
    await eventually(() => backend.connections[0]!.isEnded)
    expect(backend.connections[0]!.isEnded).to.equal(true)
    expect(metric('istio_requests_total', '0', 'DC')).to.equal(1)
    expect(metric('hostmesh_cluster_active_requests')).to.equal(0)
  })

  it('carries a body larger than any buffer both ways without losing a byte, with a slow reader', async () => {
    const big = Buffer.alloc(3_000_000, 'abcdefghij')
    backend.answer = (message) =>
      Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${message.body.length}\r\n\r\n${message.body}`, 'latin1')
    const { port } = await worker()
    const caller = await call(port('orders'))
    caller.send(`POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: ${big.length}\r\n\r\n`)
    caller.send(big)
    caller.socket.pause()
    await eventually(() => backend.requests.length === 1)
    const { socket } = backend.connections[0]!
    await still(() => socket.bytesWritten - socket.writableLength)
    caller.socket.resume()
    await caller.until(() => caller.bytes.length > big.length && caller.bytes.subarray(-10).equals(big.subarray(-10)))
    const at = caller.bytes.indexOf('\r\n\r\n') + 4
    expect(caller.bytes.subarray(at).equals(big)).to.equal(true)
  })

  it('lets a slow reader have the whole of its last answer', async () => {
    const big = 'z'.repeat(4_000_000)
    backend.answer = () => `HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n${big}`
    const { port } = await worker({ limits: { drainTimeoutMs: 20 } })
    const caller = await call(port('orders'))
    caller.socket.pause()
    caller.send(get('/', 'Connection: close\r\n'))
    await eventually(() => backend.requests.length === 1)
    await holds(() => !caller.isClosed, 150)
    caller.socket.resume()
    await caller.closed()
    expect(caller.text.length - caller.text.indexOf('\r\n\r\n') - 4).to.equal(big.length)
  })

  it('tunnels a WebSocket upgrade, with the bytes glued to the 101, and half-closes', async () => {
    backend.answer = (_message, connection) => {
      connection.hasSwitched = true
      return 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nglued'
    }
    backend.onPiece = (connection) => {
      if (!connection.hasSwitched) return false
      connection.socket.write('echo')
      return true
    }
    const { metric, port } = await worker()
    const caller = await call(port('orders'))
    caller.send('GET /ws HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await caller.expect(/^HTTP\/1\.1 101 [^]*\r\n\r\nglued$/)
    caller.send('frame')
    await caller.expect('gluedecho')
    expect(backend.connections[0]!.bytes.toString()).to.match(/\r\n\r\nframe$/)
    caller.socket.end()
    await caller.closed()
    await eventually(() => metric('hostmesh_cluster_active_requests') === 0)
    expect(metric('hostmesh_cluster_connections')).to.equal(0)
  })

  it('uses new endpoints and forgets old ones as soon as a change is applied', async () => {
    const { change, port } = await worker()
    const caller = await call(port('orders'))
    caller.send(get())
    await caller.expect('\r\n\r\nok')
    const { endpointOf } = await import('../../../../support/worker/snapshots.ts')
    const service = keyOf('orders')
    await change({
      endpoints: {
        [service]: {
          service,
          version: 2,
          protectThreshold: 0,
          registry: 'main',
          confirmedAt: 0,
          endpoints: [endpointOf('127.0.0.1', second.port)],
        },
      },
    })
    caller.send(get())
    await eventually(() => second.requests.length === 1)
    expect(second.requests).to.have.length(1)
    await eventually(() => backend.connections[0]!.isEnded)
    expect(backend.connections[0]!.isEnded, 'idle connection of the endpoint that left').to.equal(true)
  })
})
