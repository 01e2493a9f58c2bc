import { once } from 'node:events'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'

import { expect } from 'chai'

import type { UpstreamTlsSpec } from '../../../../../contracts/policy-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { Authority } from '../../../../support/tls/authority.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

describe('a server outside of the mesh that asks for a certificate', () => {
  const theirs = new Authority('their root')
  const ours = new Authority('root of our certificates')
  let server: Server
  let started: StartedWorker
  const seen: string[] = []

  before(async () => {
    const { certificate, key } = theirs.leaf('', { uris: [], dns: ['api.partner.test'] })
    const options = { cert: certificate, key, ca: ours.certificate, requestCert: true, rejectUnauthorized: true }
    server = createServer(options, (request, response) => {
      const socket = request.socket as TLSSocket
      seen.push(socket.getPeerX509Certificate()?.subjectAltName ?? 'none')
      response.end('ok')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  afterEach(() => started.stop())

  const partner = { mode: 'simple', sni: 'api.partner.test', subjectAltNames: [] } as const
  const mutual: UpstreamTlsSpec = { ...partner, credential: 'partner', showsCredential: true }

  async function ask(tls: UpstreamTlsSpec, credentials: Parameters<typeof replace>[0]): Promise<string> {
    const { port } = server.address() as AddressInfo
    started = await startWorker({
      services: [{ name: 'api', endpoints: [{ address: '127.0.0.1', port }], policy: { tls } }],
    })
    replace(credentials)
    const caller = await RawCaller.open(started.port('api'))
    caller.send('GET / HTTP/1.1\r\nHost: api\r\n\r\n')
    await caller.expect('\r\n\r\n')
    const { text } = caller
    caller.close()
    return text
  }

  function replace(
    credentials: Parameters<StartedWorker['worker']['tls']['identities']['replaceCredentials']>[0],
  ): void {
    started.worker.tls.identities.replaceCredentials(credentials)
  }

  const leaf = ours.leaf('', { uris: [], dns: ['agent.ours.test'] })
  const whole = { name: 'partner', chain: leaf.certificate, key: leaf.key, roots: theirs.certificate }

  it('gets the one that the rule names, and is known by the roots beside it', async () => {
    expect(await ask(mutual, [whole])).to.include('200 OK')
    expect(seen.at(-1)).to.equal('DNS:agent.ours.test')
  })

  it('is not called while there is no such credential, nor with one that has no certificate', async () => {
    const count = seen.length
    expect(await ask(mutual, [{ ...whole, name: 'other' }])).to.include('E_CONNECT_FAILED')
    started.stop()
    expect(await ask(mutual, [{ name: 'partner', roots: theirs.certificate }])).to.include('E_CONNECT_FAILED')
    expect(started.metric('hostmesh_tls_handshakes_total', 'client', 'no_identity')).to.be.above(0)
    expect(seen).to.have.length(count)
  })

  it('is refused when its roots or its names are others, whoever it shows itself to', async () => {
    expect(await ask(mutual, [{ ...whole, roots: ours.certificate }])).to.include('E_CONNECT_FAILED')
    expect(started.metric('hostmesh_tls_handshakes_total', 'client', 'unknown_authority')).to.be.above(0)
    started.stop()
    const named = { ...mutual, subjectAltNames: ['api.other.test'] }
    expect(await ask(named, [whole])).to.include('E_CONNECT_FAILED')
    expect(started.metric('hostmesh_tls_handshakes_total', 'client', 'wrong_identity')).to.be.above(0)
  })

  it('gets a new certificate with the next connection', async () => {
    expect(await ask(mutual, [whole])).to.include('200 OK')
    const next = ours.leaf('', { uris: [], dns: ['renewed.ours.test'] })
    replace([{ ...whole, chain: next.certificate, key: next.key }])
    server.closeAllConnections()
    const caller = await RawCaller.open(started.port('api'))
    caller.send('GET / HTTP/1.1\r\nHost: api\r\n\r\n')
    await caller.expect('\r\n\r\nok')
    caller.close()
    expect(seen.at(-1)).to.equal('DNS:renewed.ours.test')
  })
})
