/** `:scheme` towards endpoints, by how their connection is secured. */
import { once } from 'node:events'
import { createSecureServer, createServer } from 'node:http2'
import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'

import { expect } from 'chai'

import { RawCaller } from '../../support/http1/raw-caller.ts'
import { Authority } from '../../support/tls/authority.ts'
import { workload } from '../../support/tls/secure-sockets.ts'
import type { ServicePlan } from '../../support/worker/snapshots.ts'
import { startWorker } from '../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../support/worker/start-worker.ts'

describe('the scheme of requests to an endpoint of HTTP/2', () => {
  const authority = new Authority()
  const serverId = 'spiffe://mesh.test/ns/default/sa/api'
  const leaf = authority.leaf(serverId, { dns: ['api.partner.test'] })
  let server: Http2Server | Http2SecureServer
  let worker: StartedWorker
  const sessions = new Set<ServerHttp2Session>()

  afterEach(() => {
    worker.stop()
    for (const session of sessions) session.destroy()
    server.close()
  })

  async function schemeWith(given: Http2Server | Http2SecureServer, tls?: object): Promise<unknown> {
    server = given
    server.on('session', (session) => {
      sessions.add(session)
      session.on('error', () => {})
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const asked = once(server, 'stream') as Promise<[{ respond(): void; end(): void }, IncomingHttpHeaders]>
    const { port } = server.address() as AddressInfo
    const policy = tls === undefined ? {} : { policy: { tls } as unknown as NonNullable<ServicePlan['policy']> }
    worker = await startWorker({
      services: [{ name: 'api', protocol: 'http2', endpoints: [{ address: '127.0.0.1', port }], ...policy }],
    })
    const { identities } = worker.worker.tls
    const ours = 'spiffe://mesh.test/ns/default/sa/caller'
    identities.replace([workload(authority, authority.leaf(ours), ours)])
    identities.replaceCredentials([{ name: 'partner', roots: authority.certificate }])
    const caller = await RawCaller.open(worker.port('api'))
    caller.send('GET / HTTP/1.1\r\nHost: api\r\nX-Forwarded-Proto: ftp\r\n\r\n')
    const [stream, headers] = await asked
    stream.respond()
    stream.end()
    await caller.expect('200 OK')
    caller.close()
    return headers[':scheme']
  }

  const secure = (): Http2SecureServer =>
    createSecureServer({
      cert: leaf.certificate,
      key: leaf.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
    })

  it('is https where a rule calls it by TLS', async () => {
    const partner = { mode: 'simple', sni: 'api.partner.test', subjectAltNames: [], credential: 'partner' }
    expect(await schemeWith(secure(), partner)).to.equal('https')
  })

  it('is http in plain, and in the mutual TLS of the mesh', async () => {
    expect(await schemeWith(createServer())).to.equal('http')
    worker.stop()
    server.close()
    expect(await schemeWith(secure(), { mode: 'mutual', subjectAltNames: [serverId] })).to.equal('http')
  })
})
