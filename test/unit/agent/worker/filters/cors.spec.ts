import { expect } from 'chai'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { ReplyFilter } from '../../../../../agent/worker/filters/filter.ts'
import type { CorsSpec } from '../../../../../contracts/route-spec.ts'
import { replyHead, context, filtersOf, request } from '../../../../support/routing.ts'

const filter = (cors: CorsSpec) => filtersOf({ filters: [{ kind: 'cors', ...cors }] })[0] as ReplyFilter

describe('a CORS policy', () => {
  const spec: CorsSpec = {
    allowOrigins: [{ exact: 'https://a.example.com' }, { regex: 'https://[a-z]+\\.shop\\.com' }],
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['x-a', 'x-b'],
    exposeHeaders: ['x-c'],
    maxAgeMs: 90_500,
    allowCredentials: true,
  }
  const preflight = (origin: string) =>
    context(request({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } }))

  it('answers a preflight of an allowed origin', () => {
    const reply = filter(spec).onRequest(preflight('https://de.shop.com')) as Answer
    expect(reply).to.include({ status: 200, code: undefined, flag: '-' })
    expect(reply.fields).to.deep.equal([
      ['access-control-allow-origin', 'https://de.shop.com'],
      ['vary', 'origin'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-allow-methods', 'GET,POST'],
      ['access-control-allow-headers', 'x-a,x-b'],
      ['access-control-max-age', '90'],
    ])
  })

  it('lets a preflight of another origin pass, or answers it without permission where the rule says so', () => {
    expect(filter(spec).onRequest(preflight('https://evil.com'))).to.equal(null)
    const reply = filter({ ...spec, forwardUnmatchedPreflights: false }).onRequest(preflight('https://evil.com'))
    expect(reply).to.deep.include({ status: 200, fields: [['vary', 'origin']] })
  })

  it('is no business of requests that are no preflight', () => {
    const made = filter(spec)
    expect(
      made.onRequest(context(request({ method: 'OPTIONS', headers: { origin: 'https://a.example.com' } }))),
    ).to.equal(null)
    expect(made.onRequest(context(request({ headers: { origin: 'https://a.example.com' } })))).to.equal(null)
  })

  it('adds nothing to the preflights that it answers itself, and its word to those that pass', () => {
    const ignoring = filter({ ...spec, forwardUnmatchedPreflights: false })
    expect(filter(spec).onReply(preflight('https://de.shop.com'), replyHead(200))).to.equal(null)
    expect(ignoring.onReply(preflight('https://evil.com'), replyHead(200))).to.equal(null)
    expect(filter(spec).onReply(preflight('https://evil.com'), replyHead(200))!.fields).to.deep.equal([
      ['vary', 'origin'],
    ])
  })

  it('replaces the fields of the application on responses, for allowed origins only', () => {
    const response = filter(spec)
    const allowed = context(request({ headers: { origin: 'https://a.example.com' } }))
    const edits = response.onReply(allowed, replyHead(200))!
    expect(edits.fields).to.deep.equal([
      ['access-control-allow-origin', 'https://a.example.com'],
      ['vary', 'origin'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-expose-headers', 'x-c'],
    ])
    expect(response.onReply(allowed, replyHead(200)), 'the same object, so that a codec writes it once').to.equal(edits)
    expect([...edits.drop]).to.include('access-control-allow-origin')
    for (const headers of [{ origin: 'https://evil.com' }, {}]) {
      const toOthers = response.onReply(context(request({ headers })), replyHead(200))!
      expect(toOthers.fields).to.deep.equal([['vary', 'origin']])
      expect([...toOthers.drop]).to.include('access-control-allow-origin')
    }
  })

  it('keeps the fields of a bounded number of origins, and answers every one of them right', () => {
    const response = filter(spec)
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    for (let i = 0; i < 600; i++) {
      const origin = `https://${letters[i % 26]}${letters[Math.floor(i / 26)]}.shop.com`
      expect(response.onReply(context(request({ headers: { origin } })), replyHead(200))!.fields[0]![1]).to.equal(
        origin,
      )
    }
  })
})
