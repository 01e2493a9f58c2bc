import { expect } from 'chai'
import { noFilterCounts } from '../../../../../agent/worker/route/filter-counts.ts'
import { actionFilter, redirectTarget, splitAuthority } from '../../../../../agent/worker/route/local-reply.ts'
import type { Answer } from '../../../../../agent/worker/route/types.ts'
import type { HttpActionSpec } from '../../../../../contracts/route-spec.ts'
import { context, request } from '../../../../support/routing.ts'
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
    const filter = actionFilter({ kind: 'redirect', status: 308, uri: '/b' }, noFilterCounts())!
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

describe('the edits of a route', () => {
  const edits = { fields: [['x-a', '1']] as const, drop: new Set(['content-type', 'x-a']) }
  const fieldsOf = (action: HttpActionSpec): Answer['fields'] =>
    (actionFilter(action, noFilterCounts(), edits)!.onRequest(context(request())) as Answer).fields

  it('reach the answers that it makes itself', () => {
    expect(fieldsOf({ kind: 'direct', status: 200, body: 'a', contentType: 'text/plain' })).to.deep.equal([
      ['x-a', '1'],
    ])
    expect(fieldsOf({ kind: 'redirect', status: 301, uri: '/b' })).to.deep.equal([
      ['location', 'http://orders/b'],
      ['x-a', '1'],
    ])
  })
})

describe('a direct response', () => {
  it('has the body and type of the rule', () => {
    const filter = actionFilter(
      { kind: 'direct', status: 503, body: 'zu – später', contentType: 'text/plain' },
      noFilterCounts(),
    )!
    const reply = filter.onRequest(context(request())) as Answer
    expect([reply.status, reply.fields, reply.body.toString()]).to.deep.equal([
      503,
      [['content-type', 'text/plain']],
      'zu – später',
    ])
  })

  it('can be bytes', () => {
    const filter = actionFilter(
      { kind: 'direct', status: 200, body: '/wD+', bodyIsBase64: true, contentType: 'a/b' },
      noFilterCounts(),
    )!
    expect([...(filter.onRequest(context(request())) as Answer).body]).to.deep.equal([0xff, 0x00, 0xfe])
  })

  it('can be empty, then without a type', () => {
    const filter = actionFilter({ kind: 'direct', status: 204, body: '', contentType: 'text/plain' }, noFilterCounts())!
    expect((filter.onRequest(context(request())) as Answer).fields).to.deep.equal([])
  })
})

it('an authority is split into host and port', () => {
  expect(splitAuthority('a:80')).to.deep.equal(['a', 80])
  expect(splitAuthority('a')).to.deep.equal(['a', undefined])
  expect(splitAuthority('[::1]')).to.deep.equal(['[::1]', undefined])
  expect(splitAuthority('[::1]:80')).to.deep.equal(['[::1]', 80])
  expect(splitAuthority('a:')).to.deep.equal(['a', undefined])
  expect(splitAuthority('a:99999')).to.deep.equal(['a', undefined])
})
