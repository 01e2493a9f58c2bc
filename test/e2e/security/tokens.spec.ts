/** Tokens of end users before an application, through a whole host. */
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { policy } from '../../support/authorization.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { Answer, DemoHost } from '../../support/mesh/mesh.ts'
import { resource } from '../../support/routing.ts'
import { smallServer, TokenIssuer } from '../../support/tokens.ts'
import type { SmallServer } from '../../support/tokens.ts'

describe('an application that asks for tokens', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let application: Server
  let issuer: TokenIssuer
  let keys: SmallServer
  let inbound: number

  before(async () => {
    mesh = await Mesh.open([])
    const address = mesh.address()
    application = createServer((request, response) => {
      response.end(JSON.stringify({ headers: request.headers, url: request.url }))
    }).listen(0, address)
    await once(application, 'listening')
    issuer = await TokenIssuer.make('https://issuer.example.com', 'RS256')
    keys = await smallServer((_, response) => void response.end(issuer.jwks))
    const registry = { name: 'files', type: 'file', directory: join(mesh.directory, 'endpoints') }
    mkdirSync(registry.directory)
    const { port } = application.address() as AddressInfo
    const orders = { service: 'orders', version: 'v1', protocol: 'http' as const, address, port }
    host = mesh.host('host', {
      applications: [{ ...orders, close: () => Promise.resolve() }],
      outbound: [{ service: 'stock', protocol: 'http' }],
    })
    Object.assign(host.options, {
      registries: [registry],
      rules: [
        resource(
          'RequestAuthentication',
          `jwtRules:\n- issuer: ${issuer.name}\n  jwksUri: ${keys.url}/keys\n  audiences: [orders]\n  outputPayloadToHeader: x-payload\n  outputClaimToHeaders: [{ header: x-user, claim: sub }]`,
          'users',
        ),
        policy(
          'action: DENY\nrules:\n- from: [{ source: { notRequestPrincipals: ["https://issuer.example.com/*"] } }]\n  to: [{ operation: { paths: [/private*] } }]',
          'private-needs-a-user',
        ),
        policy(
          'action: DENY\nrules:\n- to: [{ operation: { paths: [/admin*] } }]\n  when: [{ key: "request.auth.claims[groups]", notValues: [admins] }]',
          'admin-needs-a-group',
        ),
        resource(
          'RequestAuthentication',
          `targetRefs: [{ kind: Service, name: stock }]\njwtRules: [{ issuer: ${issuer.name}, jwksUri: ${keys.url}/keys }]`,
          'callers-of-stock',
          'hostmesh.io/side: Outbound',
        ),
        resource(
          'VirtualService',
          `hosts: [stock]\nhttp:\n- match: [{ headers: { "@request.auth.claims.groups": { exact: testers } } }]\n  directResponse: { status: 200, body: { string: new } }\n- directResponse: { status: 200, body: { string: old } }`,
          'stock',
        ),
      ].join('---\n'),
    })
    host.start()
    await host.ready()
    const rows = (await host.json('/ports?format=json')) as { ports: { direction: string; port: number }[] }
    inbound = rows.ports.find((one) => one.direction === 'inbound')!.port
    const token = await issuer.token({ aud: 'orders' })
    await until(30_000, 'tokens are known', async () => (await ask('/private', token)).status === 200)
  })
  after(async () => {
    await mesh?.close()
    application?.close()
    await keys?.close().catch(() => {})
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  function ask(path: string, token?: string, headers: Record<string, string> = {}): Promise<Answer> {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return call(host.options.address, inbound, { ...authorization, ...headers }, path)
  }

  const received = (answer: Answer): IncomingHttpHeaders =>
    (JSON.parse(answer.body) as { headers: IncomingHttpHeaders }).headers

  it('knows its users by what the mesh found good, and by nothing else', async () => {
    const token = await issuer.token({ aud: 'orders' })
    const good = await ask('/private', token, { 'x-user': 'root', 'x-payload': 'made up' })
    expect(good.status).to.equal(200)
    expect(received(good)).to.include({ 'x-user': 'alice', 'x-payload': token.split('.')[1] })
    expect(received(good)).to.not.have.property('authorization')
    const nobody = await ask('/public', undefined, { 'x-user': 'root', X_User: 'root' })
    expect(nobody.status).to.equal(200)
    expect(received(nobody)).to.not.have.property('x-user')
    expect((await ask('/private')).status).to.equal(403)
    expect((await ask('/private', undefined, { 'x-user': 'alice' })).status).to.equal(403)
  })

  it('refuses bad tokens in the words of Envoy, wherever they lead', async () => {
    const stranger = await TokenIssuer.make(issuer.name, 'RS256')
    for (const [token, status, body] of [
      [await stranger.token({ aud: 'orders' }), 401, 'Jwt verification fails'],
      [await issuer.token({ aud: 'stock' }), 403, 'Audiences in Jwt are not allowed'],
      [await issuer.token({ aud: 'orders', exp: 1 }), 401, 'Jwt is expired'],
    ] as const) {
      const answer = await ask('/public', token)
      expect([answer.status, answer.body, answer.headers['x-mesh-error']]).to.deep.equal([
        status,
        body,
        'E_TOKEN_REFUSED',
      ])
      expect(answer.headers['www-authenticate']).to.match(/^Bearer realm="http:/)
    }
    const twice = await ask(
      `/private?access_token=${await issuer.token({ aud: 'orders', sub: 'bob' })}`,
      await issuer.token({ aud: 'orders' }),
    )
    expect([twice.status, twice.body]).to.deep.equal([401, 'Jwt is in more than one place'])
  })

  it('leads calls of local applications by claims, at the first request and by what it knows, and refuses bad tokens', async () => {
    const port = await host.port('stock')
    const stock = async (token?: string): Promise<string> => {
      const fields = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const { body, status } = await call(host.options.address, port, fields)
      return `${status} ${body}`
    }
    const tester = await issuer.token({ groups: ['dev', 'testers'] })
    await until(
      30_000,
      'its keys are there',
      async () => (await stock(await issuer.token({ groups: ['testers'] }))) === '200 new',
    )
    expect(await stock(tester)).to.equal('200 new')
    expect(await stock(tester)).to.equal('200 new')
    expect(await stock(await issuer.token({ groups: ['dev'] }))).to.equal('200 old')
    expect(await stock()).to.equal('200 old')
    const stranger = await TokenIssuer.make(issuer.name, 'RS256')
    expect(await stock(await stranger.token({ groups: ['testers'] }))).to.equal('401 Jwt verification fails')
    const explained = await host.admin.get(`/explain?method=GET&host=stock&path=/&listener=${port}&format=json`)
    expect(explained.text).to.include('claim groups is not known without a token')
  })

  it('judges by claims', async () => {
    expect((await ask('/admin', await issuer.token({ aud: 'orders', groups: ['dev'] }))).status).to.equal(403)
    expect((await ask('/admin', await issuer.token({ aud: 'orders', groups: ['dev', 'admins'] }))).status).to.equal(200)
    expect((await ask('/admin')).status).to.equal(403)
  })

  it('answers a call of gRPC with a bad token with its status', async () => {
    const session = connectHttp2(`http://${host.options.address}:${inbound}`)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/shop.Orders/List',
      'content-type': 'application/grpc',
      authorization: 'Bearer nonsense',
      te: 'trailers',
    })
    stream.end(Buffer.from([0, 0, 0, 0, 0]))
    const [head] = (await once(stream, 'response')) as [Record<string, string>]
    session.destroy()
    expect(head).to.include({ ':status': 200, 'grpc-status': '16' })
  })

  it('goes on while its issuer is gone, over a restart too', async () => {
    await keys.close()
    expect(await host.reload()).to.equal('done')
    expect((await ask('/private', await issuer.token({ aud: 'orders', sub: 'carol' }))).status).to.equal(200)
  })
})
