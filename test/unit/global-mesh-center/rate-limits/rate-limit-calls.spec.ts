/** Questions over real sockets, in messages that a library of somebody else writes and reads. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { systemClock } from '../../../../contracts/clock.ts'
import { shouldRateLimitPath } from '../../../../contracts/rate-limit-wire.ts'
import { RateLimiter } from '../../../../global-mesh-center/rate-limits/rate-limiter.ts'
import { rateLimitsSection } from '../../../../global-mesh-center/rate-limits/section.ts'
import { Tokens } from '../../../../global-mesh-center/rules-api/tokens.ts'
import { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import { XdsServer } from '../../../../global-mesh-center/xds/xds-server.ts'
import { RlsClient } from '../../../support/rate-limits/rls-client.ts'

const raw = (bytes: Buffer): Buffer => bytes
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const metrics = { count() {}, gauge() {}, observe() {} }
const nothing = { watch: () => () => undefined } as never
const hostToken = 'h'.repeat(40)

describe('a center as a rate-limit service', () => {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-limits-'))
  const limiter = new RateLimiter(
    rateLimitsSection.parse({
      domains: [
        {
          domain: 'shop',
          descriptors: [
            { key: 'user', rate_limit: { unit: 'hour', requests_per_unit: 2, name: 'per user' } },
            { key: 'all', rate_limit: { unit: 'year', requests_per_unit: 1000 } },
          ],
        },
      ],
    }),
    { clock: systemClock, metrics },
  )
  let server: XdsServer
  let client: RlsClient

  async function serve(withTokens: boolean): Promise<void> {
    const tokensFile = join(home, 'tokens')
    writeFileSync(tokensFile, stringify([{ user: 'host-7', token: hostToken, role: 'host' }]), { mode: 0o600 })
    server = new XdsServer(
      {
        address: '127.0.0.1:0',
        tls: undefined,
        tokens: withTokens ? new Tokens(tokensFile, systemClock.monotonic) : undefined,
        isOpen: !withTokens,
        takesCertificates: false,
        issuer: undefined,
        endpoints: nothing,
        rulesOf: () => new Resources('rules', nothing),
        rateLimiter: limiter,
      },
      { clock: systemClock, log: silent, metrics, random: Math.random },
    )
    client = new RlsClient(await server.listen())
  }
  afterEach(async () => {
    client.close()
    await server.close()
  })
  after(() => {
    limiter.close()
    rmSync(home, { recursive: true })
  })

  it('says what is left and until when, and what is over its limit', async () => {
    await serve(false)
    const first = await client.ask('shop', [[['user', 'ann']], [['all', 'x']], [['none', 'y']]])
    expect(first.overallCode).to.equal('OK')
    const [user, all, none] = first.statuses
    expect(user!.currentLimit).to.deep.equal({ requestsPerUnit: 2, unit: 'HOUR', name: 'per user' })
    expect(user!.limitRemaining).to.equal(1)
    expect(user!.durationUntilReset!.seconds).to.be.within(0, 3600)
    expect(all!.currentLimit).to.deep.include({ requestsPerUnit: 1000, unit: 'YEAR' })
    expect(all!.durationUntilReset!.seconds).to.be.within(0, 365 * 86_400)
    expect(none).to.deep.include({ code: 'OK', currentLimit: null, durationUntilReset: null })
    const second = await client.ask('shop', [[['user', 'ann']], [['all', 'x']]], { hitsAddend: 2 })
    expect(second.overallCode).to.equal('OVER_LIMIT')
    expect(second.statuses.map(({ code }) => code)).to.deep.equal(['OVER_LIMIT', 'OK'])
    expect(second.statuses[1]!.limitRemaining).to.equal(997)
  })

  it('says how many hosts ask, by the name that each says or proves', async () => {
    await serve(false)
    const hosts = async (more: object) => (await client.ask('shop', [[['all', 'x']]], more)).hosts
    const before = Number(await hosts({ host: 'a' }))
    expect(await hosts({ host: 'b' })).to.equal(String(before + 1))
    expect(await hosts({ host: 'a' })).to.equal(String(before + 1))
    client.close()
    await server.close()
    await serve(true)
    expect(await hosts({ host: 'c', token: hostToken }), 'it is host-7').to.equal(String(before + 2))
    expect(await hosts({ host: 'd', token: hostToken })).to.equal(String(before + 2))
  })

  it('answers nobody without a token where one is needed', async () => {
    await serve(true)
    const refused = await client.ask('shop', [[['user', 'ben']]]).catch((error: ServiceError) => error)
    expect(refused).to.include({ code: 16, details: 'a bearer token is needed' })
    const wrong = { token: 'w'.repeat(40) }
    expect(await client.ask('shop', [[['user', 'ben']]], wrong).catch((error: ServiceError) => error)).to.include({
      code: 16,
    })
    const [status] = (await client.ask('shop', [[['user', 'ben']]], { token: hostToken })).statuses
    expect(status!.limitRemaining, 'what was refused was not counted').to.equal(1)
  })

  it('refuses garbage, and goes on', async () => {
    await serve(false)
    const rough = new Client(`127.0.0.1:${client.port}`, credentials.createInsecure())
    const send = (bytes: Buffer) =>
      new Promise<number>((resolve) => {
        rough.makeUnaryRequest(shouldRateLimitPath, raw, raw, bytes, (error: ServiceError | null) =>
          resolve(error?.code ?? 0),
        )
      })
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('0aff', 'hex'),
      Buffer.from('12ffffffffffffffffff01', 'hex'),
      Buffer.from('not a message at all'),
      Buffer.concat([Buffer.from('1a808040', 'hex'), Buffer.alloc(1_048_576, 0xff)]),
    ])
      expect(await send(bytes), bytes.subarray(0, 8).toString('hex')).to.equal(3)
    expect(await send(Buffer.alloc(5 * 1024 * 1024, 0x08)), 'more than a message may have').to.equal(8)
    rough.close()
    expect((await client.ask('shop', [[['user', 'cid']]])).overallCode).to.equal('OK')
  })
})
