import { expect } from 'chai'
import { hostmesh } from '../../support/ca/joining.ts'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import { connect as connectH2 } from 'node:http2'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import type { ConnectionOptions, Server as TlsServer, TLSSocket } from 'node:tls'
import { Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { Authority } from '../../support/tls/authority.ts'

const httpPort = 8080
const redirectPort = 8081
const tlsPort = 8443
const forbiddenPort = 8090

const rulesFor = (partner: AddressInfo): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: partner, namespace: public }
spec:
  hosts: [api.partner.example]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: ${partner.address}, ports: { http: ${partner.port} } }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: public }
spec:
  selector: { istio: ingressgateway }
  servers:
    - port: { number: ${httpPort}, name: http, protocol: HTTP }
      hosts: ['*.example.com']
    - port: { number: ${redirectPort}, name: http-to-https, protocol: HTTP }
      hosts: ['*']
      tls: { httpsRedirect: true }
    - port: { number: ${forbiddenPort}, name: http-forbidden, protocol: HTTP }
      hosts: ['*']
    - port: { number: ${tlsPort}, name: https-shop, protocol: HTTPS }
      hosts: [shop.example.com]
      tls: { mode: SIMPLE, credentialName: shop }
    - port: { number: ${tlsPort}, name: https-admin, protocol: HTTPS }
      hosts: [admin.example.com]
      tls: { mode: MUTUAL, credentialName: admin }
    - port: { number: ${tlsPort}, name: https-bare, protocol: HTTPS }
      hosts: [bare.example.com]
      tls: { mode: SIMPLE, credentialName: bare }
    - port: { number: ${tlsPort}, name: tls-own, protocol: TLS }
      hosts: [own.example.com]
      tls: { mode: PASSTHROUGH }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: shop, namespace: public }
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
    - match: [{ uri: { prefix: /orders } }]
      route: [{ destination: { host: orders } }]
    - match: [{ uri: { prefix: /pay } }]
      route: [{ destination: { host: payments } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: admin, namespace: public }
spec:
  hosts: [admin.example.com]
  gateways: [public/edge]
  http:
    - route: [{ destination: { host: payments } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: own, namespace: public }
spec:
  hosts: [own.example.com]
  gateways: [edge]
  tls:
    - match: [{ sniHosts: [own.example.com] }]
      route: [{ destination: { host: own } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-secrets, namespace: public }
spec:
  selector: { matchLabels: { istio: ingressgateway } }
  action: DENY
  rules: [{ to: [{ operation: { paths: [/orders/secret], ports: ['${httpPort}'] } }] }]
`

interface Told {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Asked {
  readonly port: number
  readonly host: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly socket?: Socket
}

describe('a gateway', function () {
  this.timeout(90_000)
  let mesh: Mesh
  let edge: DemoHost
  let other: DemoHost
  let partner: AddressInfo
  let closers: (() => void)[] = []
  const authority = new Authority()
  const strangers = new Authority('strangers')

  /** Answers with its name and what it got. */
  async function application(service: string): Promise<AddressInfo> {
    const address = mesh.address()
    const server: Server = createServer((incoming, response) => {
      incoming.resume()
      response.end(JSON.stringify({ service, url: incoming.url, headers: incoming.headers }))
    })
    return opened(server, service, address)
  }

  async function opened(server: Server | TlsServer, service: string, address: string): Promise<AddressInfo> {
    server.listen(0, address)
    await once(server, 'listening')
    closers.push(() => server.close())
    const info = server.address() as AddressInfo
    mesh.tell(service, [{ address, port: info.port }])
    return info
  }

  function credential(host: DemoHost, name: string, dns: string, roots: string): void {
    const folder = join(host.options.directory, 'credentials.d', name)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { certificate, key } = authority.leaf('', { uris: [], dns: [dns] })
    writeFileSync(join(folder, 'tls.crt'), certificate)
    writeFileSync(join(folder, 'tls.key'), key, { mode: 0o600 })
    writeFileSync(join(folder, 'ca.crt'), roots)
  }

  function started(name: string, isGateway: boolean): DemoHost {
    const host = mesh.host(name)
    const { address } = host.options
    const gateway = {
      labels: { istio: 'ingressgateway' },
      addresses: [address],
      ports: [httpPort, redirectPort, tlsPort],
    }
    const outbound = { http: `${address}:${sharedPort}`, address, tunnels: { sharedPort: true } }
    Object.assign(host.options, { rules: rulesFor(partner), extra: isGateway ? { gateway, outbound } : {} })
    credential(host, 'shop', 'shop.example.com', authority.certificate)
    credential(host, 'admin', 'admin.example.com', authority.certificate)
    host.start()
    return host
  }

  before(async () => {
    mesh = await Mesh.openOnFiles()
    closers = []
    for (const service of ['orders', 'payments']) await application(service)
    partner = await application('partner')
    const { certificate, key } = authority.leaf('', { uris: [], dns: ['own.example.com'] })
    const own = createTlsServer({ cert: certificate, key }, (socket) => {
      socket.on('error', () => {})
      socket.end('own TLS\n')
    })
    await opened(own, 'own', mesh.address())
    edge = started('edge', true)
    other = started('other', false)
    await Promise.all([edge.ready(), other.ready()])
    await until(
      20_000,
      'the gateway answers',
      async () => (await ask({ port: httpPort, host: 'shop.example.com', path: '/orders' })).status === 200,
    )
  })

  after(async () => {
    for (const close of closers) close()
    await mesh?.close()
  })

  function ask({ headers = {}, host, path = '/', port, socket }: Asked, at = edge): Promise<Told> {
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        host: at.options.address,
        port,
        path,
        headers: { host, ...headers },
        ...(socket === undefined ? { agent: false } : { createConnection: () => socket }),
      })
      outgoing.once('error', reject)
      outgoing.once('response', (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => (body += text))
        response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      })
      outgoing.end()
    })
  }

  /** A connection of TLS, once it is secure. */
  async function secure(servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connectTls({
      host: edge.options.address,
      port: tlsPort,
      servername,
      ca: authority.certificate,
      ...options,
    })
    await once(socket, 'secureConnect')
    socket.on('error', () => {})
    return socket
  }

  it('routes by Host and path, and answers 404 where nothing is bound', async () => {
    const orders = await ask({ port: httpPort, host: 'shop.example.com', path: '/orders/1' })
    expect(orders.status).to.equal(200)
    expect(JSON.parse(orders.body)).to.include({ service: 'orders', url: '/orders/1' })
    const paid = await ask({ port: httpPort, host: `SHOP.example.com:${httpPort}`, path: '/pay' })
    expect(JSON.parse(paid.body)).to.include({ service: 'payments' })
    for (const [host, path] of [
      ['shop.example.com', '/else'],
      ['free.example.com', '/orders'],
      ['orders', '/orders'],
    ] as const) {
      const answer = await ask({ port: httpPort, host, path })
      expect(answer.status, host).to.equal(404)
      expect(answer.headers['x-mesh-error'], host).to.equal('E_ROUTE_NONE')
    }
  })

  it('believes nothing that a stranger says of itself', async () => {
    const answer = await ask({
      port: httpPort,
      host: 'shop.example.com',
      path: '/orders',
      headers: {
        'x-mesh-service': 'payments',
        'x-mesh-source': 'billing',
        'x-mesh-route': 'orders=payments',
        'x-mesh-fallback': '127.0.0.1:1',
        'x-forwarded-for': '9.9.9.9',
        'x-forwarded-proto': 'https',
        'x-forwarded-client-cert': 'URI=spiffe://mesh/ns/default/sa/admin',
      },
    })
    const { headers, service } = JSON.parse(answer.body) as { headers: IncomingHttpHeaders; service: string }
    expect(service).to.equal('orders')
    expect(headers).to.include({ 'x-forwarded-proto': 'http' })
    expect(headers['x-forwarded-for']).to.match(/^127\./)
    expect(Object.keys(headers).filter((name) => /^x-mesh-|client-cert/.test(name))).to.deep.equal([])
  })

  it('asks the policies that select its labels', async () => {
    const answer = await ask({ port: httpPort, host: 'shop.example.com', path: '/orders/secret' })
    expect(answer.status).to.equal(403)
    expect(answer.headers['x-mesh-error']).to.equal('E_AUTHORIZATION_DENIED')
  })

  it('redirects to https', async () => {
    const answer = await ask({ port: redirectPort, host: `shop.example.com:${redirectPort}`, path: '/orders?a=1' })
    expect(answer.status).to.equal(301)
    expect(answer.headers.location).to.equal('https://shop.example.com/orders?a=1')
  })

  it('opens nothing that the configuration of the host does not name, and nothing at all without it', async () => {
    for (const [host, port] of [
      [edge, forbiddenPort],
      [other, httpPort],
      [other, tlsPort],
    ] as const) {
      const socket = connectTcp(port, host.options.address)
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
      expect(error.code, `${host.options.name} ${port}`).to.equal('ECONNREFUSED')
    }
  })

  it('shows each server name its certificate, and routes what is inside', async () => {
    const socket = await secure('shop.example.com')
    expect(socket.getPeerX509Certificate()?.checkHost('shop.example.com')).to.equal('shop.example.com')
    const answer = await ask({ port: tlsPort, host: 'shop.example.com', path: '/orders', socket })
    const { headers, service } = JSON.parse(answer.body) as { headers: IncomingHttpHeaders; service: string }
    expect(service).to.equal('orders')
    expect(headers).to.include({ 'x-forwarded-proto': 'https' })
    const caller = authority.leaf('spiffe://mesh.test/ns/default/sa/partner')
    const admin = await secure('admin.example.com', { cert: caller.certificate, key: caller.key })
    expect(admin.getPeerX509Certificate()?.checkHost('admin.example.com')).to.equal('admin.example.com')
    const told = await ask({ port: tlsPort, host: 'admin.example.com', socket: admin })
    expect(JSON.parse(told.body)).to.include({ service: 'payments' })
  })

  it('lets nobody reach the host of another server name over a connection', async () => {
    const socket = await secure('shop.example.com')
    const answer = await ask({ port: tlsPort, host: 'admin.example.com', socket })
    expect(answer.status).to.equal(404)
  })

  it('refuses callers without a certificate of its roots where TLS is mutual', async () => {
    const stranger = strangers.leaf('spiffe://mesh.test/ns/default/sa/app')
    for (const options of [{}, { cert: stranger.certificate, key: stranger.key }]) {
      // in TLS 1.3 a caller hears of it behind its own last message
      const socket = await secure('admin.example.com', options)
      const outcome = await ask({ port: tlsPort, host: 'admin.example.com', socket }).then(
        ({ status }) => status,
        (error: NodeJS.ErrnoException) => error.code,
      )
      expect(outcome).to.be.oneOf([
        'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
        'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
        'ECONNRESET',
        'EPIPE',
      ])
    }
  })

  it('passes TLS as it is by the server name, to an application that ends it', async () => {
    const socket = await secure('own.example.com')
    const [bytes] = (await once(socket, 'data')) as [Buffer]
    expect(bytes.toString()).to.equal('own TLS\n')
    socket.destroy()
  })

  it('closes and counts server names that nobody has, and what is no TLS', async () => {
    for (const first of [undefined, 'GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n']) {
      const socket: Socket =
        first === undefined
          ? connectTls({
              host: edge.options.address,
              port: tlsPort,
              servername: 'unknown.example.com',
              ca: authority.certificate,
            })
          : connectTcp(tlsPort, edge.options.address)
      socket.on('error', () => {})
      if (first !== undefined) socket.write(first)
      socket.resume()
      await new Promise((resolve) => socket.once('close', resolve))
    }
    await until(10_000, 'both are counted', async () => {
      const { text } = await edge.admin.get('/stats/prometheus')
      return ['unknown_server_name', 'no_tls'].every((one) => text.includes(one))
    })
  })

  it('speaks HTTP/2 to who offers it', async () => {
    const session = connectH2(`https://${edge.options.address}:${tlsPort}`, {
      servername: 'shop.example.com',
      ca: authority.certificate,
      ALPNProtocols: ['h2', 'http/1.1'],
    })
    const stream = session.request({ ':path': '/orders', ':authority': 'shop.example.com' })
    let body = ''
    stream.setEncoding('utf8').on('data', (text: string) => (body += text))
    await once(stream, 'end')
    expect(session.alpnProtocol).to.equal('h2')
    expect(JSON.parse(body)).to.include({ service: 'orders' })
    session.destroy()
  })

  it('keeps open connections of TLS over a hot restart, with their server name', async () => {
    const socket = await secure('shop.example.com')
    const raw = createKeepAlive(socket)
    expect(await raw('/orders/1')).to.include('"service":"orders"')
    expect(await edge.reload()).to.equal('done')
    expect(await raw('/orders/2')).to.include('"service":"orders"')
    expect(await raw('/pay')).to.include('"x-forwarded-proto":"https"')
    expect(socket.destroyed).to.equal(false)
    socket.destroy()
  })

  it('shows a certificate that was replaced, without a restart', async () => {
    const shown = async (): Promise<string | undefined> => {
      const socket = await secure('shop.example.com')
      const { fingerprint256 } = socket.getPeerX509Certificate() ?? {}
      socket.destroy()
      return fingerprint256
    }
    const before = await shown()
    credential(edge, 'shop', 'shop.example.com', authority.certificate)
    await until(20_000, 'the new certificate', async () => (await shown()) !== before)
  })

  it('tells of a credential that is not there, and of files that are not in use', async () => {
    const problems = async (): Promise<string[]> =>
      ((await edge.json('/ready?format=json')) as { problems: string[] }).problems
    const port = `gateway ${edge.options.address}:${tlsPort}`
    const missing = `E_CERTIFICATE_INVALID  ${port}: there is no bare/tls.crt below tls.credentialsDir that can be used; callers are refused`
    expect(await problems()).to.deep.equal([missing])
    const file = join(edge.options.directory, 'credentials.d', 'shop', 'tls.crt')
    writeFileSync(file, 'no certificate')
    await until(20_000, 'the file is told', async () => (await problems()).length === 2)
    const told = await problems()
    expect(told[0])
      .to.include(file)
      .and.to.match(/; what was read before stays in use$/)
    expect((await secure('shop.example.com')).authorized).to.equal(true)
    credential(edge, 'shop', 'shop.example.com', authority.certificate)
    await until(20_000, 'the file is good again', async () => (await problems()).length === 1)
  })

  it('lets local callers reach outside what a ServiceEntry names, in each way, and nothing else', async () => {
    const named = await ask({ port: sharedPort, host: 'api.partner.example' })
    expect(JSON.parse(named.body)).to.include({ service: 'partner' })
    const other = await ask({ port: sharedPort, host: 'other.partner.example' })
    expect(other.headers['x-mesh-error']).to.equal('E_ROUTE_UNKNOWN_SERVICE')
    expect(await connectThrough('api.partner.example:80')).to.match(/^HTTP\/1\.1 200 /)
    expect(await connectThrough('other.partner.example:80')).to.match(/^HTTP\/1\.1 503 .*E_ROUTE_UNKNOWN_SERVICE/s)
    expect(await connectThrough('api.partner.example:81')).to.match(/^HTTP\/1\.1 503 /)
  })

  /** The answer to a CONNECT. */
  async function connectThrough(target: string): Promise<string> {
    const socket = connectTcp(sharedPort, edge.options.address)
    socket.on('error', () => {})
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)
    let said = ''
    socket.on('data', (data: Buffer) => (said += data.toString()))
    await until(20_000, `an answer to CONNECT ${target}`, () => Promise.resolve(said.includes('\r\n\r\n')))
    socket.destroy()
    return said
  }

  it('is shown to an operator: its listeners, and where a request goes', async () => {
    const { text } = await edge.admin.get(
      '/explain?listener=' +
        encodeURIComponent(`gateway ${edge.options.address}:${httpPort}`) +
        '&host=shop.example.com&path=/orders',
    )
    expect(text).to.include('spec.http[0]')
    const words = ['shop.example.com/orders', '--listener', String(httpPort), '-c', edge.configPath]
    const shown = await hostmesh('explain', ...words)
    expect(shown.code, shown.err).to.equal(0)
    expect(shown.out).to.include('spec.http[0]')
    const { text: listeners } = await edge.admin.get('/listeners')
    expect(listeners).to.include(`gateway ${edge.options.address}:${tlsPort}`)
  })
})

/** One request after another on one connection. */
function createKeepAlive(socket: Socket): (path: string) => Promise<string> {
  return async (path) => {
    let received = ''
    const take = (data: Buffer): void => void (received += data.toString())
    socket.on('data', take)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n`)
    await until(20_000, `an answer to ${path}`, () => Promise.resolve(received.endsWith('}') && !socket.destroyed))
    socket.off('data', take)
    return received
  }
}
