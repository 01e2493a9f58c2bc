import { expect } from 'chai'
import type { AuthenticationSpec, JwtRuleSpec } from '../../../../../../contracts/authentication-spec.ts'
import { wireText } from '../../../../../../contracts/wire-text.ts'
import type { Answer } from '../../../../../../agent/worker/filters/answer.ts'
import type { Filter, FilterContext, Wait } from '../../../../../../agent/worker/filters/filter.ts'
import { jwtKind } from '../../../../../../agent/worker/filters/jwt/jwt.ts'
import type { HeaderEdits } from '../../../../../../agent/worker/route/fields.ts'
import { context, request } from '../../../../../support/routing.ts'
import type { RequestTraits } from '../../../../../support/routing.ts'
import { TokenIssuer } from '../../../../../support/tokens.ts'

interface Outcome {
  readonly said: Answer | null
  readonly waited: boolean
  readonly context: FilterContext
  readonly edits: readonly HeaderEdits[]
}

describe('tokens of end users', () => {
  let issuer: TokenIssuer
  let now: number

  before(async () => {
    issuer = await TokenIssuer.make('https://issuer')
  })
  beforeEach(() => {
    now = Date.now()
  })

  function rule(more: Partial<JwtRuleSpec> = {}): JwtRuleSpec {
    return {
      policy: 'public/p',
      issuer: issuer.name,
      keys: [issuer.jwk as Record<string, string>],
      fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }],
      fromParams: ['access_token'],
      fromCookies: [],
      ...more,
    }
  }

  function filterOf(...rules: JwtRuleSpec[]): Filter {
    const authentication: AuthenticationSpec = { rules }
    const origin = { kind: 'default', name: '', path: '' }
    return jwtKind(() => now).make(
      { kind: 'jwt' },
      {
        host: 'orders',
        route: { name: 'inbound', origin },
        authentication,
        authorization: undefined,
        responseEdits: null,
        now: 0,
        limitShare: 1,
        counts: undefined as never,
        former: () => undefined,
      },
    )
  }

  async function ask(filter: Filter, traits: RequestTraits): Promise<Outcome> {
    const edits: HeaderEdits[] = []
    const asked = context(request(traits), 0, () => 0, edits)
    const verdict = filter.onRequest(asked)
    if (verdict?.kind !== 'wait') return { said: verdict, waited: false, context: asked, edits }
    const said = await new Promise<Answer | null>((resolve) =>
      (verdict as Wait).call!.begin({ resume: resolve, waitOn() {} }),
    )
    return { said, waited: true, context: asked, edits }
  }

  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

  it('are verified once, and known by their text until they expire', async () => {
    const filter = filterOf(rule())
    const token = await issuer.token({ aud: 'a' })
    const first = await ask(filter, bearer(token))
    expect([first.said, first.waited]).to.deep.equal([null, true])
    expect(first.context.token!.principal).to.equal('https://issuer/alice')
    expect([...first.edits[0]!.drop]).to.deep.equal(['authorization'])
    const second = await ask(filter, bearer(token))
    expect([second.said, second.waited]).to.deep.equal([null, false])
    expect(second.edits[0], 'what a codec has written before').to.equal(first.edits[0])
    expect(second.context.token!.principal).to.equal('https://issuer/alice')
    now += 3700_000
    const late = await ask(filter, bearer(token))
    expect(late.said).to.include({
      status: 401,
      code: 'E_TOKEN_REFUSED',
      details: 'jwt_authn_access_denied{Jwt_is_expired}',
    })
    expect(late.said!.body.toString()).to.equal('Jwt is expired')
    expect(late.said!.fields).to.deep.include([
      'www-authenticate',
      'Bearer realm="http://orders/", error="invalid_token"',
    ])
  })

  it('are not asked for: a request without one passes as nobody, without what a caller made up', async () => {
    const filter = filterOf(rule({ payloadHeader: 'x-payload', claimHeaders: [{ header: 'x-sub', claim: ['sub'] }] }))
    for (const headers of [{}, { authorization: 'Basic abc' }]) {
      const { context: asked, edits, said } = await ask(filter, { headers })
      expect([said, asked.token]).to.deep.equal([null, null])
      expect([...edits[0]!.drop]).to.deep.equal(['x-payload', 'x-sub'])
    }
  })

  it('are refused by name', async () => {
    const filter = filterOf(rule({ audiences: ['orders'] }))
    const other = await TokenIssuer.make('https://issuer')
    const stranger = await TokenIssuer.make('https://other')
    const good = await issuer.token({ aud: ['x', 'orders'] })
    const [head, payload, signature] = good.split('.') as [string, string, string]
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
    const noKey = "Jwks doesn't have key to match kid or alg from Jwt"
    const cases: readonly (readonly [string, string, number])[] = [
      [await issuer.token({ aud: 'elsewhere' }), 'Audiences in Jwt are not allowed', 403],
      [await issuer.token({ aud: 'orders', nbf: Math.floor(now / 1000) + 600 }), 'Jwt not yet valid', 401],
      [await issuer.token({ aud: 'orders', exp: Math.floor(now / 1000) - 120 }), 'Jwt is expired', 401],
      [await other.token({ aud: 'orders' }), 'Jwt verification fails', 401],
      [await stranger.token({ aud: 'orders' }), 'Jwt issuer is not configured', 401],
      [`${encode({ alg: 'none' })}.${payload}.`, 'Jwt alg is not allowed', 401],
      [`${encode({ alg: 'HS256', kid: 'k1' })}.${payload}.${signature}`, 'Jwt alg is not allowed', 401],
      [`${encode({ alg: 'RS256', kid: 'k1' })}.${payload}.${signature}`, noKey, 401],
      [`${encode({ alg: 'ES256', kid: 'k2' })}.${payload}.${signature}`, noKey, 401],
      [`${head}.${encode({ iss: issuer.name, sub: 'root' })}.${signature}`, 'Jwt verification fails', 401],
      ['abc', form, 401],
      ['', form, 401],
      [`${good}.x`, form, 401],
      [`${good}, Bearer ${good}`, form, 401],
      ['x'.repeat(20_000), 'Jwt is longer than 16384 characters', 401],
    ]
    for (const [token, reason, status] of cases) {
      const { said } = await ask(filter, bearer(token))
      expect([said?.status, said?.body.toString()], token.slice(0, 60)).to.deep.equal([status, reason])
    }
    expect((await ask(filter, bearer(good))).said).to.equal(null)
  })

  it('with a claim that would be more than a claim are refused', async () => {
    const filter = filterOf(rule())
    for (const claims of ['"__proto__":{"sub":"root"}', '"a":[{"__proto__":1}]', '"\\u005f_proto__":1']) {
      const { said } = await ask(filter, bearer(await issuer.signed(`{"iss":"${issuer.name}",${claims}}`)))
      expect(said?.body.toString(), claims).to.equal('Jwt has a claim named __proto__')
    }
    const deep = `${'['.repeat(100)}${']'.repeat(100)}`
    const { said } = await ask(filter, bearer(await issuer.signed(`{"iss":"${issuer.name}","a":${deep}}`)))
    expect(said?.body.toString()).to.equal('Jwt payload is deeper than 32')
  })

  it('in two places are refused unless they are the same', async () => {
    const filter = filterOf(rule())
    const token = await issuer.token()
    const another = await issuer.token({ sub: 'bob' })
    const both = (second: string) => ({ path: `/?access_token=${second}`, ...bearer(token) })
    expect((await ask(filter, both(another))).said!.body.toString()).to.equal('Jwt is in more than one place')
    expect((await ask(filter, both(token))).said).to.equal(null)
    const twice = { path: `/?access_token=${token}&access_token=${another}` }
    expect((await ask(filter, twice)).said!.status).to.equal(401)
  })

  it('are found where the rule says, and taken away there', async () => {
    const filter = filterOf(
      rule({ fromHeaders: [{ name: 'x-token', prefix: '' }], fromParams: ['t'], fromCookies: ['session'] }),
    )
    const token = await issuer.token()
    const byHeader = await ask(filter, { headers: { 'x-token': token } })
    expect([byHeader.said, [...byHeader.edits[0]!.drop]]).to.deep.equal([null, ['x-token']])
    const byCookie = await ask(filter, { headers: { cookie: `a=1; session=${token}; b=2` } })
    expect(byCookie.edits[0]).to.deep.equal({ fields: [['cookie', 'a=1; b=2']], drop: new Set(['cookie']) })
    // a character whose last byte alone would be a blank
    const dept = `dept=${wireText('张')}`
    const besides = await ask(filter, { headers: { cookie: `${dept}; session=${token}` } })
    expect(besides.edits[0]!.fields).to.deep.equal([['cookie', dept]])
    expect((await ask(filter, { path: `/?a=1&t=${token}` })).context.token!.principal).to.equal('https://issuer/alice')
    expect((await ask(filter, bearer('nonsense'))).said, 'not a place of this rule').to.equal(null)
    const spoilt = await ask(filter, { headers: { cookie: `session=${token}; session=x` } })
    expect(spoilt.said!.status).to.equal(401)
  })

  it('go on if the rule says so, with payload and claims in fields that no caller can write', async () => {
    const filter = filterOf(
      rule({
        forwardsToken: true,
        payloadHeader: 'x-payload',
        claimHeaders: [
          { header: 'x-sub', claim: ['sub'] },
          { header: 'x-roles', claim: ['realm', 'roles'] },
          { header: 'x-none', claim: ['none'] },
          { header: 'x-odd', claim: ['odd'] },
        ],
      }),
    )
    const token = await issuer.token({ realm: { roles: ['a', 'b'] }, odd: 'x\r\ny: z' })
    const { edits } = await ask(filter, bearer(token))
    expect(edits[0]!.fields).to.deep.equal([
      ['x-payload', token.split('.')[1]],
      ['x-sub', 'alice'],
      ['x-roles', 'a,b'],
    ])
    expect([...edits[0]!.drop]).to.deep.equal(['x-payload', 'x-sub', 'x-roles', 'x-none', 'x-odd'])
  })

  it('of an issuer whose keys nobody could get are refused', async () => {
    const { keys: _, ...keyless } = rule()
    const { said } = await ask(filterOf(keyless), bearer(await issuer.token()))
    expect(said!.body.toString()).to.equal('Jwks remote fetch is failed')
  })

  it('read lists with spaces as lists', async () => {
    const token = await issuer.token({ scope: 'read write', groups: 'a b', name: 'A B' })
    const { context: asked } = await ask(filterOf(rule({ spacedClaims: ['groups'] })), bearer(token))
    expect(asked.token!.claims).to.deep.include({ scope: ['read', 'write'], groups: ['a', 'b'], name: 'A B' })
  })

  it('that are verified for a request that left do nothing to the next one', async () => {
    const filter = filterOf(rule())
    const asked = context(request(bearer(await issuer.token())))
    const wait = filter.onRequest(asked) as Wait
    let resumed = 0
    const waiter = { resume: () => void resumed++, waitOn() {} }
    wait.call!.begin(waiter)
    wait.call!.cancel(waiter)
    await ask(filter, bearer(await issuer.token({ sub: 'bob' })))
    expect([resumed, asked.token]).to.deep.equal([0, null])
  })

  it('verified at one moment are verified once, and at most so many', async () => {
    const filter = filterOf(rule())
    const same = bearer(await issuer.token())
    const all = await Promise.all(Array.from({ length: 50 }, () => ask(filter, same)))
    expect(all.every(({ said }) => said === null)).to.equal(true)
    const verdicts = Array.from({ length: 1100 }, (_, index) =>
      filter.onRequest(context(request(bearer(`a.b${index}.c`)))),
    )
    expect(verdicts.filter((one) => one?.kind === 'answer' && one.status === 503)).to.have.length(1100 - 1024)
  })

  it('above 1024 that are verified at the same time are refused, with the time after which to come again', () => {
    const filter = filterOf(rule())
    const verdicts = Array.from({ length: 1025 }, (_, index) =>
      filter.onRequest(context(request(bearer(`e30.e30.${index}`)))),
    )
    const kinds = verdicts.map((verdict) => verdict?.kind)
    expect(kinds.slice(0, 1024).every((kind) => kind === 'wait')).to.equal(true)
    const last = verdicts[1024] as Answer
    expect(last).to.include({ status: 503, code: 'E_OVERLOAD' })
    expect(last.fields).to.deep.include(['retry-after', '1'])
  })
})
