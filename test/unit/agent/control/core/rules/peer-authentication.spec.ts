import { expect } from 'chai'

import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { serviceKey } from '../../../../../../contracts/endpoint.ts'

const place = { namespace: 'public', group: 'DEFAULT_GROUP' }
const orders = serviceKey({ ...place, name: 'orders' })
const application = { labels: { app: 'orders', version: 'v2' }, port: 8080 }

function policy(name: string, spec: string, namespace = 'default'): string {
  return `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`
}

function modeUnder(...documents: string[]): string {
  const store = new RuleStore(place)
  const { statuses } = store.replaceSource('rules.d', [{ name: 'a.yaml', text: documents.join('---\n') }])
  for (const status of statuses) expect(status.problems, status.name).to.deep.equal([])
  return store.inboundMtls(orders, application)
}

describe('PeerAuthentication', () => {
  it('leaves ports PERMISSIVE where nothing is said', () => {
    expect(modeUnder()).to.equal('permissive')
  })

  it('holds for the mesh, a namespace, a workload and its port, the narrower before the wider', () => {
    const mesh = policy('mesh', '{ mtls: { mode: STRICT } }', 'istio-system')
    expect(modeUnder(mesh)).to.equal('strict')
    const namespace = policy('all', '{ mtls: { mode: DISABLE } }')
    expect(modeUnder(mesh, namespace)).to.equal('disable')
    const workload = policy('orders', '{ selector: { matchLabels: { app: orders } }, mtls: { mode: PERMISSIVE } }')
    expect(modeUnder(mesh, namespace, workload)).to.equal('permissive')
    const port = (number: number): string =>
      policy(
        'orders',
        `{ selector: { matchLabels: { app: orders } }, mtls: { mode: DISABLE }, portLevelMtls: { ${number}: { mode: STRICT } } }`,
      )
    expect(modeUnder(mesh, port(8080))).to.equal('strict')
    expect(modeUnder(mesh, port(8081))).to.equal('disable')
  })

  it('takes the root namespace that the configuration names', () => {
    const store = new RuleStore({ ...place, otherNamespaces: 'separate', rootNamespace: 'mesh-root' })
    const modeOf = (namespace: string): string => {
      store.replaceSource('rules.d', [{ name: 'a', text: policy('mesh', '{ mtls: { mode: STRICT } }', namespace) }])
      return store.inboundMtls(orders, application)
    }
    expect(modeOf('mesh-root')).to.equal('strict')
    expect(modeOf('istio-system')).to.equal('permissive')
  })

  it('inherits what is UNSET', () => {
    const mesh = policy('mesh', '{ mtls: { mode: STRICT } }', 'istio-system')
    expect(modeUnder(mesh, policy('all', '{ mtls: { mode: UNSET } }'))).to.equal('strict')
    expect(modeUnder(mesh, policy('orders', '{ selector: { matchLabels: { app: orders } } }'))).to.equal('strict')
  })

  it('says nothing about other workloads and namespaces', () => {
    const other = policy('other', '{ selector: { matchLabels: { app: ledger } }, mtls: { mode: STRICT } }')
    expect(modeUnder(other)).to.equal('permissive')
    const store = new RuleStore({ ...place, otherNamespaces: 'separate' })
    store.replaceSource('rules.d', [{ name: 'a', text: policy('a', '{ mtls: { mode: STRICT } }', 'elsewhere') }])
    expect(store.inboundMtls(orders, application)).to.equal('permissive')
  })

  it('goes by the first name where two say something on one level', () => {
    expect(modeUnder(policy('b', '{ mtls: { mode: DISABLE } }'), policy('a', '{ mtls: { mode: STRICT } }'))).to.equal(
      'strict',
    )
  })

  for (const [what, spec, message] of [
    ['an unknown mode', '{ mtls: { mode: ON } }', 'allowed UNSET, DISABLE, PERMISSIVE, STRICT'],
    ['ports without a selector', '{ portLevelMtls: { 80: { mode: STRICT } } }', 'portLevelMtls without a selector'],
    [
      'a port that is none',
      '{ selector: { matchLabels: { app: a } }, portLevelMtls: { http: { mode: STRICT } } }',
      'found port "http"',
    ],
  ] as const) {
    it(`is refused with ${what}`, () => {
      const store = new RuleStore(place)
      const { statuses } = store.replaceSource('rules.d', [{ name: 'a', text: policy('a', spec) }])
      expect(statuses[0]).to.include({ state: 'rejected' })
      expect(JSON.stringify(statuses[0]!.problems)).to.include(JSON.stringify(message).slice(1, -1))
    })
  }
})
