import { expect } from 'chai'
import { columns } from '../../../../../agent/control/admin/http.ts'
import {
  readCloseOrder,
  readConnectionFilter,
  readStreamFilter,
  readStreamOrder,
} from '../../../../../agent/control/admin/live-filters.ts'

describe('what an operator names to end', () => {
  it('is never everything by a wrong value', () => {
    const nothing = [undefined, null, {}, [], 'all', { leastMs: null }, { leastMs: '' }, { leastMs: false }]
    const wrong = [{ leastMs: 0 }, { leastMs: -1 }, { leastMs: [] }, { leastMs: '5' }, { ids: [] }, { ids: ['*'] }]
    const unknown = [{ all: true }, { listener: '' }, { peer: null }, { service: 'orders', port: 1 }]
    for (const body of [...nothing, ...wrong, ...unknown]) {
      expect(() => readStreamOrder(body), JSON.stringify(body)).to.throw()
      expect(() => readCloseOrder(body), JSON.stringify(body)).to.throw()
    }
    expect(() => readCloseOrder({ how: 'cut' })).to.throw(/which connections/)
  })

  it('is what was named', () => {
    expect(readStreamOrder({ leastMs: 5, ids: ['1-2-3'] })).to.deep.equal({ leastMs: 5, ids: ['1-2-3'] })
    expect(readCloseOrder({ peer: '10.0.0.7' })).to.deep.equal({ filter: { peer: '10.0.0.7' }, how: 'end' })
  })
})

describe('what an operator names to see', () => {
  it('is everything where nothing is named, and refused where a word is unknown', () => {
    expect(readStreamFilter(new URLSearchParams('format=json'))).to.deep.equal({})
    expect(readStreamFilter(new URLSearchParams('leastMs=0'))).to.deep.equal({ leastMs: 0 })
    expect(() => readStreamFilter(new URLSearchParams('listner=a'))).to.throw(/listner/)
    expect(() => readConnectionFilter(new URLSearchParams('service=a'))).to.throw(/service/)
  })

  it('controls no terminal, whatever a caller called it', () => {
    const text = columns([
      ['id', 'request'],
      ['1', 'call /a\u009b2J\u202e/b\n2'],
    ])
    expect(text).to.equal('id  request\n1   call /a 2J /b 2')
  })
})
