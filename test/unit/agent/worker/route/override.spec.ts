import { expect } from 'chai'
import { readOverride } from '../../../../../agent/worker/route/override.ts'
import type { RouteOverridesSpec } from '../../../../../contracts/route-spec.ts'
import { key, orders } from '../../../../support/routing.ts'

const spec: RouteOverridesSpec = {
  callers: ['tester', 'spiffe://cluster.local/ns/default/sa/web'],
  services: { orders, [orders]: orders, 'orders-canary': key('orders-canary') },
  origin: { kind: 'MeshPolicy', name: 'public/trials', path: 'spec.routeOverrides' },
}

const read = (text: string, caller = 'tester') => readOverride(spec, orders, text, caller)
const followed = (service: string, subset = '') => ({ kind: 'followed', service, subset })

describe('x-mesh-route', () => {
  it('sends calls of a service to another one, to a subset of it, or to a subset of itself', () => {
    expect(read('orders=orders-canary')).to.deep.equal(followed(key('orders-canary')))
    expect(read('orders=orders-canary;v2')).to.deep.equal(followed(key('orders-canary'), 'v2'))
    expect(read('orders=;v2')).to.deep.equal(followed(orders, 'v2'))
    expect(read(`${orders}=orders;v2`), 'by any of its names').to.deep.equal(followed(orders, 'v2'))
  })

  it('has entries for other services beside it, and the first about the called one counts', () => {
    expect(read('stock=;v3, orders=;v2 ,orders=;v1')).to.deep.equal(followed(orders, 'v2'))
    expect(read('stock=stock-canary')).to.deep.equal({ kind: 'passed' })
  })

  it('is nothing from callers that the policy does not name, well written or not', () => {
    expect(read('orders=;v2', 'cart')).to.deep.equal({ kind: 'ignored' })
    expect(read('%%%', 'cart')).to.deep.equal({ kind: 'ignored' })
    expect(read('orders=;v2', 'user 0')).to.deep.equal({ kind: 'ignored' })
    expect(read('orders=;v2', 'spiffe://cluster.local/ns/default/sa/web').kind).to.equal('followed')
    expect(readOverride({ ...spec, callers: ['*'] }, orders, 'orders=;v2', '10.0.0.9').kind).to.equal('followed')
  })

  it('is refused where it leads to a service that the policy does not name', () => {
    const { reason } = read('orders=payments') as { reason: string }
    expect(reason).to.equal('calls of orders may not be sent to payments: no policy says so')
    expect(read('orders=constructor').kind).to.equal('refused')
    expect(read('constructor=orders').kind, 'about another one').to.equal('passed')
  })

  it('is refused where it cannot be read, says which part, and is bounded', () => {
    for (const text of [
      '',
      'orders',
      'orders=',
      '=orders',
      'orders=;',
      'orders=a;',
      'orders=a;b;c',
      'a=b=c',
      'orders=;v 2',
    ]) {
      const override = read(text) as { kind: string; reason: string }
      expect(override.kind, text).to.equal('refused')
      expect(override.reason).to.include('is no entry; allowed SERVICE=SERVICE')
    }
    expect(read('orders=;v2,').kind).to.equal('refused')
    expect(read(Array(16).fill('a=b').join()).kind).to.equal('passed')
    expect((read(Array(17).fill('a=b').join()) as { reason: string }).reason).to.include('17 entries, allowed 16')
    expect((read(`orders=;${'v'.repeat(1020)}`) as { reason: string }).reason).to.include('allowed 1024')
    expect(read(`orders=;${'v'.repeat(254)}`).kind).to.equal('refused')
  })
})
