import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import type { AuthorizationRuleSpec } from '../../../../../contracts/authorization-spec.ts'
import type { ExternalAuthorizerSpec, HttpAuthorizerSpec } from '../../../../../contracts/external-authorizer-spec.ts'
import type { VirtualHostSpec } from '../../../../../contracts/route-spec.ts'
import { wireText } from '../../../../../contracts/wire-text.ts'
import { field, GrpcAuthorizer } from '../../../../support/ext-authz/grpc-authorizer.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('external authorization', () => {
  let backend: RecordingBackend
  let authorizer: GrpcAuthorizer
  let http: Server
  let onHttp: (request: IncomingMessage, response: ServerResponse) => void
  let started: StartedWorker
  const callers: RawCaller[] = []

  beforeEach(async () => {
    backend = await RecordingBackend.start()
    authorizer = await GrpcAuthorizer.start()
    http = createServer((request, response) => onHttp(request, response)).listen(0, '127.0.0.1')
    await once(http, 'listening')
    const at = (port: number) => [{ address: '127.0.0.1', port }]
    started = await startWorker({
      services: [
        { name: 'orders', endpoints: at(backend.port) },
        { name: 'judge', protocol: 'grpc', endpoints: at(authorizer.port) },
        { name: 'sso', endpoints: at((http.address() as AddressInfo).port) },
      ],
    })
  })

  afterEach(async () => {
    for (const caller of callers.splice(0)) caller.close()
    started.stop()
    authorizer.stop()
    http.closeAllConnections()
    http.close()
    await backend.close()
  })

  const judge: ExternalAuthorizerSpec = {
    name: 'judge',
    service: keyOf('judge'),
    timeoutMs: 2000,
    failOpen: false,
    statusOnError: 403,
    call: { kind: 'grpc' },
  }

  /** Policies of `orders` ask `provider`, which is `authorizer` where the configuration has it. */
  async function guard(
    authorizer: ExternalAuthorizerSpec | undefined,
    rules: readonly AuthorizationRuleSpec[] = [{}],
    provider = authorizer?.name ?? 'nobody',
  ): Promise<void> {
    const key = keyOf('orders')
    const asked = { kind: 'ext-authz', provider, ...(authorizer === undefined ? {} : { authorizer }) } as const
    const host: VirtualHostSpec = {
      name: key,
      domains: ['orders'],
      authorization: {
        trustDomain: 'cluster.local',
        policies: [{ namespace: 'public', name: 'asked', action: 'CUSTOM', provider, rules }],
      },
      http: [
        {
          name: 'default',
          origin: { kind: 'default', name: '', path: '' },
          matches: [],
          action: { kind: 'forward', destinations: [{ service: key, weight: 1 }] },
          timeoutMs: 0,
          filters: [asked, { kind: 'authorization' }],
        },
      ],
      tcp: [],
    }
    await started.change({ virtualHosts: { [key]: host } })
  }

  async function ask(path = '/', fields = '', method = 'GET', content = ''): Promise<{ head: string; body: string }> {
    const caller = await RawCaller.open(started.port('orders'))
    callers.push(caller)
    caller.send(`${method} ${path} HTTP/1.1\r\nHost: orders\r\n${fields}\r\n${content}`)
    await caller.until(() => {
      const [head, body] = caller.text.split('\r\n\r\n')
      const length = Number(/^content-length: (\d+)$/im.exec(head!)?.[1])
      return body !== undefined && body.length >= length
    })
    const [head = '', body = ''] = caller.text.split('\r\n\r\n')
    return { head, body }
  }

  const headOf = ({ fields }: { fields: readonly (readonly [string, string])[] }): string =>
    fields.map(([name, value]) => `${name}: ${value}`).join('\r\n')

  const counted = (result: string) => started.metric('hostmesh_ext_authz_total', 'judge', result)

  it('tells a server of gRPC what is asked by whom, and goes on with its word', async () => {
    await guard(judge)
    expect((await ask('/items?id=7', `x-trace: a\r\nx-trace: b\r\nx-dept: ${wireText('张三')}\r\n`)).head).to.match(
      /^HTTP\/1.1 200 /,
    )
    const [{ destination, request, source }] = authorizer.checks as [GrpcAuthorizer['checks'][number]]
    expect(request.http).to.deep.include({ method: 'GET', path: '/items?id=7', host: 'orders', scheme: 'http' })
    expect(request.http.headers).to.include({
      ':method': 'GET',
      ':path': '/items?id=7',
      'x-trace': 'a,b',
      'x-dept': '张三',
    })
    expect(source.address.socketAddress.address).to.equal('127.0.0.1')
    expect(destination.address.socketAddress.portValue).to.equal(started.port('orders'))
    expect(Math.abs(Number(request.time.seconds) - Date.now() / 1000)).to.be.below(60)
    expect(counted('ok')).to.equal(1)
    expect(started.metric('hostmesh_filter_total', 'ext-authz', 'wait')).to.equal(1)
  })

  const content = { maxBytes: 10, allowsPartial: false, isRaw: false }

  it('tells the content of requests where it is to, and the application gets it, too', async () => {
    await guard({ ...judge, content })
    expect((await ask('/', 'content-length: 5\r\n', 'POST', 'hello')).head).to.match(/^HTTP\/1.1 200 /)
    expect((await ask()).head).to.match(/^HTTP\/1.1 200 /)
    const [first, second] = authorizer.checks.map(({ request }) => request.http)
    expect(first).to.include({ body: 'hello' })
    expect(first!.headers).to.include({ 'x-envoy-auth-partial-body': 'false' })
    expect(second, 'without content').to.include({ body: '' })
    expect(backend.requests[0]!.body).to.equal('hello')
    expect(headOf(backend.requests[0]!)).to.not.match(/x-envoy/)
  })

  it('waits for content that comes later, and refuses more than the authorizer may be told', async () => {
    await guard({ ...judge, content })
    const caller = await RawCaller.open(started.port('orders'))
    callers.push(caller)
    caller.send('POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
    await eventually(() => started.metric('hostmesh_filter_total', 'ext-authz', 'wait') === 1)
    expect(authorizer.checks).to.have.length(0)
    caller.send('2\r\nde\r\n0\r\n\r\n')
    await caller.until(() => caller.text.includes('ok'))
    expect(authorizer.checks[0]!.request.http).to.include({ body: 'abcde' })
    const { head } = await ask('/', 'content-length: 11\r\n', 'POST', 'hello world')
    expect(head).to.match(/^HTTP\/1.1 413 [^]*E_HTTP_CONTENT_TOO_LARGE/)
    expect([authorizer.checks.length, backend.requests.length]).to.deep.equal([1, 1])
  })

  it('tells the first bytes of longer content where that is enough, as bytes where it wants them', async () => {
    await guard({ ...judge, content: { maxBytes: 10, allowsPartial: true, isRaw: true } })
    const long = `hello world${'x'.repeat(100_000)}`
    expect((await ask('/', `content-length: ${long.length}\r\n`, 'POST', long)).head).to.match(/^HTTP\/1.1 200 /)
    const { http } = authorizer.checks[0]!.request
    expect(http.rawBody?.toString()).to.equal('hello worl')
    expect(http.headers).to.include({ 'x-envoy-auth-partial-body': 'true' })
    await eventually(() => backend.requests.length === 1)
    expect(backend.requests[0]!.body.length).to.equal(long.length)
  })

  it('edits the head for the application as it says, and never lets a caller say it', async () => {
    await guard(judge)
    authorizer.answer = () => ({
      status: { code: 0 },
      okResponse: {
        headers: [
          field('x-user', 'ann'),
          field('X-Group', 'b', { append: { value: true } }),
          field('x-new', 'n', { appendAction: 1 }),
          field('x-there', 'no', { appendAction: 1 }),
          field('x-missing', 'no', { appendAction: 3 }),
        ],
        headersToRemove: ['x-secret'],
        responseHeadersToAdd: [field('x-session', 's1'), field('x-session', 's2', { append: { value: true } })],
      },
    })
    const told = await ask('/', 'x-user: root\r\nx-group: a\r\nx-there: yes\r\nx-secret: s\r\n')
    expect(told.head).to.match(/^HTTP\/1.1 200 [^]*x-session: s1\r\nx-session: s2/i)
    const head = headOf(backend.requests[0]!)
    expect(head)
      .to.match(/^x-user: ann$/im)
      .and.to.not.match(/root/)
    expect(head.match(/^x-group: .*$/gim)).to.have.length(2)
    expect(head).to.match(/^x-new: n$/im)
    expect(head).to.match(/^x-there: yes$/im)
    expect(head).to.not.match(/x-missing|x-secret|: no$/im)
  })

  it('lets its fields stand beside those of the reply, and in their place where it says so', async () => {
    await guard(judge)
    backend.answer = () =>
      'HTTP/1.1 200 OK\r\nSet-Cookie: cart=7\r\nX-Cache: miss\r\nVary: a\r\nContent-Length: 0\r\n\r\n'
    authorizer.answer = () => ({
      status: { code: 0 },
      okResponse: {
        responseHeadersToAdd: [
          field('set-cookie', 'session=new'),
          field('x-cache', 'hit', { append: { value: false } }),
          field('vary', 'b', { appendAction: 2 }),
        ],
      },
    })
    const { head } = await ask()
    expect(head.match(/^set-cookie: .*$/gim)).to.deep.equal(['Set-Cookie: cart=7', 'set-cookie: session=new'])
    expect(head.match(/^(x-cache|vary): .*$/gim)).to.deep.equal(['x-cache: hit', 'vary: b'])
  })

  it('passes a refusal on with its status, fields and text', async () => {
    await guard(judge)
    authorizer.answer = () => ({
      status: { code: 7 },
      deniedResponse: { status: { code: 401 }, headers: [field('WWW-Authenticate', 'Bearer')], body: 'who are you?' },
    })
    const { body, head } = await ask()
    expect(head).to.match(/^HTTP\/1.1 401 /)
    expect(head).to.match(/^www-authenticate: Bearer$/im)
    expect(head).to.match(/^x-mesh-error: E_AUTHORIZATION_DENIED$/im)
    expect(body).to.equal('who are you?')
    authorizer.answer = () => ({ status: { code: 16 } })
    expect((await ask()).head).to.match(/^HTTP\/1.1 403 /)
    expect(counted('denied')).to.equal(2)
    expect(backend.requests).to.have.length(0)
  })

  it('asks about what a rule matches, in any reading, and about nothing else', async () => {
    await guard(judge, [{ to: [{ paths: ['/admin*'] }] }])
    await ask('/items')
    expect(authorizer.checks).to.have.length(0)
    await ask('/admin/x')
    await ask('/%61dmin')
    await ask('/x/../ADMIN')
    expect(authorizer.checks.map(({ request }) => request.http.path)).to.deep.equal([
      '/admin/x',
      '/%61dmin',
      '/x/../ADMIN',
    ])
  })

  const broken: [string, () => void][] = [
    ['ends the call with an error', () => (authorizer.answer = () => new Error('out of order'))],
    ['is gone', () => authorizer.stop()],
    [
      'would change where the request goes',
      () => (authorizer.answer = () => ({ okResponse: { headers: [field(':path', '/')] } })),
    ],
    [
      'would frame the message',
      () => (authorizer.answer = () => ({ okResponse: { headers: [field('content-length', '0')] } })),
    ],
    [
      'would smuggle a line into the head',
      () => (authorizer.answer = () => ({ okResponse: { headers: [field('x-a', 'b\r\nx-admin: 1')] } })),
    ],
    [
      'would change the query',
      () => (authorizer.answer = () => ({ okResponse: { queryParametersToSet: [{ key: 'a', value: 'b' }] } })),
    ],
    [
      'would frame the reply',
      () => (authorizer.answer = () => ({ okResponse: { responseHeadersToAdd: [field('transfer-encoding', 'x')] } })),
    ],
    [
      'would add to the reply what it does not see',
      () =>
        (authorizer.answer = () => ({
          okResponse: { responseHeadersToAdd: [field('x-a', 'b', { appendAction: 1 })] },
        })),
    ],
    [
      'refuses with a status that is none',
      () => (authorizer.answer = () => ({ status: { code: 7 }, deniedResponse: { status: { code: 99 } } })),
    ],
    [
      'says more than 64 KiB',
      () => (authorizer.answer = () => ({ status: { code: 7 }, deniedResponse: { body: 'x'.repeat(70_000) } })),
    ],
  ]
  for (const [what, breakIt] of broken) {
    it(`one that ${what} has given no verdict: refused, or let go on where its configuration says so`, async () => {
      await guard({ ...judge, statusOnError: 503 })
      breakIt()
      const { head } = await ask()
      expect(head).to.match(/^HTTP\/1.1 503 /)
      expect(head).to.match(/^x-mesh-error: E_AUTHORIZATION_UNAVAILABLE$/im)
      expect(backend.requests).to.have.length(0)
      expect(started.logged.some((line) => line.includes('external authorizer judge: '))).to.equal(true)
      await guard({ ...judge, failOpen: true })
      expect((await ask()).head).to.match(/^HTTP\/1.1 200 /)
      expect(counted('error')).to.equal(2)
      expect(counted('failure_mode_allowed')).to.equal(1)
    })
  }

  it('waits no longer than its time for one that says nothing', async () => {
    await guard({ ...judge, timeoutMs: 50 })
    authorizer.answer = () => undefined
    expect((await ask()).head).to.match(/^HTTP\/1.1 403 /)
    await guard({ ...judge, timeoutMs: 50, failOpen: true })
    expect((await ask()).head).to.match(/^HTTP\/1.1 200 /)
    expect(counted('timeout')).to.equal(2)
  })

  it('lets a question go whose caller has gone', async () => {
    await guard(judge)
    authorizer.answer = () => undefined
    const caller = await RawCaller.open(started.port('orders'))
    caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
    await eventually(() => authorizer.checks.length === 1)
    caller.close()
    const upstream = started.worker.state.upstream(`${keyOf('judge')}||`)!
    await eventually(() => upstream.cluster.numbers.activeRequests === 0)
    expect(started.metric('hostmesh_ext_authz_total')).to.equal(0)
  })

  it('refuses what is for an authorizer that the configuration does not name', async () => {
    await guard(undefined)
    expect((await ask()).head).to.match(/^HTTP\/1.1 403 [^]*E_AUTHORIZATION_UNAVAILABLE/)
  })

  it('says what is wrong with a service that cannot speak gRPC', async () => {
    await guard({ ...judge, service: keyOf('sso') })
    expect((await ask()).head).to.match(/^HTTP\/1.1 403 /)
    expect(started.logged.some((line) => line.includes('speaks http1, and gRPC needs HTTP/2'))).to.equal(true)
  })

  describe('over plain HTTP', () => {
    const call: HttpAuthorizerSpec = {
      kind: 'http',
      pathPrefix: '/check',
      requestFields: ['x-a', 'x-b*'],
      moreFields: { 'X-From': 'mesh' },
      upstreamOnAllow: ['x-user'],
      downstreamOnDeny: ['x-why'],
    }
    const sso: ExternalAuthorizerSpec = { ...judge, name: 'judge', service: keyOf('sso'), call }

    it('asks with the head alone and only the fields that it shall know', async () => {
      const asked: IncomingMessage[] = []
      onHttp = (request, response) => {
        asked.push(request)
        response.setHeader('x-user', 'ann').setHeader('x-other', 'o').end()
      }
      await guard(sso)
      const fields = 'authorization: Bearer t\r\nx-a: 1\r\nx-bc: 2\r\nx-c: 3\r\nx-from: me\r\nx-user: root\r\n'
      await ask('/items?q=1', `${fields}content-length: 2\r\n\r\nhi`, 'POST')
      const { headers, method, url } = asked[0]!
      expect({ method, url }).to.deep.equal({ method: 'POST', url: '/check/items?q=1' })
      expect(headers).to.include({
        host: 'orders',
        authorization: 'Bearer t',
        'x-a': '1',
        'x-bc': '2',
        'x-from': 'mesh',
      })
      expect(headers).to.not.have.any.keys('x-c', 'x-user')
      const head = headOf(backend.requests[0]!)
      expect(head)
        .to.match(/^x-user: ann$/im)
        .and.to.not.match(/root|x-other/)
    })

    it('asks with the content where that is to be told, and says what it is', async () => {
      let told = ''
      let fields: Record<string, unknown> = {}
      onHttp = (request, response) => {
        fields = request.headers
        request.on('data', (piece: Buffer) => (told += piece.toString()))
        request.on('end', () => response.end())
      }
      await guard({ ...sso, content: { maxBytes: 10, allowsPartial: false, isRaw: false } })
      const typed = 'content-type: text/x\r\nx-envoy-auth-partial-body: forged\r\ncontent-length: 5\r\n'
      expect((await ask('/', typed, 'POST', 'hello')).head).to.match(/^HTTP\/1.1 200 /)
      expect(told).to.equal('hello')
      expect(fields).to.include({
        'content-type': 'text/x',
        'content-length': '5',
        'x-envoy-auth-partial-body': 'false',
      })
    })

    it('gives the caller of an allowed request what it may know, beside what the endpoint says', async () => {
      onHttp = (_, response) => response.setHeader('set-cookie', ['a=1', 'b=2']).setHeader('x-inner', 'i').end()
      await guard({ ...sso, call: { ...call, downstreamOnAllow: ['set-cookie'] } })
      const { head } = await ask()
      expect(head).to.match(/^HTTP\/1.1 200 [^]*set-cookie: a=1\r\nset-cookie: b=2/i)
      expect(head).to.not.match(/x-inner/i)
      await guard(sso)
      expect((await ask()).head).to.not.match(/set-cookie/i)
    })

    it('passes a refusal on, of its fields what the caller may know, and takes 5xx for no verdict', async () => {
      onHttp = (_, response) =>
        response.writeHead(302, { location: '/login', 'x-why': 'no session', 'x-inner': 'i' }).end('go there')
      await guard(sso)
      const { body, head } = await ask()
      expect(head).to.match(/^HTTP\/1.1 302 [^]*location: \/login/i)
      expect(head)
        .to.match(/x-why: no session/i)
        .and.to.not.match(/x-inner/i)
      expect(body).to.equal('go there')
      onHttp = (_, response) => response.writeHead(500).end()
      expect((await ask()).head).to.match(/^HTTP\/1.1 403 [^]*E_AUTHORIZATION_UNAVAILABLE/)
      expect([counted('denied'), counted('error')]).to.deep.equal([1, 1])
    })

    it('asks once more where the connection had ended under the question', async () => {
      let count = 0
      onHttp = (request, response) => {
        if (++count === 2) request.socket.destroy()
        else response.end()
      }
      await guard(sso)
      expect((await ask()).head).to.match(/^HTTP\/1.1 200 /)
      expect((await ask()).head).to.match(/^HTTP\/1.1 200 /)
      expect(count).to.equal(3)
    })
  })

  it('refuses raw connections that a rule matches: there is no request to tell of', async () => {
    await guard(judge)
    const key = keyOf('orders')
    const host = started.worker.state.names.host(key)!
    expect(host).to.be.an('object')
    const tcp = {
      name: 'default',
      origin: { kind: 'default', name: '', path: '' } as const,
      matches: [],
      destinations: [{ service: key, weight: 1 }],
      filters: [{ kind: 'ext-authz', provider: 'judge', authorizer: judge } as const],
    }
    const policies = [{ namespace: 'public', name: 'asked', action: 'CUSTOM', provider: 'judge', rules: [{}] } as const]
    const authorization = { trustDomain: 'cluster.local', policies }
    await started.change({
      virtualHosts: { [key]: { name: key, domains: ['orders'], authorization, http: [], tcp: [tcp] } },
      listeners: {
        raw: {
          name: 'raw',
          address: '127.0.0.1',
          port: 0,
          proxyProtocol: 'off',
          kind: 'service',
          protocol: 'tcp',
          service: key,
          virtualHost: key,
        },
      },
    })
    const socket = net.connect(started.port('raw'), '127.0.0.1')
    socket
      .on('error', () => {})
      .resume()
      .write('hello')
    await new Promise((resolve) => socket.once('close', resolve))
    expect(backend.requests).to.have.length(0)
    expect(authorizer.checks).to.have.length(0)
  })
})
