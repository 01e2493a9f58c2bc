import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'chai'
import { RegistryRules, maxRuleDocumentBytes } from '../../../../../../agent/control/core/registries/registry-rules.ts'
import type { RuleDocument } from '../../../../../../agent/control/core/rules/types.ts'
import type { ConfigDocument, ConfigSource } from '../../../../../../contracts/registry-adapter.ts'

const mesh = 'hostmesh.mesh'
const ordersId = 'hostmesh.service.orders'
const orders = { group: 'DEFAULT_GROUP', name: 'orders' }

function fakeSource() {
  const listeners = new Map<string, (document: ConfigDocument | undefined) => void>()
  const source: ConfigSource = {
    watch: (_group, dataId, listener) => {
      listeners.set(dataId, listener)
      return { unsubscribe: () => void listeners.delete(dataId) }
    },
    read: () => Promise.reject(new Error('not used')),
    publish: () => Promise.reject(new Error('not used')),
    remove: () => Promise.reject(new Error('not used')),
  }
  const say = (dataId: string, content: string | undefined): void =>
    listeners.get(dataId)!(content === undefined ? undefined : { group: 'G', dataId, content, revision: 'r' })
  return { source, say, watched: () => [...listeners.keys()] }
}

function setUp() {
  const fake = fakeSource()
  const reports: (readonly RuleDocument[])[] = []
  const rules = new RegistryRules({
    source: fake.source,
    group: 'G',
    onDocuments: (documents) => reports.push(documents),
  })
  return { ...fake, reports, rules }
}

describe('rules from a registry', () => {
  it('listens only to the mesh and to services in use', () => {
    const { rules, watched } = setUp()
    rules.want([orders])
    expect(watched()).to.deep.equal([mesh, ordersId])
    rules.want([])
    expect(watched()).to.deep.equal([mesh])
    rules.close()
    expect(watched()).to.deep.equal([])
  })

  it('reports all documents together, and those that were not answered yet as unreadable', async () => {
    const { rules, say, reports } = setUp()
    rules.want([orders])
    say(ordersId, 'a: 1')
    await turn()
    expect(reports).to.deep.equal([
      [
        { name: mesh, text: undefined, problem: 'not read from the registry yet', isAwaited: true },
        { name: ordersId, text: 'a: 1' },
      ],
    ])
    rules.close()
  })

  it('reports a document that was removed as gone', async () => {
    const { rules, say, reports } = setUp()
    rules.want([orders])
    say(mesh, undefined)
    say(ordersId, 'a: 1')
    await turn()
    say(ordersId, undefined)
    await turn()
    expect(reports).to.deep.equal([[{ name: ordersId, text: 'a: 1' }], []])
    rules.close()
  })

  it('keeps a document that is too large out, with the reason', async () => {
    const { rules, say, reports } = setUp()
    say(mesh, 'x'.repeat(maxRuleDocumentBytes + 1))
    await turn()
    expect(reports[0]?.[0]?.problem).to.include(`allowed ${maxRuleDocumentBytes}`)
    rules.close()
  })

  it('says nothing after close', async () => {
    const { rules, say, reports } = setUp()
    say(mesh, 'a: 1')
    rules.close()
    await turn()
    expect(reports).to.deep.equal([])
  })
})
