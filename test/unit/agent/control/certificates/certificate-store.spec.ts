import { expect } from 'chai'

import { CertificateStore } from '../../../../../agent/control/certificates/certificate-store.ts'
import { ControlMetrics } from '../../../../../agent/control/observe.ts'

const made = (id: string, key = 'k') => ({ id, chain: 'c', key, trustBundle: 't', notAfter: 1000 })

describe('the certificates of a host', () => {
  it('are those of all sources, each id once, and change when one source says something else', () => {
    let changes = 0
    const metrics = new ControlMetrics()
    const store = new CertificateStore({ metrics, onChange: () => changes++ })
    store.replaceSource('files', [made('spiffe://m/a')])
    store.replaceSource('ca', [made('spiffe://m/a', 'other'), made('spiffe://m/b')])
    expect(store.all().map(({ id, key }) => [id, key])).to.deep.equal([
      ['spiffe://m/a', 'k'],
      ['spiffe://m/b', 'k'],
    ])
    expect(changes).to.equal(2)
    store.replaceSource('ca', [made('spiffe://m/b')])
    expect(changes).to.equal(2)
    store.replaceSource('files', [])
    expect(store.all()).to.deep.equal([made('spiffe://m/b')])
    expect(JSON.stringify(metrics.series())).to.include('spiffe://m/b').and.to.not.include('spiffe://m/a')
  })
})
