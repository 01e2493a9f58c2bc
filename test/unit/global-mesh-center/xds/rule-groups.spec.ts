import { expect } from 'chai'
import { RuleGroups } from '../../../../global-mesh-center/xds/rule-groups.ts'
import type { Resources } from '../../../../global-mesh-center/xds/resources.ts'
import type { RuleDocument } from '../../../../agent/control/core/rules/types.ts'

const orders = 'public/DEFAULT_GROUP@@orders'

function rule(timeout: string, name = 'orders'): RuleDocument {
  const spec = { hosts: [name], http: [{ timeout, route: [{ destination: { host: name } }] }] }
  const object = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name }, spec }
  return { name: `VirtualService public/${name}`, text: JSON.stringify(object) }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)))

describe('rules for the hosts of a roll-out', () => {
  let groups: RuleGroups
  let regrouped: number
  beforeEach(() => {
    regrouped = 0
    groups = new RuleGroups({ namespace: 'public', group: 'DEFAULT_GROUP' }, () => regrouped++)
  })
  const share = (text: string, ...hosts: readonly string[]) => [
    { id: `orders ${text}`, hosts: new Set(hosts), document: rule(text) },
  ]
  async function read(resources: Resources, name: string): Promise<string> {
    resources.subscribe(name, { onNews: () => undefined })
    await turn()
    return resources.get(name)?.bytes?.toString() ?? ''
  }
  const timeoutAt = async (node: string): Promise<string | undefined> =>
    /"timeout":"(\w+)"/.exec(await read(groups.of(node), orders))?.[1]

  it('are the rules of all, but for the one that is rolled out, and for its hosts alone', async () => {
    groups.replaceDocuments([rule('1s'), rule('7s', 'cart')])
    groups.replaceCandidates(share('2s', 'a'))
    await turn()
    expect(regrouped).to.equal(1)
    expect(await timeoutAt('a')).to.equal('2s')
    expect(await timeoutAt('b')).to.equal('1s')
    expect(await read(groups.of('a'), 'public/DEFAULT_GROUP@@cart')).to.contain('"timeout":"7s"')
  })

  it('follow a change of the other rules while it goes on', async () => {
    groups.replaceDocuments([rule('1s'), rule('7s', 'cart')])
    groups.replaceCandidates(share('2s', 'a'))
    await turn()
    groups.replaceDocuments([rule('1s'), rule('8s', 'cart')])
    await turn()
    expect(await timeoutAt('a')).to.equal('2s')
    expect(await read(groups.of('a'), 'public/DEFAULT_GROUP@@cart')).to.contain('"timeout":"8s"')
  })

  it('are those of all again when it is over, and never older ones on the way', async () => {
    groups.replaceDocuments([rule('1s')])
    groups.replaceCandidates(share('2s', 'a'))
    await turn()
    groups.replaceDocuments([rule('2s')])
    groups.replaceCandidates([])
    await turn()
    expect(regrouped).to.equal(2)
    expect(groups.of('a')).to.equal(groups.of('b'))
    expect(await timeoutAt('a')).to.equal('2s')
  })

  it('are for an Envoy those of the store, whatever its node is called, until the roll-out is done', async () => {
    const timeoutOf = (): string | undefined => {
      const [route] = groups.forAll.inForce?.virtualHost(orders).spec.http ?? []
      return route === undefined ? undefined : `${route.timeoutMs / 1000}s`
    }
    let changes = 0
    groups.replaceDocuments([rule('1s')])
    await turn()
    groups.forAll.watch(() => changes++)
    groups.replaceCandidates(share('2s', 'a', 'gateway-1'))
    await turn()
    expect([timeoutOf(), changes]).to.deep.equal(['1s', 0])
    groups.replaceDocuments([rule('2s')])
    groups.replaceCandidates([])
    await turn()
    expect([timeoutOf(), changes]).to.deep.equal(['2s', 1])
  })

  it('may be a rule that nobody else has', async () => {
    groups.replaceDocuments([])
    groups.replaceCandidates(share('2s', 'a'))
    await turn()
    expect(await timeoutAt('a')).to.equal('2s')
    expect(await timeoutAt('b')).to.equal(undefined)
  })
})
