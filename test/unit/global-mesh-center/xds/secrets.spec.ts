/** Secrets for proxies, and certificates as what lets them in. Real sockets and TLS, one process. */
import { Client, credentials, Metadata, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { expect } from 'chai'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { systemClock } from '../../../../contracts/clock.ts'
import { decodeMessage } from '../../../../contracts/envoy-api/decode.ts'
import { encodeMessage, typeUrlOf } from '../../../../contracts/envoy-api/encode.ts'
import type { Plain } from '../../../../contracts/envoy-api/message-form.ts'
import { Tokens } from '../../../../global-mesh-center/rules-api/tokens.ts'
import { AgentRules } from '../../../../global-mesh-center/xds/agent-rules.ts'
import { ForeignResources } from '../../../../global-mesh-center/xds/envoy/foreign-resources.ts'
import { LeftOutTable } from '../../../../global-mesh-center/xds/envoy/left-out-table.ts'
import { secretMessage } from '../../../../global-mesh-center/xds/envoy/secrets.ts'
import { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import { statePath } from '../../../../global-mesh-center/xds/state-request.ts'
import { XdsServer } from '../../../../global-mesh-center/xds/xds-server.ts'
import { issuingBench, trustDomain, type IssuingBench } from '../../../support/ca/issuing.ts'
import { until } from '../../../support/mesh/mesh.ts'
import { Authority } from '../../../support/tls/authority.ts'

const raw = (bytes: Buffer): Buffer => bytes
const secretType = typeUrlOf(secretMessage)
const id = (path: string): string => `spiffe://${trustDomain}/${path}`
const [ofGateway, ofHost, ofReader] = ['g', 'h', 'r'].map((one) => one.repeat(40)) as [string, string, string]
const patience = 20_000

interface Secret {
  readonly name: string
  readonly tls_certificate?: { certificate_chain: { inline_bytes: Buffer }; private_key: { inline_bytes: Buffer } }
  readonly validation_context?: { trusted_ca: { inline_bytes: Buffer } }
}

describe('secrets of a center', function () {
  this.timeout(60_000)
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-secrets-'))
  const port = new Authority('of the port')
  const shown = port.leaf(undefined, { dns: ['center.test'] })
  let bench: IssuingBench
  let servers: XdsServer[]
  let clients: Client[]

  /** One center's port; resolves with its number. */
  async function center(has: { readonly authority?: false; readonly isSealed?: true } = {}): Promise<number> {
    const { issuer, log, service } = bench
    const rules = new AgentRules({ namespace: 'public', group: 'DEFAULT_GROUP' })
    await rules.replace([])
    if (has.isSealed !== true) issuer.take(service)
    const tokensFile = join(home, 'tokens')
    const logins = [
      { user: 'gateway', token: ofGateway, role: 'read', identity: 'ns/shop/sa/gateway' },
      { user: 'web-1', token: ofHost, role: 'host' },
      { user: 'reader', token: ofReader, role: 'read' },
    ]
    writeFileSync(tokensFile, stringify(logins), { mode: 0o600 })
    const metrics = { count: () => undefined, gauge: () => undefined, observe: () => undefined }
    const known = has.authority === false ? undefined : issuer
    const deps = { clock: systemClock, random: Math.random, log, metrics }
    const foreign = new ForeignResources({
      ...deps,
      rules,
      services: { follow: () => () => undefined },
      leftOut: new LeftOutTable(metrics),
      clusterDomain: 'cluster.local',
      issuer: known,
    })
    const server = new XdsServer(
      {
        address: '127.0.0.1:0',
        tls: { cert: shown.certificate, key: shown.key },
        tokens: new Tokens(tokensFile, () => performance.now()),
        isOpen: false,
        takesCertificates: known !== undefined,
        issuer: known,
        endpoints: { follow: () => false },
        foreign,
        rulesOf: () => new Resources('rules', { follow: () => false }),
      },
      deps,
    )
    servers.push(server)
    return server.listen()
  }

  /** A stream, what it was told by name, and what it ended with. */
  function open(at: number, by: { token?: string; chain?: string; key?: string }, metadata: Plain = {}) {
    const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text))
    const client = new Client(
      `127.0.0.1:${at}`,
      credentials.createSsl(Buffer.from(port.certificate), pem(by.key), pem(by.chain)),
      { 'grpc.ssl_target_name_override': 'center.test', 'grpc.default_authority': 'center.test' },
    )
    clients.push(client)
    const sent = new Metadata()
    if (by.token !== undefined) sent.set('authorization', `Bearer ${by.token}`)
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(statePath, raw, raw, sent)
    const got = new Map<string, Secret[]>()
    let names: readonly string[] = []
    const ask = (request: Plain): void =>
      void call.write(
        encodeMessage('envoy.service.discovery.v3.DiscoveryRequest', { type_url: secretType, ...request }),
      )
    const told = { refuses: false }
    call.on('data', (bytes: Buffer) => {
      const { nonce, resources } = decodeMessage('envoy.service.discovery.v3.DiscoveryResponse', bytes) as {
        nonce: string
        resources?: Secret[]
      }
      for (const secret of resources ?? []) got.set(secret.name, [...(got.get(secret.name) ?? []), secret])
      const error = told.refuses ? { error_detail: { code: 3, message: 'no thanks' } } : {}
      ask({ resource_names: names, response_nonce: nonce, ...error })
    })
    const ended = new Promise<ServiceError>((resolve) => call.on('error', resolve))
    return {
      got,
      ended,
      told,
      ask: (...wanted: readonly string[]) => {
        names = wanted
        ask({ node: { id: 'gateway-1', metadata }, resource_names: wanted })
      },
    }
  }
  const secretOf = async ({ got }: ReturnType<typeof open>, name: string): Promise<Secret> => {
    await until(patience, `the secret ${name}\n${logText()}`, () => Promise.resolve(got.has(name)))
    return got.get(name)!.at(-1)!
  }
  const leafOf = (secret: Secret): X509Certificate =>
    new X509Certificate(secret.tls_certificate!.certificate_chain.inline_bytes)
  const logText = (): string => bench.lines.map((line) => `${line.message} ${JSON.stringify(line.facts)}`).join('\n')
  const logSays = (words: string): Promise<unknown> =>
    until(patience, `"${words}" in the log`, () => Promise.resolve(logText().includes(words)))

  beforeEach(async () => {
    bench = await issuingBench(systemClock, [{ hosts: ['web-*'], identities: ['ns/shop/sa/*'] }])
    servers = []
    clients = []
  })
  afterEach(async () => {
    for (const client of clients) client.close()
    await Promise.all(servers.map((server) => server.close()))
  })
  after(() => rmSync(home, { recursive: true, force: true }))

  it('are the certificate of the application that a token stands for, with its key, and the roots', async () => {
    const stream = open(await center(), { token: ofGateway })
    stream.ask('default', 'ROOTCA')
    const own = await secretOf(stream, 'default')
    const leaf = leafOf(own)
    expect(leaf.subjectAltName).to.equal(`URI:${id('ns/shop/sa/gateway')}`)
    const key = own.tls_certificate!.private_key.inline_bytes.toString()
    expect(leaf.checkPrivateKey(createPrivateKey(key))).to.equal(true)
    const roots = (await secretOf(stream, 'ROOTCA')).validation_context!.trusted_ca.inline_bytes.toString()
    expect(roots).to.equal(bench.authority.trustBundle)
    expect(logText()).to.contain('certificate issued to')
    expect(logText(), 'a key is in no line').to.not.contain('PRIVATE KEY')
    expect(logText()).to.not.contain(key.split('\n')[1])
  })

  it('are for two streams two certificates with two keys', async () => {
    const at = await center()
    const both = [open(at, { token: ofGateway }), open(at, { token: ofGateway })]
    for (const stream of both) stream.ask('default')
    const [one, other] = await Promise.all(both.map(async (stream) => leafOf(await secretOf(stream, 'default'))))
    expect(one!.publicKey.equals(other!.publicKey)).to.equal(false)
  })

  it('are those of a host for which its token was granted, and no others', async () => {
    const at = await center()
    const granted = open(at, { token: ofHost }, { identity: 'ns/shop/sa/cart' })
    granted.ask('default')
    expect(leafOf(await secretOf(granted, 'default')).subjectAltName).to.equal(`URI:${id('ns/shop/sa/cart')}`)
    const other = open(at, { token: ofHost }, { identity: 'ns/bank/sa/ledger' })
    other.ask('default', 'ROOTCA')
    await secretOf(other, 'ROOTCA')
    await logSays('not granted to host web-1')
    expect(other.got.has('default')).to.equal(false)
  })

  it('are not those of another identity than that of the token', async () => {
    const stream = open(await center(), { token: ofGateway }, { identity: 'ns/shop/sa/cart' })
    stream.ask('default', 'ROOTCA')
    await secretOf(stream, 'ROOTCA')
    await logSays(`${id('ns/shop/sa/gateway')} may renew its own certificate only`)
    expect(stream.got.has('default')).to.equal(false)
  })

  it('are nobody’s for a token that stands for nobody, and none where the center is no authority', async () => {
    const reader = open(await center(), { token: ofReader }, { identity: 'ns/shop/sa/cart' })
    reader.ask('default')
    await logSays('its credentials are those of no host and no application')
    const without = open(await center({ authority: false }), { token: ofGateway })
    without.ask('default', 'ROOTCA')
    await logSays('this center is no certificate authority')
    expect(reader.got.size + without.got.size).to.equal(0)
  })

  it('come once the authority opens; until then whoever has a token is let in, and nobody by certificate', async () => {
    const at = await center({ isSealed: true })
    const stream = open(at, { token: ofGateway })
    stream.ask('default', 'ROOTCA')
    await logSays('the authority of this center is not open')
    expect(stream.got.size).to.equal(0)
    expect((await open(at, bench.leaf(id('ns/shop/sa/cart'))).ended).details).to.equal('a bearer token is needed')
    bench.issuer.take(bench.service)
    await secretOf(stream, 'default')
    await secretOf(stream, 'ROOTCA')
  })

  it('have two names alone; another one is told in the log and hinders none', async () => {
    const stream = open(await center(), { token: ofGateway })
    stream.ask('kubernetes://somebody-else', 'default')
    await secretOf(stream, 'default')
    await logSays('kubernetes://somebody-else: no such name can exist')
  })

  it('that are refused are not sent again, and told without what is in them', async () => {
    const stream = open(await center(), { token: ofGateway })
    stream.told.refuses = true
    stream.ask('default')
    await logSays('no thanks')
    stream.ask('default', 'ROOTCA')
    await secretOf(stream, 'ROOTCA')
    expect(stream.got.get('default')).to.have.length(1)
    expect(logText()).to.not.contain('PRIVATE KEY')
  })

  it('follow the roots through a rotation', async () => {
    const stream = open(await center(), { token: ofGateway })
    stream.ask('ROOTCA')
    await secretOf(stream, 'ROOTCA')
    await bench.authority.rotate()
    bench.issuer.take(bench.service)
    await until(patience, 'both roots', () => Promise.resolve(stream.got.get('ROOTCA')!.length === 2))
    const bundle = stream.got.get('ROOTCA')![1]!.validation_context!.trusted_ca.inline_bytes.toString()
    expect(bundle.match(/BEGIN CERTIFICATE/g)).to.have.length(2)
  })

  it('are an application’s own for whoever shows its certificate, without any token', async () => {
    const stream = open(await center(), bench.leaf(id('ns/shop/sa/cart')))
    stream.ask('default')
    expect(leafOf(await secretOf(stream, 'default')).subjectAltName).to.equal(`URI:${id('ns/shop/sa/cart')}`)
  })

  it('are nobody’s for a certificate that is another authority’s, expired, denied, or of nobody', async () => {
    const at = await center()
    const foreign = new Authority('of somebody else').leaf(id('ns/shop/sa/cart'))
    const own = bench.leaf(id('ns/shop/sa/cart'))
    const expired = bench.leaf(id('ns/shop/sa/cart'), 1000)
    await until(patience, 'its end', () =>
      Promise.resolve(new X509Certificate(expired.chain).validToDate.getTime() < Date.now()),
    )
    for (const [what, shows] of [
      ['another authority', { chain: foreign.certificate, key: foreign.key }],
      ['expired', expired],
    ] as const)
      expect((await open(at, shows).ended).details, what).to.equal('a bearer token is needed')
    await bench.admission.deny('identity', id('ns/shop/sa/cart'), 'stolen')
    expect((await open(at, own).ended).details).to.contain('is denied: stolen')
    await bench.admission.allow('identity', id('ns/shop/sa/cart'))
    await bench.admission.deny('host', 'web-9', 'stolen')
    expect((await open(at, own).ended).details).to.contain('host web-9 is denied: stolen')
    expect((await open(at, bench.leaf('spiffe://elsewhere/ns/a/sa/b')).ended).details).to.contain('names no workload')
  })

  it('are not lent by a token that is wrong to whoever also shows a good certificate', async () => {
    const stream = open(await center(), { token: 'x'.repeat(40), ...bench.leaf(id('ns/shop/sa/cart')) })
    expect((await stream.ended).details).to.equal('this token is not known')
  })

  it('end with the token that the stream was opened with, not while its file cannot be used', async () => {
    const at = await center()
    const [kept, taken] = [open(at, { token: ofGateway }), open(at, { token: ofReader })]
    let hasEnded = false
    void kept.ended.then(() => (hasEnded = true))
    kept.ask('ROOTCA')
    await secretOf(kept, 'ROOTCA')
    taken.ask('default')
    await logSays('its credentials are those of no host and no application')
    const write = (text: string): void => writeFileSync(join(home, 'tokens'), text, { mode: 0o600 })
    const refusalNow = async (): Promise<string> => (await open(at, { token: 'x'.repeat(40) }).ended).details
    write('broken: [')
    await until(patience, 'nobody is let in', async () => (await refusalNow()).includes('broken YAML'))
    write(stringify([{ user: 'gateway', token: ofGateway, role: 'read', identity: 'ns/shop/sa/gateway' }]))
    const { code, details } = await taken.ended
    expect([code, details]).to.deep.equal([
      status.UNAUTHENTICATED,
      'the token that this stream was opened with is not good any more',
    ])
    expect(hasEnded, 'of the token that is still there').to.equal(false)
  })

  it('end with the certificate that the stream was opened with', async () => {
    const stream = open(await center(), bench.leaf(id('ns/shop/sa/cart'), 2500))
    stream.ask('ROOTCA')
    await secretOf(stream, 'ROOTCA')
    expect((await stream.ended).details).to.equal('the certificate that this stream was opened with has ended')
  })
})
