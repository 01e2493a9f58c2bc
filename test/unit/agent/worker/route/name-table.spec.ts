import { expect } from 'chai'
import { NameTable } from '../../../../../agent/worker/route/name-table.ts'
import type { VirtualHost } from '../../../../../agent/worker/route/types.ts'
import { compiled, hostSpec } from '../../../../support/routing.ts'

const host = (name: string, ...domains: string[]): VirtualHost => compiled(hostSpec([], { name, domains }))

function tableOf(...hosts: VirtualHost[]): NameTable {
  const table = new NameTable()
  for (const one of hosts) table.setHost(one.name, one)
  return table
}

describe('the name table', () => {
  it('knows exact names and the longest wildcard', () => {
    const table = tableOf(host('a', 'shop.example.com'), host('b', '*.example.com'), host('c', '*.eu.example.com'))
    const find = (name: string): string | undefined => table.findName(name)?.name
    expect(find('shop.example.com')).to.equal('a')
    expect(find('x.example.com')).to.equal('b')
    expect(find('x.y.example.com')).to.equal('b')
    expect(find('x.eu.example.com')).to.equal('c')
    expect(find('example.com')).to.equal(undefined)
    expect(find('.example.com')).to.equal(undefined)
  })

  it('never takes a name for a wildcard for which a more specific rule decides, whoever was asked for first', () => {
    const wide = compiled(
      hostSpec([], { name: 'wide', domains: ['*.example.com'], except: ['shop.example.com', '*.eu.example.com'] }),
    )
    const table = tableOf(wide)
    expect(table.findName('x.example.com')!.name).to.equal('wide')
    expect(table.findName('shop.example.com'), 'has to be asked').to.equal(undefined)
    expect(table.findName('x.eu.example.com'), 'has to be asked').to.equal(undefined)
    expect(table.findName('eu.example.com')!.name, 'not below the other suffix').to.equal('wide')
    table.setHost('shop', host('shop', 'shop.example.com'))
    expect(table.findName('shop.example.com')!.name).to.equal('shop')
  })

  it('takes every name for "*" that nothing else takes', () => {
    const table = tableOf(host('all', '*'), host('a', '*.example.com'))
    expect(table.findName('orders')!.name).to.equal('all')
    expect(table.findName('x.example.com')!.name).to.equal('a')
    table.setHost('all', null)
    expect(table.findName('orders')).to.equal(undefined)
  })

  it('believes the answers of control first', () => {
    const table = tableOf(host('a', 'orders'), host('b'))
    table.setAnswer('orders', 'b')
    table.setAnswer('nobody', null)
    expect(table.findName('orders')!.name).to.equal('b')
    expect(table.findName('nobody')).to.equal(null)
    table.forgetAnswer('orders')
    expect(table.findName('orders')!.name).to.equal('a')
    expect(table.findName('new'), 'has to be asked').to.equal(undefined)
  })

  it('falls back to declared names when an answer leads to a host that is gone', () => {
    const table = tableOf(host('a', 'orders'))
    table.setAnswer('orders', 'gone')
    expect(table.findName('orders')!.name).to.equal('a')
  })

  it('takes a Host with or without a port, IPv6 too', () => {
    const table = tableOf(host('a', 'orders', '[::1]'))
    for (const authority of ['orders', 'orders:80', '[::1]', '[::1]:8080']) {
      expect(table.findAuthority(authority)?.name, authority).to.equal('a')
    }
  })

  it('forgets the names of a host that is replaced or removed, not those that another host took', () => {
    const table = tableOf(host('a', 'x', '*.y'))
    table.setHost('a', host('a', 'z'))
    expect(table.findName('x')).to.equal(undefined)
    expect(table.findName('b.y')).to.equal(undefined)
    table.setHost('b', host('b', 'z'))
    table.setHost('a', null)
    expect(table.findName('z')!.name).to.equal('b')
    expect(table.host('a')).to.equal(undefined)
    expect([...table.hosts()].map((one) => one.name)).to.deep.equal(['b'])
  })
})
