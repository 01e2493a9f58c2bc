import { expect } from 'chai'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import { redirectTarget } from '../../../../../agent/worker/filters/redirect.ts'
import type { HttpActionSpec } from '../../../../../contracts/route-spec.ts'
import { context, filtersOf, request } from '../../../../support/routing.ts'
import type { RequestTraits } from '../../../../support/routing.ts'

type Redirect = Extract<HttpActionSpec, { kind: 'redirect' }>

const target = (spec: Partial<Redirect>, traits: RequestTraits): string =>
  redirectTarget({ kind: 'redirect', status: 301, ...spec }, request(traits))

describe('a redirect', () => {
  const traits = { host: 'shop:8080', path: '/a?q=1', port: 20_001 }

  it('replaces what the rule names and keeps the rest, the query too', () => {
    expect(target({}, traits)).to.equal('http://shop:8080/a?q=1')
    expect(target({ uri: '/b' }, traits)).to.equal('http://shop:8080/b?q=1')
    expect(target({ uri: '/b?x=2' }, traits)).to.equal('http://shop:8080/b?x=2')
    expect(target({ authority: 'new.example.com' }, traits)).to.equal('http://new.example.com/a?q=1')
    expect(target({ authority: '[::1]:81' }, traits)).to.equal('http://[::1]:81/a?q=1')
  })

  it('names the port that the rule wants, and none that the scheme implies', () => {
    expect(target({ port: 9000 }, traits)).to.equal('http://shop:9000/a?q=1')
    expect(target({ port: 80 }, traits)).to.equal('http://shop/a?q=1')
    expect(target({ port: 'from-request' }, traits)).to.equal('http://shop:20001/a?q=1')
    expect(target({ port: 'from-protocol-default' }, traits)).to.equal('http://shop/a?q=1')
    expect(target({ scheme: 'https' }, { ...traits, host: 'shop:80' })).to.equal('https://shop/a?q=1')
    expect(target({ scheme: 'https' }, traits)).to.equal('https://shop:8080/a?q=1')
  })

  it('answers with the status of the rule, a location and nothing else', () => {
    const filter = filtersOf({ action: { kind: 'redirect', status: 308, uri: '/b' } })[0]!
    const reply = filter.onRequest(context(request(traits))) as Answer
    expect(reply).to.deep.include({ kind: 'answer', status: 308, code: undefined, flag: '-' })
    expect(reply.fields).to.deep.equal([['location', 'http://shop:8080/b?q=1']])
    expect(reply.body.length).to.equal(0)
  })

  it('lets no byte of the request end the field', () => {
    const location = target({}, { host: 'a\r\nset-cookie: x=1', path: '/\r\n\r\n<script>ü' })
    expect(location).to.match(/^[\x21-\x7e]*$/)
  })
})
