import { X509Certificate, generateKeyPairSync } from 'node:crypto'
import { connect } from 'node:tls'
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js'
import { expect } from 'chai'
import { certify, joinCenter, newestTrust, pinnedTrust } from '../../../../agent/control/host/identities/ca-client.ts'
import { keyAndRequest } from '../../../../agent/control/host/identities/signing-request.ts'
import { protoBytes, protoFields } from '../../../../contracts/proto-fields.ts'
import { createCertificatePath } from '../../../../global-mesh-center/ca/istio-api.ts'
import { closing } from '../../../support/closing.ts'
import { authorityBench, refusal, type AuthorityBench } from '../../../support/ca/authority-bench.ts'

const orders = 'spiffe://mesh.test/ns/default/sa/orders'
const ledger = 'spiffe://mesh.test/ns/default/sa/ledger'

describe('the port of the certificate authority', () => {
  let bench: AuthorityBench
  beforeEach(async () => {
    bench = await authorityBench()
  })
  afterEach(() => bench.server.close())

  it('lets a host join by its token, and certifies what the token granted', async () => {
    const { address, joinedHost } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/ord*'])
    expect(new X509Certificate(own.chain).subjectAltName).to.equal('URI:spiffe://mesh.test/host/web-1')
    const { key, request } = await keyAndRequest(orders)
    const issued = await certify(address, trust, own, request)
    expect(issued.id).to.equal(orders)
    const leaf = new X509Certificate(issued.chain)
    expect(leaf.subjectAltName).to.equal(`URI:${orders}`)
    expect(leaf.toString()).to.not.include(key)
    expect(bench.lines.map(({ facts }) => [facts['audit'], facts['id']])).to.deep.include.members([
      ['join', 'spiffe://mesh.test/host/web-1'],
      ['issue', orders],
    ])
    expect(bench.counts.get('ca_certificates issue issued')).to.equal(1)
  })

  it('refuses by name what nobody granted, and writes it down', async () => {
    const { address, joinedHost } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const { request } = await keyAndRequest(ledger)
    const words = await refusal(certify(address, trust, own, request))
    expect(words).to.match(/^E_CA_REFUSED .*ledger: not granted to host web-1; granted are ns\/default\/sa\/orders$/)
    const other = await keyAndRequest('spiffe://mesh.test/host/web-2')
    expect(await refusal(certify(address, trust, own, other.request))).to.include(
      'may be spiffe://mesh.test/host/web-1 only',
    )
    const center = await keyAndRequest('spiffe://mesh.test/center')
    expect(await refusal(certify(address, trust, own, center.request))).to.include(
      'not a name that this authority gives',
    )
    const domain = await keyAndRequest('spiffe://other.test/ns/default/sa/orders')
    expect(await refusal(certify(address, trust, own, domain.request))).to.include('allowed is trust domain mesh.test')
    expect(bench.counts.get('ca_certificates issue refused')).to.equal(4)
    expect(bench.lines.at(-1)!.facts).to.include({ audit: 'issue', code: 'E_CA_REFUSED' })
  })

  it('takes a token once, for its host, until its end', async () => {
    const { address, tokenFor, pin, clock } = bench
    const trust = await pinnedTrust(address, pin())
    const { request } = await keyAndRequest('spiffe://mesh.test/host/web-1')
    const join = (token: string, host: string) => refusal(joinCenter(address, trust, { token, host, request }))
    const token = await tokenFor('web-1')
    expect(await join(token, 'web-2')).to.include('it is for host web-1, not for web-2')
    expect(await join(token, 'web-1')).to.equal('resolved')
    expect(await join(token, 'web-1')).to.match(/token [0-9a-f]+: it was used at .*, and is good for once/)
    const reusable = await tokenFor('web-1', [], true)
    expect(await join(reusable, 'web-1')).to.equal('resolved')
    expect(await join(reusable, 'web-1')).to.equal('resolved')
    clock.offset = 3_600_000
    expect(await join(reusable, 'web-1')).to.include('it ended at')
    const [word, id, , itsPin] = token.split('.')
    expect(await join(`${word}.${id}.${'a'.repeat(43)}.${itsPin}`, 'web-1')).to.include('no such token')
    expect(await join('nonsense', 'web-1')).to.include('the token is malformed')
  })

  it('lets one of ten win that use a token at once', async () => {
    const { address, tokenFor, pin } = bench
    const trust = await pinnedTrust(address, pin())
    const token = await tokenFor('web-1')
    const { request } = await keyAndRequest('spiffe://mesh.test/host/web-1')
    const joins = Array.from({ length: 10 }, () =>
      refusal(joinCenter(address, trust, { token, host: 'web-1', request })),
    )
    const won = (await Promise.all(joins)).filter((words) => words === 'resolved')
    expect(won).to.have.length(1)
  })

  it('keeps a token for later when the signing request is bad', async () => {
    const { address, tokenFor, pin } = bench
    const trust = await pinnedTrust(address, pin())
    const token = await tokenFor('web-1')
    const { request } = await keyAndRequest('spiffe://mesh.test/host/web-1')
    const der = Buffer.from(request.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    der[der.length - 1]! ^= 1
    const bad = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
    expect(await refusal(joinCenter(address, trust, { token, host: 'web-1', request: bad }))).to.include(
      'signature does not hold',
    )
    expect(await refusal(joinCenter(address, trust, { token, host: 'web-1', request }))).to.equal('resolved')
    for (const unknown of [token, token.replace(/^hostmesh\.\w+/, 'hostmesh.abc')])
      expect(
        await refusal(joinCenter(address, trust, { token: unknown, host: 'web-1', request: bad })),
        'no signature is checked for who has no good token',
      ).to.match(/no such token|it was used at/)
  })

  it('is not believed by a host with another pin, and the token stays on the host', async () => {
    const { address } = bench
    const words = await refusal(pinnedTrust(address, '0'.repeat(64)))
    expect(words).to.match(/^E_CA_REFUSED .*shows no root with the pin/)
  })

  it('is not believed by a host whose roots are others, even with the right names', async () => {
    const other = await authorityBench()
    try {
      const { trust, own } = await other.joinedHost('web-1')
      const { request } = await keyAndRequest('spiffe://mesh.test/host/web-1')
      expect(await refusal(certify(bench.address, trust, own, request))).to.match(/^E_CA_UNREACHABLE/)
    } finally {
      await other.server.close()
    }
  })

  it('gives nothing to who shows no certificate, one of another authority, or a denied one', async () => {
    const { address, joinedHost, admission, tokenFor } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const { request } = await keyAndRequest(orders)
    const other = await authorityBench()
    const foreign = await other.joinedHost('web-1', ['ns/default/sa/orders'])
    await other.server.close()
    expect(await refusal(certify(address, trust, foreign.own, request))).to.include('no certificate of this authority')
    await admission.deny('host', 'web-1', 'stolen')
    expect(await refusal(certify(address, trust, own, request))).to.include('host web-1 is denied: stolen')
    await admission.allow('host', 'web-1')
    expect(await refusal(certify(address, trust, own, request))).to.equal('resolved')
    await admission.deny('identity', 'host/web-1', 'stolen, too')
    expect(await refusal(certify(address, trust, own, request))).to.include('is denied: stolen, too')
    const joins = joinCenter(address, trust, { token: await tokenFor('web-1'), host: 'web-1', request })
    expect(await refusal(joins)).to.include('host web-1 is denied: stolen, too')
    await admission.allow('identity', 'host/web-1')
    await admission.deny('identity', 'ns/default/sa/orders', 'retired')
    expect(await refusal(certify(address, trust, own, request))).to.include('/sa/orders is denied: retired')
    await admission.allow('identity', 'ns/default/sa/orders')
    const serial = new X509Certificate(own.chain).serialNumber.replaceAll(/(..)(?=.)/g, '$1:')
    await admission.deny('serial', serial, 'leaked')
    expect(await refusal(certify(address, trust, own, request))).to.include('is denied: leaked')
  })

  it('shows the new root to those who come after a rotation began', async () => {
    const { address, joinedHost, authority, server } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    await authority.rotate()
    const both = await newestTrust(address, trust)
    expect(both.trustBundle.match(/BEGIN/g)).to.have.length(2)
    await authority.advance()
    server.refresh()
    const { request } = await keyAndRequest(orders)
    // who did not read the bundle meanwhile knows nobody
    expect(await refusal(certify(address, trust, own, request))).to.match(/^E_CA_UNREACHABLE/)
    const issued = await certify(address, both, own, request)
    expect(issued.trustBundle).to.equal(both.trustBundle)
  })

  it('ends a connection of HTTP/1.1 that pipelines', async () => {
    const client = connect({ port: bench.address.port, host: '127.0.0.1', rejectUnauthorized: false })
    client.write('GET /v1/nothing HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(100))
    await closing(client.resume())
    expect(bench.counts.get('ca_connections_refused pipelined')).to.equal(1)
  })

  it('answers Istio`s CreateCertificate, also for a renewal that names nothing', async () => {
    const { address, joinedHost } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const first = await keyAndRequest(orders)
    const chain = await createCertificate(address.port, trust.trustBundle, own, first.request)
    expect(chain).to.have.length(3)
    expect(new X509Certificate(chain[0]!).subjectAltName).to.equal(`URI:${orders}`)
    const mine = { chain: chain.slice(0, 2).join(''), key: first.key }
    const renewed = await createCertificate(
      address.port,
      trust.trustBundle,
      mine,
      (await keyAndRequest(orders)).request,
    )
    expect(new X509Certificate(renewed[0]!).subjectAltName).to.equal(`URI:${orders}`)
    const foreign = createCertificate(address.port, trust.trustBundle, mine, (await keyAndRequest(ledger)).request)
    const error = (await foreign.catch((thrown: unknown) => thrown)) as ServiceError
    expect(error.code).to.equal(status.PERMISSION_DENIED)
    expect(error.details).to.include('may renew its own certificate only')
  })

  it('renews a workload no longer than its host may have it, whatever it renewed before', async () => {
    const { address, joinedHost, admission } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const first = await keyAndRequest(orders)
    let mine = { chain: (await certify(address, trust, own, first.request)).chain, key: first.key }
    const renew = async (): Promise<string> => {
      const { key, request } = await keyAndRequest(orders)
      return refusal(certify(address, trust, mine, request).then(({ chain }) => (mine = { chain, key })))
    }
    expect(await renew()).to.equal('resolved')
    await admission.deny('host', 'web-1', 'stolen')
    expect(await renew()).to.include('host web-1 is denied: stolen')
    await admission.allow('host', 'web-1')
    expect(await renew()).to.equal('resolved')
    // the host joins again, for something else
    await joinedHost('web-1', ['ns/default/sa/ledger'])
    expect(await renew()).to.match(/orders: not granted to host web-1; granted are ns\/default\/sa\/ledger$/)
  })

  it('renews nothing that was given for a token, or that says not for whom it was given', async () => {
    const { address, joinedHost, authority } = bench
    const { trust } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const renew = async (origin: { kind: 'token' } | undefined) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const { chain } = authority.issue({ publicKey, uri: orders, lifetimeMs: 3_600_000, origin })
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
      return refusal(certify(address, trust, { chain, key }, (await keyAndRequest(orders)).request))
    }
    expect(await renew({ kind: 'token' })).to.include('was given for a token, which is to be shown for the next one')
    expect(await renew(undefined)).to.include('does not say for which host it was issued')
  })

  it('outlives a peer with a chain of 64 KB, garbage, and a body that is too long, and serves others', async () => {
    const { address, joinedHost, authority } = bench
    const { trust, own } = await joinedHost('web-1', ['ns/default/sa/orders'])
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    let chain = own.chain
    while (chain.length < 65_536) chain += authority.issue({ publicKey, uri: orders, lifetimeMs: 3_600_000 }).chain
    const { request } = await keyAndRequest(orders)
    await refusal(certify(address, trust, { ...own, chain }, request))
    const long = { token: '', host: 'x'.repeat(100_000), request: '' }
    expect(await refusal(joinCenter(address, trust, long))).to.match(/^E_CA_UNREACHABLE/)
    const raw = connect({ ...address, rejectUnauthorized: false }, () => raw.write('\u0000'.repeat(1000)))
    await new Promise((resolve) =>
      raw
        .once('close', resolve)
        .on('error', () => undefined)
        .resume(),
    )
    expect(await refusal(certify(address, trust, own, request))).to.equal('resolved')
  })
})

function createCertificate(
  port: number,
  roots: string,
  { chain, key }: { chain: string; key: string },
  csr: string,
): Promise<string[]> {
  const secure = credentials.createSsl(Buffer.from(roots), Buffer.from(key), Buffer.from(chain))
  const client = new Client(`127.0.0.1:${port}`, secure, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'center.test',
  })
  return new Promise<string[]>((resolve, reject) => {
    client.makeUnaryRequest(
      createCertificatePath,
      (text: string) => protoBytes(1, text),
      (bytes) => [...protoFields(bytes)].map((field) => field.bytes.toString()),
      csr,
      (error, found) => (error === null ? resolve(found!) : reject(error)),
    )
  }).finally(() => client.close())
}
