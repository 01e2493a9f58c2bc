import { expect } from 'chai'
import { MeshError } from '../../../../contracts/errors.ts'
import { ModeTable, readModeKey } from '../../../../sdk/modes/mode-table.ts'

describe('modes of services', () => {
  it('a call stands above the key, the key above the options; in one source the service above the application', () => {
    const table = new ModeTable({ mode: 'direct', services: new Map([['orders', 'mesh']]) })
    expect([table.wanted('orders'), table.wanted('stock')]).to.deep.equal(['mesh', 'direct'])
    table.takeKey(readModeKey('{"mode":"auto","services":{"stock":"mesh"}}'))
    expect([table.wanted('orders'), table.wanted('stock')]).to.deep.equal(['auto', 'mesh'])
    table.call('direct', undefined)
    table.call('mesh', 'orders')
    expect([table.wanted('orders'), table.wanted('stock')]).to.deep.equal(['mesh', 'direct'])
    table.call(undefined, undefined)
    table.call(undefined, 'orders')
    expect([table.wanted('orders'), table.wanted('stock')]).to.deep.equal(['auto', 'mesh'])
  })

  it('says nothing = auto', () => {
    expect(new ModeTable({ mode: undefined, services: new Map() }).wanted('orders')).to.equal('auto')
  })

  for (const [text, word] of [
    ['no', 'not JSON'],
    ['[]', 'not an object'],
    ['{"mod":"mesh"}', '"mod": allowed are mode and services'],
    ['{"mode":"fast"}', 'mode: allowed are'],
    ['{"services":[]}', 'services: not an object'],
    ['{"services":{"a b":"mesh"}}', '"a b" cannot be'],
    ['{"services":{"a":1}}', 'services.a: allowed are'],
    [`"${'x'.repeat(70_000)}"`, 'characters, allowed'],
  ] as const)
    it(`refuses the key ${text.slice(0, 40)}`, () => {
      expect(() => readModeKey(text)).to.throw(MeshError, word)
    })
})
