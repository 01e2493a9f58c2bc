/** CUSTOM policies before an application of a whole host, judged by a gRPC server that a ServiceEntry declares. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'

import { policy } from '../../support/authorization.ts'
import { field, GrpcAuthorizer } from '../../support/ext-authz/grpc-authorizer.ts'
import { counted, inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, until } from '../../support/mesh/mesh.ts'
import type { Answer, DemoHost } from '../../support/mesh/mesh.ts'
import { resource } from '../../support/routing.ts'

describe('an application whose requests are judged outside', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let authorizer: GrpcAuthorizer
  let inbound: number

  before(async () => {
    authorizer = await GrpcAuthorizer.start()
    authorizer.answer = ({ request: { http } }) =>
      http.headers['x-badge'] === 'good'
        ? { status: { code: 0 }, okResponse: { headers: [field('x-user', 'ann')] } }
        : { status: { code: 7 }, deniedResponse: { status: { code: 403 }, body: `${http.path} needs a badge` } }
    mesh = await Mesh.open([])
    const registry = { name: 'files', type: 'file', directory: join(mesh.directory, 'endpoints') }
    mkdirSync(registry.directory)
    const applications = [await mesh.httpApplication('orders', 'v1')]
    const extensionProviders = [{ name: 'judge', envoyExtAuthzGrpc: { service: 'judge.internal' } }]
    host = mesh.host('host', { applications, extra: { rules: { extensionProviders } } })
    Object.assign(host.options, {
      registries: [registry],
      rules: [
        resource(
          'ServiceEntry',
          `hosts: [judge.internal]\nresolution: STATIC\nports: [{ number: 9191, name: grpc, protocol: GRPC, targetPort: ${authorizer.port} }]\nendpoints: [{ address: 127.0.0.1 }]`,
          'judge',
        ),
        policy(
          'action: CUSTOM\nprovider: { name: judge }\nrules: [{ to: [{ operation: { paths: [/private*] } }] }]',
          'private',
        ),
      ].join('---\n'),
    })
    host.start()
    await host.ready()
    inbound = await inboundPort(host, 'orders')
    await until(30_000, 'judged', async () => (await ask('/private', { 'x-badge': 'good' })).status === 200)
  })

  after(async () => {
    await mesh?.close()
    authorizer?.stop()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const ask = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    call(host.options.address, inbound, headers, path)

  it('is told who was refused and why, and serves the others', async () => {
    const refused = await ask('/private/x?q=1')
    expect(refused.status).to.equal(403)
    expect(refused.body).to.equal('/private/x?q=1 needs a badge')
    expect(refused.headers['x-mesh-error']).to.equal('E_AUTHORIZATION_DENIED')
    expect((await ask('/private/x', { 'x-badge': 'good' })).status).to.equal(200)
    expect((await ask('/public')).status).to.equal(200)
    expect(await counted(host, 'hostmesh_ext_authz_total', 'provider="judge"', 'result="denied"')).to.be.above(0)
  })

  it('goes on being judged over a hot restart, by counts that go on', async () => {
    const denied = () => counted(host, 'hostmesh_ext_authz_total', 'result="denied"')
    const before = await denied()
    expect(await host.reload()).to.equal('done')
    expect((await ask('/private')).status).to.equal(403)
    // a worker that is slow to answer is left out of a scrape
    await until(30_000, 'counted on', async () => (await denied()) === before + 1)
  })

  it('is closed while the authorizer is gone, and open again when it is back', async () => {
    const { port } = authorizer
    const { answer } = authorizer
    authorizer.stop()
    const { headers, status } = await ask('/private', { 'x-badge': 'good' })
    expect(status).to.equal(403)
    expect(headers['x-mesh-error']).to.equal('E_AUTHORIZATION_UNAVAILABLE')
    expect((await ask('/public')).status).to.equal(200)
    authorizer = await GrpcAuthorizer.start(port)
    authorizer.answer = answer
    await until(30_000, 'judged', async () => (await ask('/private', { 'x-badge': 'good' })).status === 200)
  })

  it('is never gone around by the watchdog: callers wait for the next worker', async () => {
    const asked = authorizer.checks.length
    await host.signal('generation', 'SIGKILL')
    const refused = await ask('/private')
    expect(refused.status).to.equal(403)
    expect(authorizer.checks).to.have.length(asked + 1)
    expect((await host.watchdogState()).relay.connections.direct).to.equal(0)
  })
})
