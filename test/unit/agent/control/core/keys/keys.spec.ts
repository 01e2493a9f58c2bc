import { expect } from 'chai'
import type { PublicKeySpec } from '../../../../../../contracts/authentication-spec.ts'
import { fetchText } from '../../../../../../agent/control/core/keys/fetch-text.ts'
import { KeySources } from '../../../../../../agent/control/core/keys/key-sources.ts'
import type { KeySourcesDeps } from '../../../../../../agent/control/core/keys/key-sources.ts'
import { readKeys } from '../../../../../../agent/control/core/keys/read-keys.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'
import { smallServer, TokenIssuer } from '../../../../../support/tokens.ts'
import type { SmallServer } from '../../../../../support/tokens.ts'

describe('a key set', () => {
  const ec = { kty: 'EC', crv: 'P-256', x: 'a'.repeat(43), y: 'b'.repeat(43), kid: 'k' }
  const read = (...keys: unknown[]) => readKeys(JSON.stringify({ keys }))

  it('gives public keys without private parts', () => {
    expect(read({ ...ec, d: 'secret', alg: 'ES256', x5c: ['a'] })).to.deep.equal({
      keys: [{ ...ec, alg: 'ES256' }],
      notes: [],
    })
  })

  it('is used as far as it can be, with a word about the rest', () => {
    const rest = [
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'RSA', n: 'a'.repeat(171), e: 'AQAB' },
      { kty: 'EC', crv: 'secp256k1', x: 'a', y: 'b' },
      { ...ec, use: 'enc' },
      { kty: '__proto__' },
      { kty: 'EC', crv: 'P-256', x: 'a b', y: 'b' },
      7,
    ]
    const set = read(ec, ...rest) as { keys: unknown[]; notes: string[] }
    expect(set.keys).to.have.length(1)
    expect(set.notes).to.deep.equal([
      'keys[1]: a shared secret (kty oct), allowed public keys',
      'keys[2]: an RSA key of fewer than 2048 bits',
      'keys[3]: found crv secp256k1, allowed P-256, P-384, P-521',
      'keys[4]: is for "enc", not for signatures',
      'keys[5]: found kty "__proto__", allowed RSA, EC, OKP',
      'keys[6]: x is missing or no base64url',
      'keys[7]: no key',
    ])
  })

  it('that is none is refused', () => {
    expect(readKeys('<html>')).to.deep.equal({ problem: 'found no JSON, allowed a JWKS' })
    expect(readKeys('[]')).to.deep.equal({ problem: 'found no list "keys", allowed a JWKS' })
    expect(read({ kty: 'oct', k: 'a' }))
      .to.have.property('problem')
      .that.includes('no key that can be used')
    expect(read(...Array.from({ length: 101 }, () => ec))).to.deep.equal({ problem: '101 keys, allowed 100' })
    expect(readKeys(' '.repeat(1024 * 1024 + 1)))
      .to.have.property('problem')
      .that.includes('allowed 1048576')
  })
})

describe('keys of an issuer', () => {
  let issuer: TokenIssuer
  let server: SmallServer
  let answer: (path: string) => { status: number; body: string }
  let heard: (readonly [keys: number | undefined, problem: string | undefined])[]
  let logged: string[]
  let timers: { ms: number; call: () => void }[]
  let sources: KeySources

  before(async () => {
    issuer = await TokenIssuer.make('https://issuer')
    server = await smallServer((request, response) => {
      const { body, status } = answer(request.url ?? '')
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end(body)
    })
  })
  after(() => server.close())
  beforeEach(() => {
    heard = []
    logged = []
    timers = []
    answer = () => ({ status: 200, body: issuer.jwks })
    sources = make()
  })

  function make(more: Partial<KeySourcesDeps> = {}): KeySources {
    const log = (_: object, text: string): void => void logged.push(text)
    return new KeySources({
      clock: {
        wall: () => 0,
        monotonic: () => 0,
        after: (ms, call) => {
          timers.push({ ms, call })
          return () => {}
        },
      },
      random: () => 0.5,
      log: { info: log, warn: log, error: log, debug: log } as never,
      metrics: { count: () => {}, gauge: () => {} },
      fetch: fetchText,
      allowLoopback: () => true,
      onKeys: (_id: string, keys: readonly PublicKeySpec[] | undefined, problem: string | undefined) =>
        void heard.push([keys?.length, problem]),
      ...more,
    })
  }

  const source = (timeoutMs = 5000) => ({ id: 'a', url: `${server.url}/keys`, isDiscovery: false, timeoutMs })

  it('are had at once, and again every twenty minutes', async () => {
    sources.want([source()])
    await eventually(() => timers.length === 1)
    expect(heard).to.deep.equal([[1, undefined]])
    expect(timers[0]!.ms).to.equal(20 * 60_000)
    timers[0]!.call()
    await eventually(() => timers.length === 2)
    expect(heard, 'the same keys are no news').to.have.length(1)
  })

  it('are found through the configuration of the issuer', async () => {
    answer = (path) =>
      path === '/tenant/.well-known/openid-configuration'
        ? { status: 200, body: JSON.stringify({ jwks_uri: `${server.url}/found` }) }
        : { status: path === '/found' ? 200 : 404, body: issuer.jwks }
    sources.want([{ id: 'd', url: `${server.url}/tenant/`, isDiscovery: true, timeoutMs: 5000 }])
    await eventually(() => heard.length === 1)
    expect(heard).to.deep.equal([[1, undefined]])
    answer = () => ({ status: 200, body: '<secret>' })
    sources.want([{ id: 'e', url: server.url, isDiscovery: true, timeoutMs: 5000 }])
    await eventually(() => heard.length === 2)
    expect(heard[1]).to.deep.equal([undefined, 'the configuration of the issuer names no jwks_uri'])
  })

  it('stay while the issuer is down, which is asked ever less often, and over a restart', async () => {
    sources.want([source()])
    await eventually(() => timers.length === 1)
    answer = () => ({ status: 500, body: '' })
    for (const pause of [1000, 2000, 4000]) {
      const { length } = timers
      timers.at(-1)!.call()
      await eventually(() => timers.length === length + 1)
      expect(timers.at(-1)!.ms).to.equal(pause)
    }
    expect(heard).to.have.length(1)
    expect(logged).to.deep.equal(['keys of a: status 500, allowed 200; the keys at hand stay in use'])
    const next = make()
    next.importState(JSON.parse(JSON.stringify(sources.exportState())))
    heard = []
    next.want([source()])
    expect(heard).to.deep.equal([[1, undefined]])
    next.close()
  })

  it('that are too much, too slow, moved or at a forbidden address are refused by name', async () => {
    const cases: readonly (readonly [string, () => { status: number; body: string }])[] = [
      ['more than 1048576 bytes', () => ({ status: 200, body: ' '.repeat(10 * 1024 * 1024) })],
      ['status 302, allowed 200', () => ({ status: 302, body: '' })],
      ['found no JSON, allowed a JWKS', () => ({ status: 200, body: 'x' })],
    ]
    for (const [problem, said] of cases) {
      answer = said
      heard = []
      const one = make()
      one.want([source()])
      await eventually(() => heard.length === 1)
      expect(heard[0]).to.deep.equal([undefined, problem])
      one.close()
    }
    const strict = make({ allowLoopback: () => false })
    heard = []
    strict.want([source()])
    await eventually(() => heard.length === 1)
    expect(heard[0]![1]).to.equal('127.0.0.1 is an address of kind loopback, to which nothing is sent')
    const byName = make({ allowLoopback: () => false })
    heard = []
    byName.want([{ ...source(), url: server.url.replace('127.0.0.1', 'localhost') }])
    await eventually(() => heard.length === 1)
    expect(heard[0]![1]).to.include('has no address to which something may be sent')
    const hanging = await smallServer(() => {})
    heard = []
    const slow = make()
    slow.want([{ ...source(100), url: hanging.url }])
    await eventually(() => heard.length === 1)
    expect(heard[0]![1]).to.equal('no whole answer after 100 ms')
    slow.close()
    await hanging.close()
  })

  it('that no rule names any more are forgotten', async () => {
    sources.want([source()])
    sources.want([])
    await eventually(() => server.asked.length > 0)
    expect(heard).to.deep.equal([])
    expect(sources.exportState()).to.deep.equal({})
  })
})
