import { expect } from 'chai'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { HeaderEditsSpec, HttpActionSpec } from '../../../../../contracts/route-spec.ts'
import { context, filtersOf, request } from '../../../../support/routing.ts'

describe('a direct response', () => {
  it('has the body and type of the rule', () => {
    const filter = filtersOf({
      action: { kind: 'direct', status: 503, body: 'zu – später', contentType: 'text/plain' },
    })[0]!
    const reply = filter.onRequest(context(request())) as Answer
    expect([reply.status, reply.fields, reply.body.toString()]).to.deep.equal([
      503,
      [['content-type', 'text/plain']],
      'zu – später',
    ])
  })

  it('can be bytes', () => {
    const filter = filtersOf({
      action: { kind: 'direct', status: 200, body: '/wD+', bodyIsBase64: true, contentType: 'a/b' },
    })[0]!
    expect([...(filter.onRequest(context(request())) as Answer).body]).to.deep.equal([0xff, 0x00, 0xfe])
  })

  it('can be empty, then without a type', () => {
    const filter = filtersOf({ action: { kind: 'direct', status: 204, body: '', contentType: 'text/plain' } })[0]!
    expect((filter.onRequest(context(request())) as Answer).fields).to.deep.equal([])
  })
})

describe('the edits of a route', () => {
  const responseHeaders: HeaderEditsSpec = { set: [['x-a', '1']], add: [], remove: ['content-type'] }
  const fieldsOf = (action: HttpActionSpec): Answer['fields'] =>
    (filtersOf({ action, responseHeaders })[0]!.onRequest(context(request())) as Answer).fields

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
