import { expect } from 'chai'
import { hostScope } from '../../../../agent/control/core/rules/rule-host.ts'
import { splitRules } from '../../../../cli/rules/split-rules.ts'

const scope = hostScope({ namespace: 'public', group: 'DEFAULT_GROUP' })

function resource(kind: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: x }\nspec: ${spec}`
}

describe('rules in the documents of a registry', () => {
  it('go to their service when they are about exactly one', () => {
    const text = [
      resource('VirtualService', '{ hosts: [orders] }'),
      resource('DestinationRule', '{ host: orders }'),
      resource('DestinationRule', '{ host: PAY@@ledger }'),
    ].join('\n---\n')
    const split = splitRules([{ name: 'a.yaml', text }], scope)
    expect([...split.keys()]).to.deep.equal(['hostmesh.service.orders', 'hostmesh.service-of.PAY..ledger'])
    expect(split.get('hostmesh.service.orders')!.split('---')).to.have.length(2)
  })

  it('go to the mesh when they are about several services, a wildcard or something outside', () => {
    const text = [
      resource('VirtualService', '{ hosts: [orders, ledger] }'),
      resource('VirtualService', "{ hosts: ['*.shop'] }"),
      resource('ServiceEntry', '{ hosts: [api.example.com] }'),
    ].join('\n---\n')
    expect([...splitRules([{ name: 'a.yaml', text }], scope).keys()]).to.deep.equal(['hostmesh.mesh'])
  })

  it('keep their comments and their text', () => {
    const text = `# why\n${resource('DestinationRule', '{ host: orders } # inline')}\n`
    expect(splitRules([{ name: 'a.yaml', text }], scope).get('hostmesh.service.orders')).to.include('# inline')
  })
})
