import { expect } from 'chai'
import { edgeFields } from '../../../../../agent/worker/forward/edge-fields.ts'
import { request } from '../../../../support/routing.ts'

const strange = {
  'x-forwarded-for': '1.1.1.1, 2.2.2.2',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'evil',
  'x-mesh-source': 'billing',
}

describe('what a stranger says of itself', () => {
  it('is taken away, and our own word stands there', () => {
    const { drop, fields } = edgeFields(request({ from: '9.9.9.9', headers: strange }), {
      scheme: 'http',
      trustedProxies: 0,
    })
    expect(fields).to.deep.equal([
      ['x-forwarded-for', '9.9.9.9'],
      ['x-forwarded-proto', 'http'],
    ])
    for (const name of [...Object.keys(strange), 'forwarded', 'x-real-ip', 'x-forwarded-client-cert', 'x-mesh-service'])
      expect(drop.has(name), name).to.equal(true)
  })

  it('is believed as far as there are trusted proxies, never of the mesh', () => {
    const view = request({ from: '9.9.9.9', headers: strange })
    const one = edgeFields(view, { scheme: 'http', trustedProxies: 1 })
    expect(one.fields).to.deep.equal([
      ['x-forwarded-for', '2.2.2.2, 9.9.9.9'],
      ['x-forwarded-proto', 'https'],
    ])
    expect(one.drop.has('x-forwarded-host')).to.equal(false)
    expect(one.drop.has('x-mesh-source')).to.equal(true)
    expect(edgeFields(view, { scheme: 'http', trustedProxies: 5 }).fields[0]![1]).to.equal('1.1.1.1, 2.2.2.2, 9.9.9.9')
  })

  it('is our own scheme where a proxy says none that there is', () => {
    const view = request({ headers: { 'x-forwarded-proto': 'gopher' } })
    expect(edgeFields(view, { scheme: 'https', trustedProxies: 1 }).fields[1]![1]).to.equal('https')
    expect(edgeFields(request(), { scheme: 'https', trustedProxies: 1 }).fields[0]![1]).to.equal('127.0.0.1')
  })
})
