import { expect } from 'chai'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { beyond, destinationRules, serviceEntries, virtualServices } from '../../../../../support/istio/documents.ts'

/** Each alone, as it would be tried by somebody who moves here. */
function refusalsOf(documents: readonly string[]): string[] {
  return documents.flatMap((text) => {
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' })
    const { statuses } = store.replaceSource('rules.d', [{ name: 'x.yaml', text }])
    return statuses
      .filter(({ state }) => state === 'rejected')
      .map(
        ({ kind, name, problems }) =>
          `${kind} ${name}: ${problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`,
      )
  })
}

describe('Istio documents as people write them', () => {
  const kinds = { VirtualService: virtualServices, DestinationRule: destinationRules, ServiceEntry: serviceEntries }
  it('are accepted, nine of ten over all kinds that need no gateway and no TLS', () => {
    const all = Object.values(kinds).flat()
    const refused = refusalsOf(all)
    expect(1 - refused.length / all.length, refused.join('\n')).to.be.at.least(0.9)
    for (const [kind, documents] of Object.entries(kinds))
      expect(1 - refusalsOf(documents).length / documents.length, kind).to.be.at.least(0.8)
  })

  it('have no field that is called unknown, and what is refused is told with what to do', () => {
    for (const text of refusalsOf([...Object.values(kinds).flat(), ...beyond])) {
      expect(text).not.to.match(/unknown field|is no kind/)
      expect(text).to.match(/not implemented by this version|allowed/)
    }
    expect(refusalsOf(beyond)).to.have.length(beyond.length)
  })
})
